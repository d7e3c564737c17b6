//! `salesync approve`, `salesync reject`, `salesync retry`

use std::env;

use postgres::Client;

use super::args::{Approve, Reject, Retry};
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::verdicts::Verdicts;
use crate::domain::{Failure, NodeName};
use crate::head_office::{CarriedOut, Decider, Ruling, carry_out, decide, write_to_branches};

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
    let by = Decider { name: &operator, reason, seen: None };
    let decision = decide(&mut client, &settings.archive, branch, ruling, by)?;
    let mut verdicts = Verdicts::default();
    match carry_out(&mut client, &settings.archive, settings.policy, &settings.enrolment, Some(decision))? {
        CarriedOut::Here(found) => {
            verdicts.add(found);
            context.print(&verdicts)?;
            tell_branches(&settings, &mut client);
        }
        left @ CarriedOut::LeftTo(_) => {
            verdicts.are_left(&left);
            context.print(&verdicts)?;
        }
    }
    Ok(verdicts.exit(false))
}

/// Sends what the branches should know, if the broker is there. If not, it goes with the next `apply`.
fn tell_branches(settings: &Settings, client: &mut Client) {
    let told = settings.connect_broker().and_then(|mut broker| {
        write_to_branches(client, &mut broker)?;
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
