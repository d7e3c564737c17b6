//! `salesync bundle`

use super::args::Bundle;
use super::context::Context;
use super::exchange::Exchange;
use super::exchange::outgoing::Outgoing;
use super::exchange::report::{Report, with_work_left};
use super::exchange::{follow, forbids_sending, window};
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::domain::{Failure, Kind};

pub(super) fn run(context: &Context, args: &Bundle) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    match args.window() {
        Some(window) => window::run(context, &settings, args.since, window),
        None if args.follow => follow::run(context, &settings, args.since),
        None => run_once(context, &settings, args),
    }
}

fn run_once(context: &Context, settings: &Settings, args: &Bundle) -> Result<Exit, Failure> {
    let mut exchange = Exchange::begin(context, settings, "bundle")?;
    let mut outgoing = Outgoing::default();
    let sealed = if args.offline {
        exchange.seal(args.since)
    } else {
        exchange.seal_and_send(args.since, &mut outgoing, &|| true)
    };
    match sealed {
        Ok(()) => publish_pending(context, exchange, outgoing, args.offline),
        Err(failure) if forbids_sending(&failure) => Err(failure),
        Err(failure) => {
            outgoing.lacks_cut = true;
            match publish_pending(context, exchange, outgoing, args.offline) {
                Err(also) if also.to_string() != failure.to_string() => Context::complain(&also),
                _ => {}
            }
            Err(failure)
        }
    }
}

fn publish_pending(
    context: &Context,
    mut exchange: Exchange<'_>,
    mut outgoing: Outgoing,
    offline: bool,
) -> Result<Exit, Failure> {
    let node = exchange.node()?;
    exchange.collect(&node, &mut outgoing)?;
    if offline {
        context.print(&Report::new(&outgoing))?;
        return Ok(Exit::Done);
    }
    publish_all(context, exchange, outgoing)
}

/// Takes in receipts, publishes these bundles in their order, prints what became of each, and fails if
/// one is left.
pub(super) fn publish_all(
    context: &Context,
    mut exchange: Exchange<'_>,
    mut outgoing: Outgoing,
) -> Result<Exit, Failure> {
    let outcome = exchange.visit_broker(&mut outgoing, &|| true);
    let left = outgoing.left().bundles;
    let report = Report::new(&outgoing).with_answers(&mut exchange)?;
    exchange.end();
    context.print(&report)?;
    match outcome {
        Err(failure) if left > 0 => return Err(with_work_left(failure, left)),
        // Nothing was to be sent; the receipts come another time.
        Err(failure) if failure.kind() == Kind::Unreachable => tracing::warn!("{failure}"),
        // The next bundle would be stopped by it.
        Err(failure) => return Err(failure),
        Ok(()) => {}
    }
    Ok(report.exit())
}
