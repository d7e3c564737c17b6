//! The address of the broker: an AMQP URL, read strictly and shown without its password.

use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use zeroize::Zeroizing;

use crate::domain::{Failure, Kind};
use crate::tls::is_this_machine;

/// Seconds between heartbeats. A dead link is noticed after two to two and a half of them; any
/// byte counts as one, so a slow upload is not taken for a dead link.
const HEARTBEAT: u16 = 10;

/// Bytes of a frame. lapin keeps two buffers of 32 frames each, whatever is sent: with the broker's 128 KiB that would be 8 MiB.
const FRAME: u32 = 32 << 10;

/// The longest user or virtual host: both travel as AMQP short strings.
const SHORT_STRING: usize = 255;

const READING: &str = "reading the broker's address";
const FORM: &str = "write it as amqps://USER:PASSWORD@HOST:5671/VHOST";
const ENCODE: &str =
    "percent-encode what is not a letter, digit, '-', '.', '_' or '~' in it ('/' is %2F, '@' is %40)";

/// Where the broker is, and as whom to log in: `amqps://user:password@host:port/vhost`.
///
/// User, password and virtual host are percent-decoded. The port defaults to 5671 (`amqps`) or 5672
/// (`amqp`), a missing path to the virtual host `/`. The password may be absent (and be given with
/// [`with_password`](Self::with_password)); it is in neither `Display` nor `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    encrypted: bool,
    user: String,
    password: Option<String>,
    host: String,
    port: u16,
    vhost: String,
}

impl BrokerAddress {
    /// Reads a URL. A refusal ([`Kind::Configuration`]) never repeats a part of it: a password that
    /// is not percent-encoded could turn up in any of them.
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| wrong("it is not a URL", FORM))?;
        let encrypted = match scheme {
            "amqps" => true,
            "amqp" => false,
            _ => return Err(wrong("it begins with neither amqps:// nor amqp://", FORM)),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if path.contains('@') {
            return Err(wrong("there is an '@' behind the host", format!("in user and password, {ENCODE}")));
        }
        let (user, password, place) = split_authority(authority)?;
        let (host, port) = split_place(place)?;
        Ok(Self {
            encrypted,
            user,
            password,
            host,
            port: port.unwrap_or(if encrypted { 5671 } else { 5672 }),
            vhost: read_vhost(path)?,
        })
    }

    /// The same address with this password.
    #[must_use]
    pub fn with_password(self, password: impl Into<String>) -> Self {
        Self { password: Some(password.into()), ..self }
    }

    /// The login. The broker vouches for it in the `user_id` of every message published under it.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The same broker for another login.
    #[must_use]
    pub fn for_login(&self, user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), ..self.clone() }.with_password(password)
    }

    /// The same broker as others call it: `host[:port]`.
    pub fn at(self, place: &str) -> Result<Self, Failure> {
        let (host, port) = split_place(place)?;
        Ok(Self { host, port: port.unwrap_or(self.port), ..self })
    }

    /// The whole URL with the password, for a configuration file and nothing else.
    #[must_use]
    pub fn secret_url(&self) -> Zeroizing<String> {
        let password = self.password.as_ref().map(|password| format!(":{}@", encode(password)));
        let shown = self.to_string();
        Zeroizing::new(password.map_or(shown.clone(), |password| shown.replacen('@', &password, 1)))
    }

    /// Host and port, for connecting.
    pub(super) fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The same, for sentences about the network.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether the bytes stay on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_this_machine(&self.host)
    }

    /// The address in lapin's terms. It is built and not parsed there: lapin's parser silently
    /// replaces an IPv6 host by `localhost`, and a missing password by `guest`. Who has no password and shows a certificate
    /// logs in by that.
    pub(super) fn uri(&self, shows_certificate: bool) -> Result<AMQPUri, Failure> {
        let (password, mechanism) = match &self.password {
            Some(password) => (password.clone(), SASLMechanism::default()),
            None if self.encrypted && shows_certificate => (String::new(), SASLMechanism::External),
            None => {
                let doing = format!("connecting to {self}");
                return Err(Failure::new(Kind::Configuration, doing, "there is no password").hint(
                    "put the whole address, with the password, into SALESYNC_BROKER_URL; or log in by a certificate: amqps:// \
                     and client_certificate in [broker]",
                ));
            }
        };
        Ok(AMQPUri {
            scheme: if self.encrypted { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo { username: self.user.clone(), password },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT),
                frame_max: Some(FRAME),
                auth_mechanism: Some(mechanism),
                ..AMQPQueryString::default()
            },
        })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}@{}/{}", encode(&self.user), self.place(), encode(&self.vhost))
    }
}

impl fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerAddress({self})")
    }
}

fn wrong(why: &str, hint: impl Into<String>) -> Failure {
    Failure::new(Kind::Configuration, READING, why).hint(hint)
}

/// `user[:password]@place`, the first two decoded.
fn split_authority(authority: &str) -> Result<(String, Option<String>, &str), Failure> {
    let (login, place) = authority.split_once('@').ok_or_else(|| wrong("it names no user", FORM))?;
    if place.contains('@') {
        return Err(wrong("there are two '@' before the host", format!("in user and password, {ENCODE}")));
    }
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(decode(password, "the password")?)),
        None => (login, None),
    };
    let user = decode(user, "the user")?;
    if user.is_empty() || user.len() > SHORT_STRING {
        return Err(wrong("the user is empty or longer than 255 bytes", FORM));
    }
    Ok((user, password, place))
}

/// `host[:port]`; an IPv6 host stands in brackets.
fn split_place(place: &str) -> Result<(String, Option<u16>), Failure> {
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed
                .split_once(']')
                .filter(|(host, _)| host.parse::<Ipv6Addr>().is_ok())
                .ok_or_else(|| wrong("what stands in brackets is no IPv6 address", FORM))?;
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return Err(wrong("something follows the IPv6 address", FORM)),
            }
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if !place.starts_with('[') && !is_host_name(host) {
        return Err(wrong("the host is no host name", FORM));
    }
    let port = port.map(read_port).transpose()?;
    Ok((host.to_owned(), port))
}

fn is_host_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn read_port(port: &str) -> Result<u16, Failure> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse()
        .ok()
        .filter(|&number| digits && number != 0)
        .ok_or_else(|| wrong("the port is no number from 1 to 65535 (an IPv6 host needs brackets)", FORM))
}

/// The virtual host in what follows the host: nothing, or a slash and a name.
fn read_vhost(path: &str) -> Result<String, Failure> {
    if path.contains(['?', '#']) {
        return Err(wrong(
            "it has parameters ('?') or a fragment ('#')",
            "leave them out: salesync sets heartbeat and time limits itself",
        ));
    }
    let Some(name) = path.strip_prefix('/') else {
        return Ok("/".to_owned());
    };
    if name.is_empty() {
        return Err(wrong(
            "it ends in '/', which AMQP reads as the virtual host with the empty name",
            "append the virtual host's name (HOST/salesync); for the broker's default one write HOST/%2F",
        ));
    }
    if name.contains('/') {
        return Err(wrong("the virtual host contains a '/'", "write it as %2F"));
    }
    let vhost = decode(name, "the virtual host")?;
    if vhost.len() > SHORT_STRING {
        return Err(wrong("the virtual host is longer than 255 bytes", FORM));
    }
    Ok(vhost)
}

/// Percent-decodes `text`; control characters have no place in any part of the address.
fn decode(text: &str, part: &str) -> Result<String, Failure> {
    let refused = |why| wrong(&format!("{part} {why}"), ENCODE);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(refused("has a '%' without two hexadecimal digits"));
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            other => other,
        });
    }
    let decoded = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8"))?;
    if decoded.contains(char::is_control) {
        return Err(refused("contains a control character"));
    }
    Ok(decoded)
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
