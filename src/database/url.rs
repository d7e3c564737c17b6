//! The database's URL, as libpq reads it, shown without its password.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use postgres::Config;
use postgres::config::Host;

use crate::domain::{Failure, Kind};
use crate::tls::{Identity, TlsFiles, Verification, is_this_machine};

const READING: &str = "reading database.url";
const FORM: &str = "write it as postgres://user@host:5432/database, or, for a server on this machine that knows you by your login, \
     as postgres:///database?host=/var/run/postgresql";
const ENCODE: &str = "in user, password and parameters percent-encode what is not a letter, digit, '-', '.', '_' or '~' ('@' is %40)";

/// Where the database is, and how it is spoken to. Shown without its password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    mode: TlsMode,
    files: TlsFiles,
    allows_plaintext: bool,
}

/// The parameter `sslmode`, as libpq means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Never.
    Disable,
    /// Where the server has it.
    Prefer,
    /// Always, with this much of the server's certificate checked.
    Require(Verification),
}

/// The parameters that the client library does not know, or knows half.
#[derive(Default)]
struct TlsParameters {
    mode: Option<String>,
    authority: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl FromStr for DatabaseUrl {
    type Err = Failure;

    /// Reads a URL. A refusal never repeats a part of it that a password could have slipped into.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        let (_, rest) = text
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))
            .ok_or_else(|| wrong("it is not a connection URL").hint(FORM))?;
        let (login, _) = rest.split_once('@').unwrap_or_default();
        if rest.matches('@').count() > 1
            || login.split(':').next().is_some_and(|user| user.contains(['/', '?']))
        {
            return Err(wrong("there is an '@' behind the host, or two before it").hint(ENCODE));
        }
        let place = text.len() - rest.len() + rest.find('@').map_or(0, |at| at + 1);
        let (before, query) = match text[place..].find('?') {
            Some(at) => (&text[..place + at], &text[place + at + 1..]),
            None => (text, ""),
        };
        let (parameters, others) = TlsParameters::taken_from(query)?;
        let others = if others.is_empty() { String::new() } else { format!("?{others}") };
        let mut config = format!("{before}{others}").parse::<Config>().map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            wrong(&why.filter(|why| is_harmless(why)).unwrap_or_else(|| "it cannot be read".to_owned()))
                .hint(FORM)
        })?;
        if config.get_hosts().is_empty() {
            // The name that a certificate is compared with.
            let addresses: Vec<_> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
            for address in addresses {
                config.host(&address);
            }
        }
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host").hint(FORM));
        }
        let (mode, files) = parameters.meaning()?;
        Ok(Self { config, mode, files, allows_plaintext: false })
    }
}

impl TlsParameters {
    /// Ours, and the rest of the query as it was.
    fn taken_from(query: &str) -> Result<(Self, String), Failure> {
        let (mut ours, mut others) = (Self::default(), Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = || {
                let text = percent_decode_str(value).decode_utf8().map(Cow::into_owned);
                text.map_err(|_| wrong("a parameter is not UTF-8").hint(ENCODE))
            };
            match key {
                "sslmode" => ours.mode = Some(decoded()?),
                "sslrootcert" => ours.authority = Some(decoded()?),
                "sslcert" => ours.certificate = Some(decoded()?.into()),
                "sslkey" => ours.key = Some(decoded()?.into()),
                _ => others.push(pair),
            }
        }
        Ok((ours, others.join("&")))
    }

    fn meaning(self) -> Result<(TlsMode, TlsFiles), Failure> {
        let is_named = self.authority.is_some();
        let mode = match self.mode.as_deref() {
            Some("disable") => TlsMode::Disable,
            None | Some("prefer") => TlsMode::Prefer,
            // As libpq, which checks what it has been given something to check with.
            Some("require") if !is_named => TlsMode::Require(Verification::Nothing),
            Some("require" | "verify-ca") => TlsMode::Require(Verification::Authority),
            Some("verify-full") => TlsMode::Require(Verification::Name),
            Some(_) => {
                return Err(wrong("sslmode is none that is known")
                    .hint("it is one of disable, prefer, require, verify-ca and verify-full"));
            }
        };
        let authority = self.authority.filter(|name| name != "system").map(PathBuf::from);
        if authority.is_none() && mode == TlsMode::Require(Verification::Authority) {
            return Err(wrong("sslmode=verify-ca names no authority")
                .hint("name its file with sslrootcert; the system's authorities sign for anybody: sslmode=verify-full"));
        }
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            (None, None) => None,
            _ => return Err(wrong("sslcert and sslkey belong together").hint("name both files, or none")),
        };
        Ok((mode, TlsFiles { authority, identity }))
    }
}

impl DatabaseUrl {
    /// The same, with relative paths of certificates meant from this folder.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        self.files = self.files.relative_to(folder);
        self
    }

    /// The same; passwords and rows may cross a network unprotected.
    #[must_use]
    pub fn allowing_plaintext(mut self, allows_plaintext: bool) -> Self {
        self.allows_plaintext = allows_plaintext;
        self
    }

    /// The client library's own part of it, without TLS.
    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Whether TLS is spoken, and the files for it. Not on a socket of this machine: no server has it there.
    pub(super) fn tls(&self) -> (TlsMode, &TlsFiles) {
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        let mode = if self.config.get_hosts().iter().all(is_socket) { TlsMode::Disable } else { self.mode };
        (mode, &self.files)
    }

    /// The files for TLS that it names.
    pub fn tls_files(&self) -> &TlsFiles {
        &self.files
    }

    /// Refuses what would let others on the network read, or answer in the server's place without anybody noticing.
    pub(super) fn check_privacy(&self, doing: &str) -> Result<(), Failure> {
        if self.allows_plaintext || self.stays_here() || matches!(self.mode, TlsMode::Require(_)) {
            return Ok(());
        }
        let why = "the password and the sales might cross the network unencrypted";
        Err(Failure::new(Kind::Configuration, doing, why).hint(
            "add ?sslmode=verify-full to database.url (and &sslrootcert=FILE for a private authority), or write \
             allow_plaintext = true into [database] if the line itself is encrypted",
        ))
    }

    fn stays_here(&self) -> bool {
        let addresses = self.config.get_hostaddrs();
        if !addresses.is_empty() {
            return addresses.iter().all(|address| is_this_machine(&address.to_string()));
        }
        self.config.get_hosts().iter().all(|host| match host {
            Host::Tcp(name) => is_this_machine(name),
            Host::Unix(_) => true,
        })
    }

    /// The first host.
    pub(super) fn host(&self) -> String {
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        }
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().or_else(|| self.config.get_user()).unwrap_or_default()
    }
}

/// `postgres://east@localhost:5432/east`, never with a password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.config.get_user().unwrap_or_default();
        write!(f, "postgres://{user}@{}:{}/{}", self.host(), self.port(), self.database())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The library quotes the name of a parameter that it does not know. One that looks like no name may be a password's end.
fn is_harmless(words: &str) -> bool {
    let name = words.split('`').nth(1).unwrap_or_default();
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn wrong(why: &str) -> Failure {
    Failure::new(Kind::Configuration, READING, why)
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
