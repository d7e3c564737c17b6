//! Files that are too large to be held in memory: sent while they are read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::domain::{Failure, Kind};

/// Pieces that wait for the one who fetches them.
const PIECES: usize = 4;
/// Whoever takes nothing for so long is taken for gone.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the pieces of a file go.
pub(super) struct Outlet {
    sender: Sender<Result<Bytes, Failure>>,
    runtime: Handle,
}

impl Outlet {
    /// Sends a piece. An error means that nobody wants more.
    pub(super) fn send(&mut self, piece: Vec<u8>) -> io::Result<()> {
        let sent = self.runtime.block_on(timeout(PATIENCE, self.sender.send(Ok(piece.into()))));
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the file any more")),
        }
    }
}

/// Lets `produce` write a file from a thread that may block. What fails before the first piece is told as a failure;
/// what fails later ends the connection, so that nobody takes a part for the whole.
pub(super) async fn download(
    produce: impl FnOnce(&mut Outlet) -> Result<(), Failure> + Send + 'static,
) -> Result<Body, Failure> {
    let (sender, mut receiver) = channel(PIECES);
    let runtime = Handle::current();
    spawn_blocking(move || {
        let mut outlet = Outlet { sender: sender.clone(), runtime: runtime.clone() };
        if let Err(failure) = produce(&mut outlet) {
            tracing::warn!("{failure}");
            drop(runtime.block_on(timeout(PATIENCE, sender.send(Err(failure)))));
        }
    });
    match receiver.recv().await {
        None => Ok(Body::empty()),
        Some(Err(failure)) => Err(failure),
        Some(Ok(first)) => Ok(Body::from_stream(Pieces { first: Some(first), receiver })),
    }
}

struct Pieces {
    first: Option<Bytes>,
    receiver: Receiver<Result<Bytes, Failure>>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.receiver.poll_recv(context),
        }
    }
}

/// The value of `Content-Disposition` for a file of this name, of which only harmless characters are kept.
pub(super) fn attachment(name: &str) -> String {
    let is_harmless = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    format!("attachment; filename=\"{}\"", name.chars().filter(is_harmless).collect::<String>())
}

/// What a failed thread says.
pub(super) async fn in_thread<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(spawn_blocking(work));
    done.await.map_err(|error| Failure::new(Kind::Failed, doing, error))?
}
