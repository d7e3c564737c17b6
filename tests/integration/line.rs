//! The line to a server: a relay on 127.0.0.1 that is slow, goes silent, hangs up or resets when a test wants it to.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use salesync::sandbox::wait_until;
use socket2::SockRef;

/// What is carried in one piece: small, so that the line breaks near the byte it was told to.
const PIECE: usize = 4096;

/// How long a quiet line may not notice that it was broken, repaired or taken down.
const TICK: Duration = Duration::from_millis(20);

/// Carries bytes between any number of clients and a server. It is taken down when dropped: its connections
/// end, and nothing listens there any more.
pub struct Line {
    url: String,
    state: Arc<Mutex<State>>,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How a line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Nothing arrives any more, and nobody is told: neither side is closed.
    Silence,
    /// Both sides are closed in good order.
    HangUp,
    /// Both sides get an RST.
    Reset,
}

#[derive(Default)]
struct State {
    /// Bytes per second and direction.
    rate: Option<u64>,
    /// Where it breaks: these ways together carry so many more bytes, and then that happens.
    fault: Option<Fault>,
    /// Bytes carried so far, up and down.
    carried: [u64; 2],
    /// Connections so far, those on a line that is down included.
    calls: usize,
    is_down: bool,
    is_taken_down: bool,
}

#[derive(Clone, Copy)]
struct Fault {
    ways: &'static [Way],
    left: u64,
    then: Break,
}

/// What to do with a piece.
enum Fate {
    Carry,
    Keep,
    End(Break),
}

impl Line {
    /// A line to the server in this URL that carries everything.
    pub fn to(url: &str) -> Self {
        let (_, rest) = url.split_once('@').expect("a URL with a user");
        let place = rest.split('/').next().expect("a host").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // What waits in the buffers has not been carried, though its sender thinks so.
        SockRef::from(&listener).set_recv_buffer_size(PIECE).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = url.replace(&place, &listener.local_addr().unwrap().to_string());
        let state = Arc::new(Mutex::new(State::default()));
        let relay = Arc::clone(&state);
        thread::spawn(move || {
            while !lock(&relay).is_taken_down {
                match listener.accept() {
                    Ok((client, _)) => {
                        lock(&relay).calls += 1;
                        connect(client, &place, &relay);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(TICK),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Self { url, state }
    }

    /// The server's URL by way of this line.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it carries so many bytes per second in each direction.
    pub fn slows_to(&self, bytes_per_second: u64) {
        lock(&self.state).rate = Some(bytes_per_second);
    }

    /// From now on it carries `byte_count` more bytes on these ways together; the next one breaks it, for every
    /// connection and for those to come. [`Break::Silence`] concerns these ways only.
    pub fn breaks_after(&self, byte_count: u64, ways: &'static [Way], then: Break) {
        lock(&self.state).fault = Some(Fault { ways, left: byte_count, then });
    }

    /// From now on it hangs up on everybody.
    pub fn goes_down(&self) {
        lock(&self.state).is_down = true;
    }

    /// It is as good as new. Connections that were closed stay closed; what was kept in silence arrives.
    pub fn is_repaired(&self) {
        let mut state = lock(&self.state);
        (state.rate, state.fault, state.is_down) = (None, None, false);
    }

    /// Waits until somebody has called so many times from now on.
    pub fn wait_for_calls(&self, count: usize) {
        let wanted = lock(&self.state).calls + count;
        self.wait_for("calls on the line", |state| state.calls >= wanted);
    }

    /// Waits until so much more has gone that way.
    pub fn wait_for_bytes(&self, way: Way, count: u64) {
        let wanted = self.carried(way) + count;
        self.wait_for("bytes on the line", |state| state.carried[way as usize] >= wanted);
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        wait_until(Duration::from_mins(1), what, || Ok(is_so(&lock(&self.state)).then_some(()))).unwrap();
    }

    /// Bytes carried so far in this direction.
    pub fn carried(&self, way: Way) -> u64 {
        lock(&self.state).carried[way as usize]
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        lock(&self.state).is_taken_down = true;
    }
}

/// Both ways at once.
pub const BOTH_WAYS: &[Way] = &[Way::Up, Way::Down];

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(client: TcpStream, place: &str, state: &Arc<Mutex<State>>) {
    // A server that is away shows as a line that hangs up.
    let Ok(server) = TcpStream::connect(place) else { return };
    for stream in [&client, &server] {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(TICK)).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    let (client, server) = (Arc::new(client), Arc::new(server));
    let has_ended = Arc::new(Mutex::new(None));
    for (way, from, to) in [(Way::Up, Arc::clone(&client), Arc::clone(&server)), (Way::Down, server, client)]
    {
        let carrier = Carrier { way, from, to, state: Arc::clone(state), has_ended: Arc::clone(&has_ended) };
        thread::spawn(move || carrier.carry());
    }
}

/// One direction of one connection. The sockets are closed when both directions have ended.
struct Carrier {
    way: Way,
    from: Arc<TcpStream>,
    to: Arc<TcpStream>,
    state: Arc<Mutex<State>>,
    /// How either direction has ended.
    has_ended: Arc<Mutex<Option<Break>>>,
}

impl Carrier {
    fn carry(self) {
        let then = self.carry_until_the_end();
        for stream in [&*self.from, &*self.to] {
            // It may be gone already.
            let _ = match then {
                Break::Reset => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
                Break::HangUp | Break::Silence => stream.shutdown(Shutdown::Both),
            };
        }
        *self.has_ended.lock().unwrap() = Some(then);
    }

    fn carry_until_the_end(&self) -> Break {
        let mut buffer = [0; PIECE];
        loop {
            if let Some(then) = *self.has_ended.lock().unwrap() {
                return then;
            }
            if lock(&self.state).hangs_up() {
                return Break::HangUp;
            }
            let piece = match self.from.peek(&mut buffer) {
                Ok(count @ 1..) => count,
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                    continue;
                }
                // A line that is dead does not tell that one end has gone.
                _ if lock(&self.state).is_silent(self.way) => {
                    thread::sleep(TICK);
                    continue;
                }
                _ => return Break::HangUp,
            };
            let fate = lock(&self.state).fate(self.way, piece as u64);
            match fate {
                Fate::End(then) => return then,
                // What arrives in silence stays where it is.
                Fate::Keep => thread::sleep(TICK),
                Fate::Carry => {
                    if self.pass_on(&mut buffer[..piece]).is_err() {
                        return Break::HangUp;
                    }
                }
            }
        }
    }

    fn pass_on(&self, piece: &mut [u8]) -> std::io::Result<()> {
        (&*self.from).read_exact(piece)?;
        (&*self.to).write_all(piece)?;
        let rate = lock(&self.state).rate;
        if let Some(rate) = rate {
            // This is no wait for something to happen: the line is slow.
            thread::sleep(Duration::from_micros(1_000_000 * piece.len() as u64 / rate));
        }
        Ok(())
    }
}

impl State {
    fn hangs_up(&self) -> bool {
        self.is_down || self.is_taken_down
    }

    fn is_silent(&self, way: Way) -> bool {
        self.fault
            .is_some_and(|fault| fault.then == Break::Silence && fault.left == 0 && fault.ways.contains(&way))
    }

    fn fate(&mut self, way: Way, byte_count: u64) -> Fate {
        if let Some(fault) = self.fault.as_mut().filter(|fault| fault.ways.contains(&way)) {
            if byte_count > fault.left {
                fault.left = 0;
                return if fault.then == Break::Silence { Fate::Keep } else { Fate::End(fault.then) };
            }
            fault.left -= byte_count;
        }
        self.carried[way as usize] += byte_count;
        Fate::Carry
    }
}

/// A line to a server that sends back what it gets, and a client of it.
fn echo_by_line() -> (Line, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = Line::to(&format!("tcp://user@{}/", listener.local_addr().unwrap()));
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // The line may break in the middle of it.
        let _ = std::io::copy(&mut &stream, &mut &stream);
    });
    let place = line.url().trim_start_matches("tcp://user@").trim_end_matches('/').to_owned();
    let client = TcpStream::connect(place).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (line, client)
}

fn echoed(client: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    client.write_all(text)?;
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_line_carries_everything_and_a_slow_one_takes_its_time() {
    let (line, mut client) = echo_by_line();
    assert_eq!(echoed(&mut client, b"fast").unwrap(), b"fast");
    line.slows_to(20_000);
    let begun = Instant::now();
    let long = vec![7; 20_000];
    assert_eq!(echoed(&mut client, &long).unwrap(), long);
    assert!(begun.elapsed() > Duration::from_millis(700), "it took {:?}", begun.elapsed());
    assert_eq!((line.carried(Way::Up), line.carried(Way::Down)), (20_004, 20_004));
}

#[test]
fn a_line_breaks_as_it_was_told_to() {
    for (then, expected) in
        [(Break::Reset, ErrorKind::ConnectionReset), (Break::HangUp, ErrorKind::UnexpectedEof)]
    {
        let (line, mut client) = echo_by_line();
        line.breaks_after(5, &[Way::Up], then);
        assert_eq!(echoed(&mut client, b"whole").unwrap(), b"whole");
        assert_eq!(echoed(&mut client, b"cut").unwrap_err().kind(), expected);
    }
    let (line, mut client) = echo_by_line();
    line.breaks_after(0, &[Way::Down], Break::Silence);
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(echoed(&mut client, b"lost?").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((line.carried(Way::Up), line.carried(Way::Down)), (5, 0));
    line.is_repaired();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(echoed(&mut client, b"again").unwrap(), b"lost?");
    drop(line);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"again");
}
