//! The cut: one REPEATABLE READ transaction reads what is unsynced, and what is sealed is recorded in another
//! session.
//!
//! The transaction's own snapshot is the new watermark. What is not visible in it, a transaction still
//! open among that, is what the next cut finds not visible in the last watermark. No row of the log
//! is changed and no writer waits.

use std::collections::BTreeMap;
use std::thread;

use postgres::error::SqlState;
use postgres::{Client, GenericClient, IsolationLevel, Transaction};

use super::captured::{check_capture, check_captured, check_day};
use super::changes::{TableCut, group_by_sorting};
use super::collecting::Collecting;
use super::days::Days;
use super::node::Node;
use super::order::parents_first;
use super::parts::Parts;
use super::record::{Recorder, Snapshot};
use super::sealing::{PartLimits, Sealing};
use super::tracking::{TrackedTable, tracked_tables};
use crate::archive::Archive;
use crate::bundle::RowReader;
use crate::database::{check_readable, copy_failure, database_failure};
use crate::domain::{Failure, Kind, MemberKind, Mode, NodeName, Sequence, TableName};
use crate::halt::{self, Step};

/// What a cut collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// What has changed since the last cut.
    Last,
    /// Whatever has changed since this bundle, as it stands now.
    Bundle(Sequence),
    /// Every table whole, in a new epoch.
    All,
}

/// How to cut.
#[derive(Debug)]
pub struct CutOptions {
    /// What to collect.
    pub since: Since,
    /// The bounds of a bundle.
    pub limits: PartLimits,
    /// Whether to seal a bundle even if nothing has changed: it proves just that.
    pub even_if_empty: bool,
    /// The tables that are configured, each with its business-day column if it has one.
    pub tables: BTreeMap<TableName, Option<String>>,
}

/// What a cut works with.
pub struct Cutter<'a> {
    /// The branch.
    pub name: &'a NodeName,
    /// Where its bundles go.
    pub archive: &'a Archive,
    /// What they are sealed with.
    pub sealing: Sealing<'a>,
    /// Opens another connection to its database.
    pub connect: &'a dyn Fn() -> Result<Client, Failure>,
    /// Is told whenever a bundle is recorded that is not the cut's last. None if nobody waits for them: the first is then as
    /// large as any other.
    pub on_part: Option<&'a dyn Fn()>,
}

/// Cuts the branch's database: seals what is unsynced, and records it. `client` holds
/// [`Lock::Bundle`](crate::database::Lock::Bundle) and records; another connection reads. To publish what was
/// recorded takes a [`Node::load`] after that, which writes the marker.
pub fn cut(client: &mut Client, cutter: &Cutter<'_>, options: &CutOptions) -> Result<(), Failure> {
    let Cutter { name, archive, .. } = *cutter;
    let node = load(client, name, archive, options)?;
    archive.remove_drafts()?;
    discard_unrecorded(archive, &node)?;
    let tracked = tracked_tables(client)?;
    if tracked.is_empty() {
        // Nothing would be noticed, and nobody would notice that.
        return Err(Failure::new(Kind::Configuration, "cutting", "no table is captured here")
            .hint("this branch has left; `salesync join` or `salesync init` captures its tables again"));
    }
    check_captured(&tracked, &options.tables)?;
    tracked.iter().try_for_each(|table| check_day(table, &options.tables))?;
    tracked.iter().try_for_each(|table| check_readable(client, &table.name))?;
    let base = Base::of(client, &node, options)?;
    let mut reader = (cutter.connect)()?;
    let failed = |error: postgres::Error| database_failure("cutting", &error);
    let builder = reader.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.start().map_err(failed)?;
    group_by_sorting(&mut transaction)?;
    lock_tables(&mut transaction, &tracked)?;
    let snapshot = Snapshot::of(&mut transaction).map_err(failed)?;
    halt::after(Step::SnapshotTaken);
    let tables = collect(&mut transaction, tracked, &base)?;
    if tables.is_empty() {
        return Ok(());
    }
    let recorder = Recorder { client, snapshot: &snapshot, tables: &tables, on_part: cutter.on_part };
    let limits = options.limits.within(node.message_limit);
    let mut parts = Parts::new(archive, limits, node, recorder, cutter.sealing)?;
    thread::scope(|scope| {
        let days = Days::begin(scope, &mut transaction, cutter.connect, &tables)?;
        let collecting = Collecting::begin(scope, &mut transaction, cutter.connect, &tables)?;
        fill(&mut transaction, &mut parts, &tables, collecting)?;
        parts.finish(days.get(&mut transaction, &tables)?)
    })
}

/// A new epoch is how a restored database goes on, so it is not held against it.
fn load(
    client: &mut Client,
    name: &NodeName,
    archive: &Archive,
    options: &CutOptions,
) -> Result<Node, Failure> {
    if options.since == Since::All {
        // An epoch without a cut would only give up what is pending in the one before it.
        for table in tracked_tables(client)? {
            check_day(&table, &options.tables)?;
            check_capture(client, &table)?;
        }
        // In the archive of a restored database it may be what was sent.
        if let Ok(ending) = Node::load(client, name, archive) {
            discard_unrecorded(archive, &ending)?;
        }
        Node::begin_epoch(client, name, archive)?;
    }
    Node::load(client, name, archive)
}

/// Removes what a killed run has sealed and not recorded.
fn discard_unrecorded(archive: &Archive, node: &Node) -> Result<(), Failure> {
    let discarded = archive.discard_after(&node.name, node.epoch, node.last_sequence)?;
    if discarded > 0 {
        tracing::warn!("discarded {discarded} bundles that an interrupted run had sealed but not recorded");
    }
    Ok(())
}

/// Taken before the snapshot, so that no table changes its shape or is truncated under the cut.
/// Writers do not wait for it.
fn lock_tables(transaction: &mut Transaction<'_>, tables: &[TrackedTable]) -> Result<(), Failure> {
    for table in tables {
        let sql = format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.name.sql());
        transaction.batch_execute(&sql).map_err(|error| {
            let doing = format!("waiting for table {}", table.name);
            if error.code() != Some(&SqlState::UNDEFINED_TABLE) {
                return database_failure(doing, &error);
            }
            Failure::new(Kind::Configuration, doing, "there is no such table any more")
                .hint("put it back, or take it off `tables` and run `salesync init`")
        })?;
    }
    Ok(())
}

/// From where on a cut collects what has changed.
struct Base {
    /// Last bundle and watermark of the cut after which it does; none if every table travels whole.
    after: Option<(i64, String)>,
    mode: Mode,
    /// Whether tables without a change are named.
    names_all: bool,
}

impl Base {
    fn of(client: &mut Client, node: &Node, options: &CutOptions) -> Result<Self, Failure> {
        let names_all = options.even_if_empty;
        if let Since::Bundle(sequence) = options.since {
            let after = cut_before(client, node, sequence)?;
            return Ok(Self { after, mode: Mode::Repair, names_all });
        }
        let after = node.watermark.clone().map(|watermark| (i64::MAX, watermark));
        if !is_unfinished(client, node)? {
            return Ok(Self { after, mode: Mode::Changes, names_all });
        }
        tracing::warn!(
            "the last cut was not finished; whatever has changed since the one before it travels again"
        );
        // There may be nothing to say any more, but that the cut is over.
        Ok(Self { after, mode: Mode::Repair, names_all: true })
    }
}

/// True if the newest bundle is not the last part of its cut. Head office may have some of its rows and not
/// others, and nothing says which: it has to be told of each how it stands.
fn is_unfinished(client: &mut Client, node: &Node) -> Result<bool, Failure> {
    let sql = "SELECT is_last_part FROM salesync.bundle WHERE epoch = $1 ORDER BY sequence DESC LIMIT 1";
    let newest = client
        .query_opt(sql, &[&node.epoch.0])
        .map_err(|error| database_failure("looking whether the last cut was finished", &error))?;
    Ok(newest.is_some_and(|newest| !newest.get::<_, bool>(0)))
}

/// The tables that have something to say, parents before children.
fn collect(
    transaction: &mut Transaction<'_>,
    tracked: Vec<TrackedTable>,
    base: &Base,
) -> Result<Vec<TableCut>, Failure> {
    let mut cuts = Vec::new();
    for table in parents_first(transaction, tracked)? {
        let description = check_capture(transaction, &table)?;
        let cut = match &base.after {
            Some((sequence, watermark)) if table.has_travelled_by(*sequence) => {
                TableCut::since(transaction, table, description, base.mode, watermark)?
            }
            _ => TableCut::whole(table, description),
        };
        if base.names_all || !cut.is_empty() {
            cuts.push(cut);
        }
    }
    Ok(cuts)
}

/// Last bundle and watermark of the newest cut that was complete with this bundle, if the logs still
/// hold everything since; none if there was none. What later parts of the same cut hold is not in it.
fn cut_before(
    client: &mut Client,
    node: &Node,
    sequence: Sequence,
) -> Result<Option<(i64, String)>, Failure> {
    let doing = format!("looking for bundle {sequence}");
    let refused = |why: &str| {
        Failure::new(Kind::Usage, doing.clone(), why)
            .hint("`salesync status` shows the last bundle; `--since all` sends everything")
    };
    if node.last_sequence < Some(sequence) {
        return Err(refused("there is none of that number in this epoch"));
    }
    let sql = "SELECT b.sequence, b.watermark::text, b.sequence >= n.pruned_through
               FROM salesync.bundle b JOIN salesync.node n USING (epoch)
               WHERE b.epoch = $1 AND b.sequence <= $2 AND b.is_last_part ORDER BY b.sequence DESC LIMIT 1";
    let found = client
        .query_opt(sql, &[&node.epoch.0, &sequence.as_bigint()])
        .map_err(|error| database_failure(doing.clone(), &error))?;
    match found {
        Some(row) if !row.get::<_, bool>(2) => {
            Err(refused("head office has confirmed later ones, so the log has forgotten it"))
        }
        found => Ok(found.map(|row| (row.get(0), row.get(1)))),
    }
}

/// Streams every row into parts: new and changed rows parents first, then tombstones children first,
/// so that every prefix of the parts keeps its references.
fn fill(
    transaction: &mut Transaction<'_>,
    parts: &mut Parts<'_>,
    tables: &[TableCut],
    mut collecting: Collecting<'_>,
) -> Result<(), Failure> {
    use MemberKind::{Inserts, Tombstones, Updates};
    for (table, cut) in tables.iter().enumerate() {
        let read = stream(transaction, parts, table, cut, Inserts)?;
        if let Some((session, rest)) = collecting.rest_of(table, cut)? {
            rest.check_only_inserted(read)?;
            stream(session, parts, table, rest, Inserts)?;
            stream(session, parts, table, rest, Updates)?;
        } else {
            stream(transaction, parts, table, cut, Updates)?;
        }
    }
    for (table, cut) in tables.iter().enumerate().rev() {
        if let Some((session, rest)) = collecting.rest_of(table, cut)? {
            stream(session, parts, table, rest, Tombstones)?;
        } else {
            stream(transaction, parts, table, cut, Tombstones)?;
        }
    }
    Ok(())
}

/// Returns how many rows of this kind there were.
fn stream(
    client: &mut impl GenericClient,
    parts: &mut Parts<'_>,
    table: usize,
    cut: &TableCut,
    kind: MemberKind,
) -> Result<u64, Failure> {
    let Some(query) = cut.rows(kind) else { return Ok(0) };
    parts.begin(table, kind)?;
    let doing = || format!("reading {}", cut.table.name);
    let copy = client
        .copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT csv)"))
        .map_err(|error| database_failure(doing(), &error))?;
    let mut rows = RowReader::new(copy);
    let mut read = 0;
    while let Some(row) = rows.next_row().map_err(|error| copy_failure(doing(), &error))? {
        parts.row(row)?;
        read += 1;
    }
    cut.check_rows(kind, read)?;
    Ok(read)
}
