//! The connection to the server, encrypted as the URL says.

use std::error::Error as _;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use postgres::config::SslMode;
use postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::ClientConfig;

use super::failure::database_failure;
use super::url::{DatabaseUrl, TlsMode};
use crate::domain::{Failure, Kind};
use crate::tls::{self, Verification, client_config, handshake_error, late_alert, tls_failure};

/// How a user knows what can be set.
const SETTINGS: tls::Settings = tls::Settings {
    authority: "sslrootcert in database.url",
    identity: "sslcert and sslkey in database.url",
    without_tls: "is this PostgreSQL's port?",
};

/// What begins TLS in PostgreSQL's protocol: the message's length, and a version that none has.
///
/// Source: PostgreSQL documentation, "Message Formats", `SSLRequest`.
const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Connects with this configuration of the client library.
pub(super) fn open(config: &Config, url: &DatabaseUrl, doing: &str) -> Result<Client, Failure> {
    let (mode, files) = url.tls();
    let verification = match mode {
        TlsMode::Disable => return in_plain(config, doing),
        TlsMode::Prefer => Verification::Nothing,
        TlsMode::Require(verification) => verification,
    };
    let tls = client_config(files, verification, &SETTINGS)?;
    let is_preferred = mode == TlsMode::Prefer;
    let mut config = config.clone();
    config.ssl_mode(if is_preferred { SslMode::Prefer } else { SslMode::Require });
    config.connect(MakeRustlsConnect::new(tls.clone())).or_else(|error| {
        if is_preferred && is_refused_over_tls(&error) {
            return in_plain(&config, doing);
        }
        let late = || hung_up(&error).then(|| second_look(url, tls)).flatten();
        match alert(&error).cloned().or_else(late) {
            Some(error) => Err(tls_failure(doing, &error, &SETTINGS)),
            None => Err(without_tls(doing, &error).unwrap_or_else(|| database_failure(doing, &error))),
        }
    })
}

fn in_plain(config: &Config, doing: &str) -> Result<Client, Failure> {
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    config.connect(NoTls).map_err(|error| database_failure(doing, &error))
}

/// Where TLS was only preferred, it is done without: as libpq does.
fn is_refused_over_tls(error: &Error) -> bool {
    alert(error).is_some() || error.code().is_some_and(|code| code.code() == "28000")
}

fn alert(error: &Error) -> Option<&tls::Error> {
    error.source()?.downcast_ref::<io::Error>().and_then(handshake_error)
}

fn without_tls(doing: &str, error: &Error) -> Option<Failure> {
    // The library has no other sign for it than its words.
    let is_it = error.source().is_some_and(|source| source.to_string() == "server does not support TLS");
    is_it.then(|| {
        Failure::new(Kind::Configuration, doing, "the server does not speak TLS").hint(
            "set ssl = on at the server; without TLS (sslmode=disable) only on this machine, or where the line itself is encrypted",
        )
    })
}

fn hung_up(error: &Error) -> bool {
    let kind = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    error.is_closed()
        || matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof))
}

fn second_look(url: &DatabaseUrl, tls: ClientConfig) -> Option<tls::Error> {
    late_alert((&url.host(), url.port()), Arc::new(tls), |stream| {
        stream.write_all(&REQUEST)?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        if answer == *b"S" { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    })
}
