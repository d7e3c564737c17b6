//! `salesync sync`: everything to head office, now, and its answer.

use std::thread;
use std::time::{Duration, Instant};

use super::args::Sync;
use super::context::Context;
use super::exchange::outgoing::Outgoing;
use super::exchange::report::{Report, with_work_left};
use super::exchange::{Exchange, forbids_sending};
use super::exit::Exit;
use super::settings::Role;
use crate::branch::{Since, renew_state};
use crate::domain::{Failure, Kind};

/// How often to look for an answer.
const LOOK: Duration = Duration::from_millis(250);

const ASK_AGAIN: &str = "nothing is lost, the broker has them; the next `salesync sync` asks again";

pub(super) fn run(context: &Context, args: &Sync) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let mut exchange = Exchange::begin(context, &settings, "sync")?;
    let mut outgoing = Outgoing::default();
    let sealed = exchange.seal_and_send(Since::Last, &mut outgoing, &|| true);
    if sealed.as_ref().is_err_and(forbids_sending) {
        return sealed.map(|()| Exit::Done);
    }
    let node = exchange.node()?;
    exchange.collect(&node, &mut outgoing)?;
    let outcome = exchange
        .visit_broker(&mut outgoing, &|| true)
        .and_then(|()| wait_for_answers(&mut exchange, &mut outgoing, args.wait));
    let report = Report::new(&outgoing).with_answers(&mut exchange)?.with_proof();
    exchange.end();
    context.print(&report)?;
    sealed?;
    outcome.map_err(|failure| match outgoing.left().bundles {
        0 => without_answer(failure),
        left => with_work_left(failure, left),
    })?;
    match (report.exit(), outgoing.unanswered()) {
        (Exit::Done, 0) => Ok(Exit::Done),
        (Exit::Done, unanswered) => {
            let waited = humantime::format_duration(args.wait);
            let why =
                format!("{unanswered} of {} bundles not answered within {waited}", outgoing.bundles().len());
            Err(Failure::new(Kind::Postponed, "waiting for head office", why).hint(ASK_AGAIN))
        }
        (exit, _) => Ok(exit),
    }
}

/// Everything is sent; what is proven the next run finds out.
fn without_answer(failure: Failure) -> Failure {
    match failure.kind() {
        Kind::Unreachable => failure.as_kind(Kind::Postponed).hint(ASK_AGAIN),
        _ => failure,
    }
}

/// Takes in answers until each of the bundles has one, or the time is over.
fn wait_for_answers(
    exchange: &mut Exchange<'_>,
    outgoing: &mut Outgoing,
    time: Duration,
) -> Result<(), Failure> {
    let end = Instant::now() + time;
    loop {
        for bundle in outgoing.bundles_mut() {
            renew_state(&mut exchange.client, bundle)?;
        }
        if outgoing.unanswered() == 0 || Instant::now() >= end {
            return Ok(());
        }
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        exchange.take_answers(outgoing)?;
    }
}
