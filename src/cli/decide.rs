//! `salesync approve`, `salesync reject`, `salesync retry`

use std::env;

use super::args::{Approve, Reject, Retry};
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::verdicts::Verdicts;
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind, NodeName};
use crate::head_office::{Decider, Receiver, Ruling, decide};

pub(super) fn approve(context: &Context, args: &Approve) -> Result<Exit, Failure> {
    run(context, &args.branch, Ruling::Approve(args.bundle), args.reason.as_deref())
}

pub(super) fn reject(context: &Context, args: &Reject) -> Result<Exit, Failure> {
    run(context, &args.branch, Ruling::Reject(args.bundle), Some(&args.reason))
}

pub(super) fn retry(context: &Context, args: &Retry) -> Result<Exit, Failure> {
    run(context, &args.branch, Ruling::Retry, None)
}

fn run(context: &Context, branch: &NodeName, ruling: Ruling, reason: Option<&str>) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::HeadOffice)?;
    let mut client = settings.connect_prepared_database("decide")?;
    let operator = operator();
    decide(&mut client, &settings.archive, branch, ruling, Decider { name: &operator, reason })?;
    if let Err(failure) = take_lock(&mut client, Lock::Apply) {
        if failure.kind() != Kind::Postponed {
            return Err(failure);
        }
        // Whoever is at work hears of it.
        tracing::warn!("recorded, to be carried out by the one at work: {failure}");
        context.print(&Verdicts::default())?;
        return Ok(Exit::Done);
    }
    let mut receiver = Receiver::alone(&mut client, &settings.archive, settings.policy, &settings.enrolment)?;
    let mut verdicts = Verdicts::default();
    verdicts.add(receiver.carry_out_decisions(|_| true)?);
    context.print(&verdicts)?;
    tell_branches(&settings, &mut receiver);
    Ok(verdicts.exit(false))
}

/// Sends what the branches should know, if the broker is there. If not, it goes with the next `apply`.
fn tell_branches(settings: &Settings, receiver: &mut Receiver<'_>) {
    let told = settings.connect_broker().and_then(|mut broker| {
        receiver.write_to_branches(&mut broker)?;
        broker.close();
        Ok(())
    });
    if let Err(failure) = told {
        tracing::warn!("{failure}; the branch is told by the next `salesync apply`");
    }
}

/// Who is at the keyboard.
pub(super) fn operator() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok());
    named.filter(|name| !name.contains('\0')).unwrap_or_else(|| "somebody".to_owned())
}
