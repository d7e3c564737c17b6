//! The connection as the client library reads it: what comes from the broker goes through [`Nesting`] first.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_rs::Tokio;
use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use lapin::tcp::AsyncTcpStream;

use super::nesting::Nesting;

/// What the library runs on: tokio, with connections of ours.
pub(super) type Kit = RuntimeParts<Tokio, Connections>;

/// How much is read at once.
const PIECE: usize = 16 << 10;

/// The runtime of whoever calls.
pub(super) fn kit() -> Kit {
    RuntimeParts::new(Tokio::current(), Connections(Tokio::current()))
}

type Plain = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// A connection, encrypted or not.
pub(super) struct Transport {
    stream: Plain,
    nesting: Nesting,
    /// What may be read, up to `taken` read already.
    readable: Vec<u8>,
    taken: usize,
}

impl Transport {
    pub(super) fn over(stream: Plain) -> Self {
        Self { stream, nesting: Nesting::default(), readable: Vec::new(), taken: 0 }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, nesting, readable, taken } = self.get_mut();
        while *taken == readable.len() {
            readable.clear();
            *taken = 0;
            let mut piece = [0; PIECE];
            let count = ready!(Pin::new(&mut *stream).poll_read(context, &mut piece))?;
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            nesting.take(&piece[..count], readable).map_err(io::Error::other)?;
        }
        let count = buffer.len().min(readable.len() - *taken);
        buffer[..count].copy_from_slice(&readable[*taken..*taken + count]);
        *taken += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(context)
    }
}

/// Tokio's timers and connections, the latter as [`Transport`].
#[derive(Debug, Clone)]
pub(super) struct Connections(Tokio);

impl Reactor for Connections {
    type TcpStream = Transport;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Transport, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Transport>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Transport::over(AsyncTcpStream::Plain(connecting.await?))) }
    }
}
