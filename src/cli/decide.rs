//! `salesync approve`, `salesync reject`, `salesync retry`

use std::env;

use super::args::{Approve, Reject, Retry};
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::verdicts::Verdicts;
use crate::database::{Lock, take_lock};
use crate::domain::Failure;
use crate::head_office::{Decider, Receiver, Verdict};

pub(super) fn approve(context: &Context, args: &Approve) -> Result<Exit, Failure> {
    decide(context, args.reason.as_deref(), |receiver, by| receiver.approve(&args.branch, args.bundle, by))
}

pub(super) fn reject(context: &Context, args: &Reject) -> Result<Exit, Failure> {
    decide(context, Some(&args.reason), |receiver, by| receiver.reject(&args.branch, args.bundle, by))
}

pub(super) fn retry(context: &Context, args: &Retry) -> Result<Exit, Failure> {
    decide(context, None, |receiver, by| receiver.retry(&args.branch, by))
}

fn decide(
    context: &Context,
    reason: Option<&str>,
    decide: impl FnOnce(&mut Receiver<'_>, Decider<'_>) -> Result<Vec<Verdict>, Failure>,
) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::HeadOffice)?;
    let mut client = settings.connect_prepared_database("decide")?;
    take_lock(&mut client, Lock::Apply)?;
    let mut receiver = Receiver::new(&mut client, &settings.archive, settings.policy)?;
    let mut verdicts = Verdicts::default();
    verdicts.add(decide(&mut receiver, Decider { name: &operator(), reason })?);
    context.print(&verdicts)?;
    tell_branches(&settings, &mut receiver);
    Ok(verdicts.exit(false))
}

/// Sends what the branches should know, if the broker is there. If not, it goes with the next `apply`.
fn tell_branches(settings: &Settings, receiver: &mut Receiver<'_>) {
    let told = settings.connect_broker().and_then(|mut broker| {
        receiver.publish_receipts(&mut broker)?;
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
