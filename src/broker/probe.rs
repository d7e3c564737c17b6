//! A look at what answers at an address, where the client library only knows that it hung up.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::address::BrokerAddress;

const PATIENCE: Duration = Duration::from_secs(5);

/// The header with which AMQP begins. To a TLS server it makes no sense.
const GREETING: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// How a TLS record begins that complains: alert, version 3.
const ALERT: [u8; 2] = [21, 3];

/// Whether the server there answers AMQP's greeting with a TLS alert.
pub(super) fn speaks_tls(address: &BrokerAddress) -> bool {
    let answer = || -> std::io::Result<[u8; 2]> {
        let place = address.place().to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&place, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(GREETING)?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer == ALERT)
}
