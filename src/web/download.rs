//! Files that are too large to be held in memory: sent while they are read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::thread::faulty;
use crate::domain::Failure;

/// Pieces that wait for the one who fetches them.
const PIECES: usize = 4;
/// Whoever takes nothing for so long is taken for gone.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is sent behind the last piece: without it a file is not complete.
const END: Bytes = Bytes::new();

/// Where the pieces of a file go.
pub(super) struct Outlet {
    sender: Sender<Result<Bytes, Failure>>,
    runtime: Handle,
}

impl Outlet {
    /// Sends a piece, which has bytes. An error means that nobody wants more.
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
        let end = produce(&mut outlet).map(|()| END).inspect_err(|failure| tracing::warn!("{failure}"));
        drop(runtime.block_on(timeout(PATIENCE, sender.send(end))));
    });
    match receiver.recv().await {
        None => Err(faulty("making a file")),
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
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(self.receiver.poll_recv(context)),
        };
        Poll::Ready(match piece {
            Some(Ok(piece)) if piece.is_empty() => None,
            // Whoever has written it has panicked.
            None => Some(Err(faulty("making a file"))),
            piece => piece,
        })
    }
}

/// The value of `Content-Disposition` for a file of this name, of which only harmless characters are kept.
pub(super) fn attachment(name: &str) -> String {
    let is_harmless = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    format!("attachment; filename=\"{}\"", name.chars().filter(is_harmless).collect::<String>())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tokio::runtime::Runtime;

    use super::*;

    #[test]
    fn a_file_whose_making_panics_is_never_taken_for_a_whole_one() {
        let runtime = Runtime::new().unwrap();
        let all = |body: Body| runtime.block_on(to_bytes(body, 100));
        let at_once = runtime.block_on(download(|_| panic!("row 17: secret")));
        assert_eq!(at_once.unwrap_err().to_string(), "making a file: the program has a fault");
        let in_the_middle = runtime.block_on(download(|outlet| {
            outlet.send(b"half".to_vec()).unwrap();
            panic!("row 17: secret")
        }));
        assert!(all(in_the_middle.unwrap()).is_err());
        let whole = runtime.block_on(download(|outlet| {
            outlet.send(b"who".to_vec()).unwrap();
            outlet.send(b"le".to_vec()).unwrap();
            Ok(())
        }));
        assert_eq!(all(whole.unwrap()).unwrap(), "whole");
        let empty = runtime.block_on(download(|_| Ok(())));
        assert_eq!(all(empty.unwrap()).unwrap(), "");
    }
}
