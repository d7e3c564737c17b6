//! `salesync bundle --until`, `--for`: as long as the line may be used.

use super::rounds::Rounds;
use crate::branch::Since;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use crate::cli::unattended::retry::{Retry, may_pass};
use crate::cli::unattended::stop::Stop;
use crate::domain::{Failure, Kind, Window};

/// Tries until everything is sent, or the window closes.
pub(in crate::cli) fn run(
    context: &Context,
    settings: &Settings,
    since: Since,
    window: Window,
) -> Result<Exit, Failure> {
    let stop = Stop::listen()?;
    let mut rounds = Rounds::new(context, settings, since);
    let trouble = work(&mut rounds, window, &stop)?;
    let left = rounds.outgoing.left();
    let exit = rounds.report();
    rounds.end();
    if trouble.is_none() && left.bundles == 0 {
        return exit;
    }
    let end = if stop.is_asked() { "it was stopped" } else { "the window has closed" };
    let rest = if left.bundles > 0 { format!(" with {left}") } else { String::new() };
    let cause = trouble.map_or_else(String::new, |trouble| format!("; the last attempt failed: {trouble}"));
    let why = format!("{end}{rest}{cause}");
    Err(Failure::new(Kind::Postponed, "publishing in the window", why)
        .hint("nothing is lost; the next `salesync bundle` goes on"))
}

/// What stood in the way at the end; nothing if all is sent, or the window closed between two bundles.
fn work(rounds: &mut Rounds<'_>, window: Window, stop: &Stop) -> Result<Option<Failure>, Failure> {
    let may_begin = || window.is_open() && !stop.is_asked();
    let mut retry = Retry::new();
    loop {
        let sent_before = rounds.outgoing.sent();
        let Err(failure) = rounds.round(&may_begin) else { return Ok(None) };
        if !may_pass(&failure) || rounds.is_refused() {
            rounds.report()?;
            return Err(failure);
        }
        if rounds.outgoing.sent() > sent_before {
            retry = Retry::new();
        }
        let pause = retry.after(&failure).min(window.remaining());
        if stop.wait(pause) || !window.is_open() {
            return Ok(Some(failure));
        }
    }
}
