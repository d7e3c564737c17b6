//! `salesync bundle`

use std::fmt;

use postgres::Client;
use serde::Serialize;

use super::args::Bundle;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::{CutOptions, Node, RecordedBundle, cut, pending_bundles, publish};
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind};

/// What was sealed or published.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bundles: Vec<Line>,
    pending: usize,
    receipts: usize,
}

#[derive(Debug, Serialize)]
struct Line {
    branch: String,
    sequence: u64,
    bundle_id: String,
    file: String,
    manifest_sha256: String,
    rows: i64,
    tombstones: i64,
    bytes: i64,
    state: String,
}

pub(super) fn run(context: &Context, args: &Bundle) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let mut client = settings.connect_prepared_database("bundle")?;
    take_lock(&mut client, Lock::Bundle)?;
    let days = settings.tables.iter().filter_map(|(table, day)| Some((table.clone(), day.clone()?)));
    let options = CutOptions { since: args.since, limits: settings.limits, days: days.collect() };
    let sealed = cut(&mut client, &settings.node, &settings.archive, &options);
    match sealed.err() {
        None => publish_pending(context, &settings, &mut client, args.offline),
        Some(failure) if failure.kind() == Kind::NeedsPerson => Err(failure),
        // What was sealed earlier does not have to wait for what stopped this cut.
        Some(failure) => {
            if let Err(also) = publish_pending(context, &settings, &mut client, args.offline) {
                Context::complain(&also);
            }
            Err(failure)
        }
    }
}

fn publish_pending(
    context: &Context,
    settings: &Settings,
    client: &mut Client,
    offline: bool,
) -> Result<Exit, Failure> {
    let node = Node::load(client, &settings.node)?;
    let pending = pending_bundles(client, &node, &settings.archive)?;
    if offline {
        context.print(&Report::new(&pending, pending.len()))?;
        return Ok(Exit::Done);
    }
    publish_all(context, settings, client, pending).map(|()| Exit::Done)
}

/// Publishes these bundles in their order, prints what became of each, and fails if one is left.
pub(super) fn publish_all(
    context: &Context,
    settings: &Settings,
    client: &mut Client,
    mut bundles: Vec<RecordedBundle>,
) -> Result<(), Failure> {
    let (published, outcome) = publish_in_order(settings, client, &bundles);
    for bundle in &mut bundles[..published] {
        if bundle.state == "sealed" {
            "published".clone_into(&mut bundle.state);
        }
    }
    let left = bundles.len() - published;
    context.print(&Report::new(&bundles, left))?;
    outcome.map_err(|failure| with_work_left(failure, left))
}

fn publish_in_order(
    settings: &Settings,
    client: &mut Client,
    bundles: &[RecordedBundle],
) -> (usize, Result<(), Failure>) {
    if bundles.is_empty() {
        return (0, Ok(()));
    }
    let mut broker = match settings.connect_broker() {
        Ok(broker) => broker,
        Err(failure) => return (0, Err(failure)),
    };
    for (published, bundle) in bundles.iter().enumerate() {
        if let Err(failure) = publish(client, &mut broker, bundle) {
            return (published, Err(failure));
        }
    }
    broker.close();
    (bundles.len(), Ok(()))
}

/// With the bundles safely sealed, a broker that is away is no failure but a wait.
fn with_work_left(failure: Failure, left: usize) -> Failure {
    if failure.kind() != Kind::Unreachable {
        return failure;
    }
    let hint =
        format!("{left} sealed bundles are safe in the archive; the next `salesync bundle` publishes them");
    failure.as_kind(Kind::Postponed).hint(hint)
}

impl Report {
    fn new(bundles: &[RecordedBundle], pending: usize) -> Self {
        let line = |bundle: &RecordedBundle| Line {
            branch: bundle.branch.to_string(),
            sequence: bundle.sequence.get(),
            bundle_id: bundle.bundle_id.to_string(),
            file: bundle.path.display().to_string(),
            manifest_sha256: bundle.manifest_sha256.clone(),
            rows: bundle.rows,
            tombstones: bundle.tombstones,
            bytes: bundle.bytes,
            state: bundle.state.clone(),
        };
        Self { bundles: bundles.iter().map(line).collect(), pending, receipts: 0 }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bundles.is_empty() {
            return writeln!(f, "nothing has changed, and nothing is pending");
        }
        for Line { branch, sequence, rows, tombstones, bytes, state, .. } in &self.bundles {
            writeln!(f, "{branch} {sequence}: {rows} rows, {tombstones} tombstones, {bytes} bytes, {state}")?;
        }
        Ok(())
    }
}
