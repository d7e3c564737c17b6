//! `salesync hash-password`

use std::io::{self, BufRead as _, IsTerminal as _};

use super::context::Context;
use super::exit::Exit;
use crate::domain::{Failure, Kind};
use crate::web::hash_password;

pub(super) fn run() -> Result<Exit, Failure> {
    let hash = hash_password(&read()?)?;
    Context::write(format!("{hash}\n").as_bytes())?;
    Ok(Exit::Done)
}

/// From a terminal twice and unseen; otherwise the first line.
fn read() -> Result<String, Failure> {
    let unread = |error| Failure::new(Kind::Failed, "reading the password", error);
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unread)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let password = rpassword::prompt_password("Password: ").map_err(unread)?;
    if rpassword::prompt_password("Again: ").map_err(unread)? != password {
        return Err(Failure::new(Kind::Usage, "reading the password", "the two are not the same")
            .hint("run the command again"));
    }
    Ok(password)
}
