//! `salesync sync`: everything to head office, now, and its answer.

use std::thread;
use std::time::{Duration, Instant};

use super::args::Sync;
use super::context::Context;
use super::exchange::outgoing::Outgoing;
use super::exchange::report::{Report, with_work_left};
use super::exchange::{Exchange, forbids_sending};
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::{Since, is_followed, renew_state};
use crate::domain::{Failure, Kind, Onlooker, Stage};

/// How often to look for an answer.
const LOOK: Duration = Duration::from_millis(250);

/// How long the page waits for the answers.
const PATIENCE: Duration = Duration::from_secs(30);

const ASK_AGAIN: &str = "nothing is lost, the broker has them; the next `salesync sync` asks again";

pub(super) fn run(context: &Context, args: &Sync) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let exchange = Exchange::begin(context, &settings, "sync")?;
    let synced = synchronise(exchange, args.wait)?;
    context.print(&synced.report)?;
    synced.end
}

/// What came of it.
pub(super) struct Synced {
    report: Report,
    /// How the command ends.
    pub(super) end: Result<Exit, Failure>,
}

/// Brings everything to head office, and waits for its answers no longer than that. A failure of its own means that
/// nothing could be sent.
pub(super) fn synchronise(mut exchange: Exchange<'_>, wait: Duration) -> Result<Synced, Failure> {
    let mut outgoing = Outgoing::default();
    let sealed = exchange.seal_and_send(Since::Last, &mut outgoing, &|| true);
    if let Err(failure) = sealed.as_ref()
        && forbids_sending(failure)
    {
        return Err(failure.clone());
    }
    let node = exchange.node()?;
    exchange.collect(&node, &mut outgoing)?;
    let outcome = exchange
        .visit_broker(&mut outgoing, &|| true)
        .and_then(|()| wait_for_answers(&mut exchange, &mut outgoing, wait));
    let report = Report::new(&outgoing).with_answers(&mut exchange)?.with_proof();
    exchange.end();
    let end = sealed.and_then(|()| end(&report, &outgoing, outcome, wait));
    Ok(Synced { report, end })
}

fn end(
    report: &Report,
    outgoing: &Outgoing,
    outcome: Result<(), Failure>,
    wait: Duration,
) -> Result<Exit, Failure> {
    outcome.map_err(|failure| match outgoing.left().bundles {
        0 => without_answer(failure),
        left => with_work_left(failure, left),
    })?;
    match (report.exit(), outgoing.unanswered()) {
        (Exit::Done, 0) => Ok(Exit::Done),
        (Exit::Done, unanswered) => {
            let waited = humantime::format_duration(wait);
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
        let unanswered = outgoing.unanswered();
        if unanswered == 0 || Instant::now() >= end {
            return Ok(());
        }
        exchange.onlooker.sees(&Stage::AwaitingAnswers(unanswered));
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        exchange.take_answers(outgoing)?;
    }
}

/// The same for somebody who can wait until another one that is at work has ended. Where a follower is at work there
/// is nothing to wait for.
pub(super) fn synchronise_in_turn(settings: &Settings, onlooker: &dyn Onlooker) -> Result<(), Failure> {
    loop {
        match Exchange::begin(onlooker, settings, "sync") {
            Ok(exchange) => return synchronise(exchange, PATIENCE)?.end.map(drop),
            Err(failure) if failure.kind() == Kind::Postponed => {
                if is_followed(&mut settings.connect_database("sync")?)? {
                    return Err(failure.hint(
                        "sales go to head office by themselves here, as soon as they are saved and the line is up",
                    ));
                }
                onlooker.sees(&Stage::AwaitingTurn(failure.to_string()));
                thread::sleep(LOOK);
            }
            Err(failure) => return Err(failure),
        }
    }
}
