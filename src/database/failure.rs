//! What a database error means to the user, decided in one place.

use std::error::Error as _;

use postgres::Error;
use postgres::error::{DbError, Severity, SqlState};

use crate::domain::{Failure, Kind};

const WHEN_WELL: &str = "nothing was changed; run again when the database server is well";

const RIGHTS: &str =
    "grant the role in database.url what the message names; migrations/roles.sql has what each role needs";

const PASSWORD: &str = "set SALESYNC_DATABASE_URL, PGPASSWORD or .pgpass, and check pg_hba.conf";

const ENTRY: &str = "check database.url and the server's pg_hba.conf: it may not know this user, database or address, or want TLS \
                     (sslmode=verify-full in the URL) or a client certificate (sslcert and sslkey)";

/// Bytes of each part of a server's message that are shown, at most.
const LONGEST_PART: usize = 1000;

/// A database error while `doing` something, in the server's own words with what to do about it.
pub fn database_failure(doing: impl Into<String>, error: &Error) -> Failure {
    let Some(db) = error.as_db_error() else {
        return without_answer(doing.into(), error);
    };
    let (kind, hint) = meaning(db);
    let failure = Failure::new(kind, doing, in_words(db));
    match hint.or_else(|| db.hint()) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The same for an error that came through a COPY's reader or writer.
pub fn copy_failure(doing: impl Into<String>, error: &std::io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => database_failure(doing, error),
        None => Failure::new(Kind::Unreachable, doing, error),
    }
}

/// True if the same work may well succeed later without anybody changing it: the server is away, out
/// of space or shutting down, or somebody else held a lock.
pub fn is_passing(error: &Error) -> bool {
    let passing = |db: &DbError| {
        meaning(db).0 == Kind::Unreachable || matches!(*db.code(), SqlState::LOCK_NOT_AVAILABLE)
    };
    error.as_db_error().map_or_else(|| is_lost(error), passing)
}

/// The server said nothing: the connection failed, or what was sent or received made no sense here.
fn without_answer(doing: String, error: &Error) -> Failure {
    let cause = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if !is_lost(error) {
        // The client library has no other sign for what fails in a login than its words.
        let is_login = cause.starts_with("authentication error") || cause.ends_with("password missing");
        if is_login {
            return Failure::new(Kind::Permission, doing, cause).hint(PASSWORD);
        }
        return Failure::new(Kind::Failed, doing, cause);
    }
    Failure::new(Kind::Unreachable, doing, cause)
        .hint("check that the server runs and that database.url names the right host and port")
}

fn is_lost(error: &Error) -> bool {
    error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn meaning(db: &DbError) -> (Kind, Option<&'static str>) {
    match db.code().code() {
        "28P01" => (Kind::Permission, Some(PASSWORD)),
        "28000" => (Kind::Permission, Some(ENTRY)),
        "42501" => (Kind::Permission, Some(RIGHTS)),
        "25006" => (
            Kind::Configuration,
            Some("this server is a standby or read-only; database.url must name the one that is written to"),
        ),
        "3D000" => (Kind::Configuration, Some("create the database, or correct database.url")),
        "3F000" | "42P01" => (Kind::Failed, Some("run `salesync init` here first")),
        "53100" => (Kind::Unreachable, Some("free some disk space on the database server and run again")),
        "55P03" => {
            (Kind::Postponed, Some("another session holds a lock on the table; run again when it is done"))
        }
        code if ["53", "57", "58", "08", "40"].iter().any(|class| code.starts_with(class)) => {
            (Kind::Unreachable, Some(WHEN_WELL))
        }
        // The session is over, or the whole server, whatever the code.
        _ if matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => {
            (Kind::Unreachable, Some(WHEN_WELL))
        }
        _ => (Kind::Failed, None),
    }
}

fn in_words(db: &DbError) -> String {
    let mut words = shortened(db.message());
    for (label, part) in [(" - ", db.detail()), (" - at ", db.where_())] {
        if let Some(part) = part {
            words.push_str(label);
            words.push_str(&shortened(part.lines().next().unwrap_or_default()));
        }
    }
    words
}

/// Servers quote the value they object to, and it may have any length; a receipt may not.
fn shortened(words: &str) -> String {
    let end = words.floor_char_boundary(LONGEST_PART);
    let more = if end < words.len() { "..." } else { "" };
    format!("{}{more}", &words[..end])
}
