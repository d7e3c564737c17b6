//! A line to the broker that is up or down, fast or slow, as a test wants it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use salesync::sandbox::wait_until;

/// Forwards what a client and the broker say to each other while it is up.
pub struct Line {
    port: u16,
    broker_port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_down: AtomicBool,
    /// Bytes per second from the client to the broker; 0 is no limit.
    rate: AtomicU64,
    attempts: AtomicUsize,
}

impl Line {
    /// A line to the broker of this URL. It is up.
    pub fn to(url: &str) -> Self {
        let (_, rest) = url.rsplit_once(':').unwrap();
        let broker_port = rest.split('/').next().unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self { port: listener.local_addr().unwrap().port(), broker_port, state: Arc::default() };
        let state = Arc::clone(&line.state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                state.attempts.fetch_add(1, SeqCst);
                // Whoever calls while it is down, or while the broker is, is hung up on.
                let Ok(broker) = TcpStream::connect(("127.0.0.1", broker_port)) else { continue };
                let (up, down) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
                let (there, back) = (Arc::clone(&state), Arc::clone(&state));
                thread::spawn(move || carry(up, broker, &there, true));
                thread::spawn(move || carry(down, client, &back, false));
            }
        });
        line
    }

    /// The same URL by way of this line.
    pub fn url(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.broker_port), &format!(":{}/", self.port))
    }

    /// It breaks.
    pub fn goes_down(&self) {
        self.state.is_down.store(true, SeqCst);
    }

    /// It is up.
    pub fn comes_up(&self) {
        self.state.is_down.store(false, SeqCst);
    }

    /// From now on it takes so many bytes in a second; 0 is as many as come.
    pub fn takes(&self, bytes_per_second: u64) {
        self.state.rate.store(bytes_per_second, SeqCst);
    }

    /// Waits until somebody has called so many times from now on.
    pub fn wait_for_calls(&self, count: usize) {
        let wanted = self.state.attempts.load(SeqCst) + count;
        wait_until(Duration::from_mins(1), "calls on the line", || {
            Ok((self.state.attempts.load(SeqCst) >= wanted).then_some(()))
        })
        .unwrap();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State, is_limited: bool) {
    // It looks often whether the line is still up.
    from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 4096];
    while !state.is_down.load(SeqCst) {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        };
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        let rate = state.rate.load(SeqCst);
        if is_limited && rate > 0 {
            thread::sleep(Duration::from_micros(count as u64 * 1_000_000 / rate));
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
