//! From what the broker or the network said to what the user reads: the kind, the sentence, the hint.

use std::io;
use std::sync::Arc;

use lapin::ErrorKind;
use lapin::protocol::AMQPError;
use tokio_rustls::rustls::ClientConfig;

use super::address::BrokerAddress;
use super::encryption::SETTINGS;
use super::link::Trouble;
use super::probe::{speaks_tls, takes_certificates};
use crate::domain::{Failure, Kind};
use crate::tls::{handshake_error, late_alert, tls_failure};

const LATER: &str = "nothing is lost; try again when the line is up";
const CREDENTIALS: &str = "check user and password in broker.url or SALESYNC_BROKER_URL";
const CERTIFICATE: &str = "without a password the common name of client_certificate is the user: it has to be the one in broker.url, \
     and one that the broker knows (`rabbitmqctl list_users`)";
const NO_EXTERNAL: &str = "its operator enables rabbitmq_auth_mechanism_ssl and adds EXTERNAL to auth_mechanisms; or put the password \
     into broker.url or SALESYNC_BROKER_URL";
const RIGHTS: &str = "this broker user lacks the right for it; `salesync enroll` at head office prints what a branch's user needs";
pub(super) const INIT: &str =
    "declare the exchanges and queues: run `salesync init` at head office, with this branch enrolled there";
const TOO_LARGE: &str =
    "set bundle.max_bytes below this limit (or raise max_message_size in the broker's rabbitmq.conf)";
const LARGER_THAN: &str = "is larger than configured max size ";

/// A call that failed on an open connection.
pub(super) fn during(doing: impl Into<String>, trouble: Trouble) -> Failure {
    let doing = doing.into();
    match trouble {
        Trouble::Late(deadline) => {
            let why = format!("the broker did not answer within {}", humantime::format_duration(deadline));
            Failure::new(Kind::Unreachable, doing, why).hint(LATER)
        }
        Trouble::Blocked(reason) => {
            let why = format!("the broker accepts no messages because of an alarm: {reason}");
            Failure::new(Kind::Unreachable, doing, why)
                .hint("its operator has to free disk space or memory; nothing is lost, try again then")
        }
        Trouble::Lapin(error) => match error.kind() {
            ErrorKind::ProtocolError(error) => refused(doing, error),
            ErrorKind::IOError(error) => network(doing, error),
            ErrorKind::MissingHeartbeatError => {
                Failure::new(Kind::Unreachable, doing, "the broker or the line went dead").hint(LATER)
            }
            ErrorKind::InvalidChannel(_)
            | ErrorKind::InvalidChannelState(..)
            | ErrorKind::InvalidConnectionState(_) => {
                Failure::new(Kind::Unreachable, doing, "the connection is closed").hint(LATER)
            }
            ErrorKind::ParsingError(_) => Failure::new(Kind::Damaged, doing, "what the broker sent cannot be read")
                .hint("a message in this queue may have damaged properties; its operator can look at it and remove it"),
            _ => Failure::new(Kind::Failed, doing, error),
        },
    }
}

/// A connection that did not come about.
pub(super) fn connecting(
    doing: String,
    address: &BrokerAddress,
    tls: Option<Arc<ClientConfig>>,
    trouble: Trouble,
) -> Failure {
    match &trouble {
        Trouble::Lapin(error) => match error.kind() {
            ErrorKind::ParsingError(_) | ErrorKind::InvalidProtocolVersion(_) => no_amqp(doing, address),
            ErrorKind::IOError(error) => no_connection(doing, address, tls, error),
            _ => during(doing, trouble),
        },
        Trouble::Late(_) if !address.is_encrypted() => during(doing, trouble)
            .hint(format!("is {} up, and is it plain AMQP, not TLS? {LATER}", address.place())),
        _ => during(doing, trouble),
    }
}

fn no_amqp(doing: String, address: &BrokerAddress) -> Failure {
    let hint = if address.is_encrypted() {
        "is this the broker's AMQPS port (5671)?"
    } else {
        "if this is the broker's TLS port, write amqps:// instead of amqp://"
    };
    Failure::new(Kind::Configuration, doing, "what answers there does not speak AMQP").hint(hint)
}

fn no_connection(
    doing: String,
    address: &BrokerAddress,
    tls: Option<Arc<ClientConfig>>,
    error: &io::Error,
) -> Failure {
    if let Some(error) = handshake_error(error) {
        return tls_failure(doing, error, &SETTINGS);
    }
    let said = error.to_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::new(Kind::Unreachable, doing, "nothing listens there")
            .hint(format!("is the broker running, and is {} right? {LATER}", address.place())),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => match tls {
            Some(tls) => match late_alert(address.host_and_port(), Arc::clone(&tls), |_| Ok(())) {
                Some(error) => tls_failure(doing, &error, &SETTINGS),
                // It hangs up on a way to log in that it has not offered.
                None if !address.has_password() && takes_certificates(address, tls) == Some(false) => {
                    Failure::new(Kind::Configuration, doing, "the broker takes no certificate as a login")
                        .hint(NO_EXTERNAL)
                }
                None => Failure::new(Kind::Unreachable, doing, format!("it hung up: {said}"))
                    .hint("is this the broker's AMQPS port (5671)? if it is, try again later"),
            },
            // The alert of a TLS server and the end of the connection come together, and often only the end is seen.
            None if speaks_tls(address) => no_amqp(doing, address),
            None => Failure::new(Kind::Unreachable, doing, format!("it hung up: {said}"))
                .hint("if this is the broker's TLS port, write amqps://; else try again later"),
        },
        _ => Failure::new(Kind::Unreachable, doing, said)
            .hint(format!("if the line is up, check the host in {}; {LATER}", address.place())),
    }
}

fn network(doing: String, error: &io::Error) -> Failure {
    Failure::new(Kind::Unreachable, doing, format!("the connection to the broker was lost: {error}"))
        .hint(LATER)
}

/// The largest message the broker takes, in bytes, if it has just refused a larger one.
pub(super) fn message_limit(trouble: &Trouble) -> Option<u64> {
    let Trouble::Lapin(error) = trouble else { return None };
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    let (_, limit) = error.get_message().as_str().split_once(LARGER_THAN)?;
    limit.parse().ok()
}

/// The broker's own refusals, by reply code and, where one code has many meanings, by text.
fn refused(doing: String, error: &AMQPError) -> Failure {
    let code = error.get_id();
    let said = error.get_message().as_str();
    let (kind, hint) = match code {
        403 if said.contains("mechanism EXTERNAL") => (Kind::Permission, CERTIFICATE),
        403 if said.contains("Login was refused") => (Kind::Permission, CREDENTIALS),
        403 => (Kind::Permission, RIGHTS),
        404 => (Kind::Configuration, INIT),
        405 => (
            Kind::Configuration,
            "no other program may use this queue exclusively or as single active consumer",
        ),
        406 if said.contains(LARGER_THAN) => (Kind::Configuration, TOO_LARGE),
        406 if said.contains("inequivalent arg") => (
            Kind::Configuration,
            "it exists with other properties; once it is empty, delete it and run `salesync init` again",
        ),
        406 if said.contains("timed out") => (
            Kind::Unreachable,
            "the message comes again; if it needs this long, raise the broker's consumer_timeout",
        ),
        530 if said.contains("limit") || said.contains("is down") => (Kind::Unreachable, LATER),
        530 if said.contains("not found") => (
            Kind::Configuration,
            "check the virtual host, the last part of broker.url; it has to exist at the broker",
        ),
        530 => {
            (Kind::Permission, "give this user permissions on the virtual host (rabbitmqctl set_permissions)")
        }
        // Shut down or closed by its operator; out of resources or of a majority of its nodes.
        320 | 506 | 541 => (Kind::Unreachable, LATER),
        _ => return Failure::new(Kind::Failed, doing, format!("the broker refused: {said} ({code})")),
    };
    Failure::new(kind, doing, format!("the broker refused: {said}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reply(code: u16, text: &str) -> Failure {
        let error = AMQPError::from_id(code, text.into()).expect("a reply code of AMQP");
        during("doing", Trouble::Lapin(ErrorKind::ProtocolError(error).into()))
    }

    #[test]
    fn each_refusal_of_the_broker_has_its_kind_and_a_hint() {
        for (code, text, kind, hint) in [
            (403, "ACCESS_REFUSED - Login was refused using PLAIN", Kind::Permission, "password"),
            (403, "ACCESS_REFUSED - write access to exchange", Kind::Permission, "enroll"),
            (404, "NOT_FOUND - no queue 'x'", Kind::Configuration, "salesync init"),
            (
                406,
                "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
                Kind::Configuration,
                "bundle.max_bytes",
            ),
            (406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type'", Kind::Configuration, "delete"),
            (406, "PRECONDITION_FAILED - acknowledgement timed out", Kind::Unreachable, "consumer_timeout"),
            (530, "NOT_ALLOWED - vhost x not found", Kind::Configuration, "virtual host"),
            (530, "NOT_ALLOWED - access to vhost 'x' refused for user", Kind::Permission, "permissions"),
            (530, "NOT_ALLOWED - connection limit (1) is reached", Kind::Unreachable, "again"),
            (320, "CONNECTION_FORCED - broker forced connection closure", Kind::Unreachable, "again"),
        ] {
            let failure = reply(code, text);
            assert_eq!(failure.kind(), kind, "{text}");
            assert!(failure.to_string().contains(text), "{failure}");
            assert!(failure.advice().is_some_and(|advice| advice.contains(hint)), "{failure:?}");
        }
        assert_eq!(reply(501, "FRAME_ERROR").kind(), Kind::Failed);
    }

    #[test]
    fn what_may_pass_by_itself_is_called_unreachable() {
        let reset = lapin::Error::from(io::Error::from(io::ErrorKind::ConnectionReset));
        for trouble in [
            Trouble::Late(Duration::from_secs(30)),
            Trouble::Blocked("low on disk".to_owned()),
            Trouble::Lapin(reset),
            Trouble::Lapin(ErrorKind::MissingHeartbeatError.into()),
        ] {
            let failure = during("doing", trouble);
            assert_eq!(failure.kind(), Kind::Unreachable, "{failure}");
            assert!(failure.advice().is_some(), "{failure}");
        }
    }
}
