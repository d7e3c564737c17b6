//! A look at what answers at an address, where the client library only knows that it hung up.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::ClientConfig;

use super::address::BrokerAddress;
use crate::tls::secured;

const PATIENCE: Duration = Duration::from_secs(5);

/// The header with which AMQP begins. To a TLS server it makes no sense.
const GREETING: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// How AMQP calls a login by what the connection says of itself.
const EXTERNAL: &[u8] = b"EXTERNAL";

/// How a TLS record begins that complains: alert, version 3.
const ALERT: [u8; 2] = [21, 3];

/// The ways to log in that a broker names in answer to the greeting have less.
const LONGEST_ANSWER: u32 = 64 << 10;

/// Whether the broker there takes a certificate as a login; none if it did not say.
pub(super) fn takes_certificates(address: &BrokerAddress, tls: Arc<ClientConfig>) -> Option<bool> {
    let mut stream = secured(address.host_and_port(), tls, |_| Ok(()))?;
    stream.write_all(GREETING).ok()?;
    // Type, channel and size of the frame, then what the broker is and can.
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let [.., a, b, c, d] = head;
    let size = u32::from_be_bytes([a, b, c, d]).min(LONGEST_ANSWER);
    let mut start = Vec::new();
    stream.take(size.into()).read_to_end(&mut start).ok()?;
    Some(start.windows(EXTERNAL.len()).any(|word| word == EXTERNAL))
}

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
