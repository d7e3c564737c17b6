//! A second look at a server that hung up after the handshake.
//!
//! In TLS 1.3 the client is done before the server has looked at its certificate. The complaint then comes when the client
//! has begun to talk, and with what it has said unread, the system resets the connection and may throw the complaint away.

use std::io::{self, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, Error, StreamOwned};

use super::failure::handshake_error;

const PATIENCE: Duration = Duration::from_secs(5);

/// What the server complains of, if it does so before it is spoken to. `begin` does what comes before the handshake.
pub fn late_alert(
    place: (&str, u16),
    config: Arc<ClientConfig>,
    begin: impl FnOnce(&mut TcpStream) -> io::Result<()>,
) -> Option<Error> {
    let answer = secured(place, config, begin)?.read(&mut [0]);
    answer.err().as_ref().and_then(handshake_error).cloned()
}

/// Another connection to the server, whose handshake begins with the first byte. No read waits for long.
pub fn secured(
    (host, port): (&str, u16),
    config: Arc<ClientConfig>,
    begin: impl FnOnce(&mut TcpStream) -> io::Result<()>,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let place = (host, port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&place, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    begin(&mut stream).ok()?;
    let client = ClientConnection::new(config, name).ok()?;
    Some(StreamOwned::new(client, stream))
}
