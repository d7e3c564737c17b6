//! What keeps passwords and keys within the process.

use std::env;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::domain::{Failure, Kind};

/// If it crashes, its memory, with passwords and keys in it, is not written to a file.
pub(super) fn leave_no_core_dump() {
    // Who may not even lower a limit has other worries.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Refuses a URL with a password among the arguments: everybody on the machine can read those.
pub(super) fn refuse_passwords_in_arguments() -> Result<(), Failure> {
    if !env::args_os().any(|argument| has_password(&argument.to_string_lossy())) {
        return Ok(());
    }
    let why =
        "there is a URL with a password, which everybody on this machine can read in the list of processes";
    Err(Failure::new(Kind::Usage, "reading the arguments", why).hint(
        "change that password, and put the URL into SALESYNC_DATABASE_URL, SALESYNC_BROKER_URL or the configuration",
    ))
}

/// Whether there is `://USER:PASSWORD@` in it.
fn has_password(argument: &str) -> bool {
    let login = argument.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    login.is_some_and(|(login, _)| login.contains(':') && !login.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn a_url_with_a_password_is_told_from_other_arguments() {
        for argument in ["postgres://east:s3cret@db/sales", "--config=amqps://u:p/w@h/v", "amqp://:p@h"] {
            assert!(has_password(argument), "{argument}");
        }
        for argument in [
            "",
            "status",
            "https://ho.example",
            "postgres://east@db:5432/sales",
            "a@b:c",
            "--reason=see https://wiki: asked by anna@ho.example",
        ] {
            assert!(!has_password(argument), "{argument}");
        }
    }
}
