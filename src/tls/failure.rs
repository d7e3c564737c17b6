//! What a failed handshake means to the user.

use std::io;

use chrono::{DateTime, SecondsFormat};
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

use crate::domain::{Failure, Kind};

/// How a user knows the settings of a connection.
#[derive(Debug)]
pub struct Settings {
    /// Where the authority's file is named.
    pub authority: &'static str,
    /// Where one's own certificate and key are named.
    pub identity: &'static str,
    /// What to do where no TLS is spoken.
    pub without_tls: &'static str,
}

/// Names of a certificate that are told, at most: a server may present any number.
const MOST_NAMES: usize = 5;

/// The TLS library's own error, if that is what this one is about.
pub fn handshake_error(error: &io::Error) -> Option<&Error> {
    let mut inner: &(dyn std::error::Error + 'static) = error.get_ref()?;
    loop {
        if let Some(found) = inner.downcast_ref::<Error>() {
            return Some(found);
        }
        inner = match inner.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref()?,
            None => inner.source()?,
        };
    }
}

/// The failure that a handshake's error is.
pub fn tls_failure(doing: impl Into<String>, error: &Error, settings: &Settings) -> Failure {
    let (kind, why, hint) = match error {
        Error::InvalidCertificate(error) => certificate(error, settings),
        Error::AlertReceived(alert) => refusal(*alert, settings),
        Error::InvalidMessage(_) => (
            Kind::Configuration,
            "what answers there does not speak TLS".to_owned(),
            settings.without_tls.to_owned(),
        ),
        other => (
            Kind::Configuration,
            format!("TLS failed: {other}"),
            "both sides need TLS 1.2 or 1.3 with current algorithms".to_owned(),
        ),
    };
    Failure::new(kind, doing, why).hint(hint)
}

/// The server's certificate is not taken.
fn certificate(error: &CertificateError, settings: &Settings) -> (Kind, String, String) {
    let (why, hint) = match error {
        CertificateError::ExpiredContext { not_after, .. } => (
            format!("the server's certificate has expired on {}", moment(*not_after)),
            "its administrator has to renew it, unless this machine's clock is wrong".to_owned(),
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            format!("the server's certificate is not valid before {}", moment(*not_before)),
            "look at the clocks of both machines".to_owned(),
        ),
        CertificateError::UnknownIssuer => (
            "the server's certificate is not signed by an authority that is believed here".to_owned(),
            format!("for a private authority name its PEM file: {}", settings.authority),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => (
            format!("the server's certificate is for {}, not for {}", names(presented), expected.to_str()),
            "name the host in the URL as the certificate does, or have one issued for this name".to_owned(),
        ),
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            "the server's certificate is an authority's own".to_owned(),
            "let that authority sign one for the server, without CA:TRUE in its basic constraints".to_owned(),
        ),
        other => (
            format!("the server's certificate is not taken: {other}"),
            "its administrator has to replace it".to_owned(),
        ),
    };
    (Kind::Configuration, why, hint)
}

/// The server does not take ours, or us.
fn refusal(alert: AlertDescription, settings: &Settings) -> (Kind, String, String) {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => (
            Kind::Permission,
            "the server wants a client certificate".to_owned(),
            format!("name it and its key: {}", settings.identity),
        ),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => (
            Kind::Permission,
            format!("the server does not take the client certificate ({alert:?})"),
            format!("have one issued by an authority that the server believes: {}", settings.identity),
        ),
        _ => (
            Kind::Configuration,
            format!("the server refused TLS ({alert:?})"),
            format!(
                "it may want other versions of TLS than 1.2 and 1.3, or a client certificate: {}",
                settings.identity
            ),
        ),
    }
}

fn moment(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `DnsName("db.example")` is how the library writes one.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')'));
        inner.trim_matches('"').to_owned()
    };
    match presented.len() {
        0 => "no name at all (it has no subjectAltName)".to_owned(),
        count => {
            let more = if count > MOST_NAMES { " and others" } else { "" };
            presented.iter().take(MOST_NAMES).map(plain).collect::<Vec<_>>().join(", ") + more
        }
    }
}
