//! The connections: how many, how long each may take, and which one goes if there are too many.
//!
//! Whoever is slow, silent or gone costs a place among the connections for a while, and nothing else.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::access::Peer;

/// So many connections at most; a process may have 1,024 files open where nobody has said otherwise.
const CONNECTIONS: usize = 400;
/// A request that is not there as a whole after so long is not waited for, nor the next one of a connection.
const REQUEST: Duration = Duration::from_secs(20);
/// A connection that has agreed on no key after so long is none.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Who takes nothing for so long is gone.
const STALL: Duration = Duration::from_secs(30);
/// A request's head is never larger.
const HEAD: usize = 32 << 10;
/// How long answers that are under way may take when the server is to end.
const LAST: Duration = Duration::from_secs(5);
/// How often it looks whether there is a place again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long no connection is taken when the system has none to give.
const REST: Duration = Duration::from_millis(500);

/// Answers everybody who comes, until `stop`.
pub(super) async fn listen(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    pages: Router,
    stop: impl Future<Output = ()>,
) {
    let (places, graceful) = (Places::default(), GracefulShutdown::new());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                tokio::spawn(connect(stream, peer, tls.clone(), pages.clone(), place, graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!("a connection could not be taken: {error}");
                sleep(REST).await;
            }
        }
    }
    drop(listener);
    let _ = timeout(LAST, graceful.shutdown()).await;
}

/// The next connection, with a place. Where everybody is being answered it waits for one.
async fn accept(listener: &TcpListener, places: &Places) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let (stream, peer) = listener.accept().await?;
    loop {
        match places.take() {
            Some(place) => return Ok((stream, peer, place)),
            None => sleep(PAUSE).await,
        }
    }
}

/// A connection, until its end or until it has to make room.
async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    pages: Router,
    place: Place,
    watcher: Watcher,
) {
    let seat = Arc::clone(&place.seat);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL));
    let stream = Box::pin(stream);
    let spoken = async {
        match tls {
            None => speak(stream, peer, pages, &seat, watcher).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                    speak(stream, peer, pages, &seat, watcher).await;
                }
            }
        }
    };
    tokio::select! {
        () = spoken => {}
        () = place.seat.is_wanted.notified() => {}
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    pages: Router,
    seat: &Arc<Seat>,
    watcher: Watcher,
) {
    let pages = TowerToHyperService::new(pages);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = Work::begin(seat).map(|work| (work, pages.call(request)));
        async {
            let (work, answer) = answer.ok_or(io::ErrorKind::ConnectionAborted)?;
            let Ok(answer) = answer.await;
            Ok::<_, io::Error>(answer.map(|body| Answer { body, _work: work }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // What is wrong with a connection is the other end's affair.
    let _ = watcher.watch(connection).await;
}

/// The connections that there are.
#[derive(Clone, Default)]
struct Places(Arc<Mutex<Seats>>);

#[derive(Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Arc<Seat>>,
}

/// A connection among the others.
struct Seat {
    stage: Mutex<Stage>,
    is_wanted: Notify,
}

/// Who makes room begins no answer any more, and who is being answered makes no room.
enum Stage {
    /// Its next request has been waited for since then.
    Waits(Instant),
    Answers,
    MakesRoom,
}

impl Places {
    /// A place for a connection. If there is none, the one that has waited longest for a request has to go.
    fn take(&self) -> Option<Place> {
        let mut seats = self.seats();
        while seats.taken.len() >= CONNECTIONS {
            let waiting =
                seats.taken.iter().filter_map(|(number, seat)| Some((seat.waits_since()?, *number)));
            let (_, longest) = waiting.min()?;
            // Where its request has come meanwhile, another one has to go.
            if seats.taken.get(&longest)?.makes_room() {
                seats.taken.remove(&longest);
            }
        }
        let stage = Mutex::new(Stage::Waits(Instant::now()));
        let seat = Arc::new(Seat { stage, is_wanted: Notify::new() });
        let number = seats.next;
        seats.next += 1;
        seats.taken.insert(number, Arc::clone(&seat));
        Some(Place { number, seat, places: self.clone() })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits_since(&self) -> Option<Instant> {
        if let Stage::Waits(since) = *self.stage() { Some(since) } else { None }
    }

    /// Ends it, if it is not being answered.
    fn makes_room(&self) -> bool {
        let mut stage = self.stage();
        if let Stage::Answers = *stage {
            return false;
        }
        *stage = Stage::MakesRoom;
        self.is_wanted.notify_one();
        true
    }

    /// Goes on to another stage, unless it has to make room.
    fn goes_on(&self, next: Stage) -> bool {
        let mut stage = self.stage();
        if let Stage::MakesRoom = *stage {
            return false;
        }
        *stage = next;
        true
    }
}

/// A connection's place, until it is dropped.
struct Place {
    number: u64,
    seat: Arc<Seat>,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.seats().taken.remove(&self.number);
    }
}

/// A request that is being answered, until it is dropped.
struct Work(Arc<Seat>);

impl Work {
    /// None if the connection has to make room.
    fn begin(seat: &Arc<Seat>) -> Option<Self> {
        seat.goes_on(Stage::Answers).then(|| Self(Arc::clone(seat)))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.goes_on(Stage::Waits(Instant::now()));
    }
}

/// The body of an answer: when it is at its end, so is the work.
struct Answer {
    body: Body,
    _work: Work,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_makes_room_is_not_answered_any_more_and_who_is_answered_makes_no_room() {
        let places = Places::default();
        let mut all: Vec<Place> = (0..CONNECTIONS).map(|_| places.take().unwrap()).collect();
        let first = Work::begin(&all[0].seat).unwrap();
        all.push(places.take().unwrap());
        // It had waited longest. Its request comes just now.
        assert!(Work::begin(&all[1].seat).is_none());
        let mut others: Vec<Work> = all[2..].iter().map(|place| Work::begin(&place.seat).unwrap()).collect();
        assert!(places.take().is_none());
        drop((first, others.pop()));
        assert!(places.take().is_some() && Work::begin(&all[0].seat).is_none());
        drop(all);
        assert!(places.seats().taken.is_empty());
    }
}
