//! `salesync bundle`

use std::fmt;

use postgres::Client;
use serde::Serialize;

use super::args::Bundle;
use super::context::Context;
use super::count::Count;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::{
    CutOptions, Node, RecordedBundle, Unapplied, cut, pending_bundles, publish, settle, unanswered_bundles,
    unapplied_bundles,
};
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind};

/// What was sealed or published.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bundles: Vec<Line>,
    pending: usize,
    receipts: u64,
    unapplied: Vec<Unapplied>,
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
    let options = CutOptions {
        since: args.since,
        limits: settings.limits,
        even_if_empty: false,
        tables: settings.tables.clone(),
    };
    let sealed = cut(&mut client, &settings.node, &settings.archive, &options);
    match sealed.err() {
        None => publish_pending(context, &settings, &mut client, args.offline),
        Some(failure) if matches!(failure.kind(), Kind::NeedsPerson | Kind::Usage) => Err(failure),
        // What was sealed earlier does not have to wait for what stopped this cut.
        Some(failure) => {
            match publish_pending(context, &settings, &mut client, args.offline) {
                Err(also) if also.to_string() != failure.to_string() => Context::complain(&also),
                _ => {}
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
    let node = Node::load(client, &settings.node, &settings.archive)?;
    let pending = pending_bundles(client, &node, &settings.archive)?;
    if offline {
        context.print(&Report::new(&pending, pending.len()))?;
        return Ok(Exit::Done);
    }
    publish_all(context, settings, client, &node, pending)
}

/// Takes in receipts, publishes these bundles in their order, prints what became of each, and fails if
/// one is left.
pub(super) fn publish_all(
    context: &Context,
    settings: &Settings,
    client: &mut Client,
    node: &Node,
    mut bundles: Vec<RecordedBundle>,
) -> Result<Exit, Failure> {
    let mut exchange = Exchange::default();
    let has_work = !bundles.is_empty() || unanswered_bundles(client, node)? > 0;
    let outcome = if has_work { exchange.run(settings, client, node, &mut bundles) } else { Ok(()) };
    let left = bundles.len() - exchange.published;
    let mut report = Report::new(&bundles, left);
    report.receipts = exchange.receipts;
    report.unapplied = unapplied_bundles(client)?;
    context.print(&report)?;
    match outcome {
        Err(failure) if left > 0 => return Err(with_work_left(failure, left)),
        // Nothing was to be sent; the receipts come another time.
        Err(failure) => tracing::warn!("{failure}"),
        Ok(()) => {}
    }
    Ok(if report.unapplied.is_empty() { Exit::Done } else { Exit::NeedsPerson })
}

/// One visit to the broker.
#[derive(Debug, Default)]
struct Exchange {
    receipts: u64,
    published: usize,
}

impl Exchange {
    fn run(
        &mut self,
        settings: &Settings,
        client: &mut Client,
        node: &Node,
        bundles: &mut [RecordedBundle],
    ) -> Result<(), Failure> {
        let mut broker = settings.connect_broker()?;
        match settle(client, &mut broker, node) {
            Ok(receipts) => self.receipts = receipts,
            // That receipts cannot be had is no reason to keep sales back.
            Err(failure) if matches!(failure.kind(), Kind::Configuration | Kind::Permission) => {
                Context::complain(&failure);
            }
            Err(failure) => return Err(failure),
        }
        for bundle in bundles {
            publish(client, &mut broker, bundle)?;
            self.published += 1;
        }
        broker.close();
        Ok(())
    }
}

/// With the bundles safely sealed, a broker that is away is no failure but a wait.
fn with_work_left(failure: Failure, left: usize) -> Failure {
    if failure.kind() != Kind::Unreachable {
        return failure;
    }
    let hint = format!(
        "{} safe in the archive; the next `salesync bundle` publishes what is left",
        Count(left, "sealed bundle")
    );
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
        Self { bundles: bundles.iter().map(line).collect(), pending, receipts: 0, unapplied: Vec::new() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bundles.is_empty() {
            writeln!(f, "nothing has changed, and nothing is pending")?;
        }
        for Line { branch, sequence, rows, tombstones, bytes, state, .. } in &self.bundles {
            let (rows, tombstones) = (Count(*rows, "row"), Count(*tombstones, "tombstone"));
            writeln!(f, "{branch} {sequence}: {rows}, {tombstones}, {bytes} bytes, {state}")?;
        }
        for Unapplied { sequence, state, reason } in &self.unapplied {
            writeln!(f, "head office has {state} bundle {sequence}: {reason}")?;
        }
        Ok(())
    }
}
