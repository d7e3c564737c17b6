//! The cut: one REPEATABLE READ transaction that reads what is unsynced, seals it, and records it.
//!
//! The transaction's own snapshot is the new watermark. What is not visible in it, a transaction still
//! open among that, is what the next cut finds not visible in the last watermark. No row of the log
//! is changed and no writer waits.

use std::collections::BTreeMap;

use postgres::error::SqlState;
use postgres::{Client, IsolationLevel, Transaction};

use super::changes::TableCut;
use super::node::Node;
use super::order::parents_first;
use super::parts::{PartLimits, Parts, SealedBundle};
use super::tracking::{TrackedTable, check_capture, check_day, tracked_tables};
use crate::archive::Archive;
use crate::bundle::RowReader;
use crate::database::{copy_failure, database_failure};
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

/// Cuts the branch's database and seals what is unsynced; nothing if nothing is. The caller holds
/// [`Lock::Bundle`](crate::database::Lock::Bundle). To publish what was sealed takes a [`Node::load`] after
/// it, which writes the marker.
pub fn cut(
    client: &mut Client,
    name: &NodeName,
    archive: &Archive,
    options: &CutOptions,
) -> Result<Vec<SealedBundle>, Failure> {
    let node = load(client, name, archive, options)?;
    archive.remove_drafts()?;
    discard_unrecorded(archive, &node)?;
    let tracked = tracked_tables(client)?;
    tracked.iter().try_for_each(|table| check_day(table, &options.tables))?;
    let failed = |error: postgres::Error| database_failure("cutting", &error);
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.start().map_err(failed)?;
    lock_tables(&mut transaction, &tracked)?;
    let sql = "SELECT pg_current_snapshot()::text";
    let watermark: String = transaction.query_one(sql, &[]).map_err(failed)?.get(0);
    halt::after(Step::SnapshotTaken);
    let tables = collect(&mut transaction, &node, tracked, options)?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let (node, sealed) = seal(&mut transaction, archive, &node, &watermark, &tables, options)?;
    let recorded =
        record(&mut transaction, &node, &watermark, &tables, &sealed).map_err(failed).and_then(|()| {
            halt::after(Step::CutRecorded);
            transaction.commit().map_err(failed)
        });
    recorded.inspect_err(|_| {
        tracing::warn!("the sealed bundles were not recorded; the next run discards them");
    })?;
    halt::after(Step::CutCommitted);
    Ok(sealed)
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

/// The tables that have something to say, parents before children.
fn collect(
    transaction: &mut Transaction<'_>,
    node: &Node,
    tracked: Vec<TrackedTable>,
    options: &CutOptions,
) -> Result<Vec<TableCut>, Failure> {
    let since = options.since;
    let base = match since {
        Since::Bundle(sequence) => cut_before(transaction, node, sequence)?,
        Since::Last | Since::All => node.watermark.clone().map(|watermark| (i64::MAX, watermark)),
    };
    let mode = if matches!(since, Since::Bundle(_)) { Mode::Repair } else { Mode::Changes };
    let mut cuts = Vec::new();
    for table in parents_first(transaction, tracked)? {
        let description = check_capture(transaction, &table)?;
        let cut = match &base {
            Some((sequence, watermark)) if table.has_travelled_by(*sequence) => {
                TableCut::since(transaction, table, description, mode, watermark)?
            }
            _ => TableCut::whole(table, description),
        };
        if options.even_if_empty || !cut.is_empty() {
            cuts.push(cut);
        }
    }
    Ok(cuts)
}

/// Last bundle and watermark of the newest cut that was complete with this bundle, if the logs still
/// hold everything since; none if there was none. What later parts of the same cut hold is not in it.
fn cut_before(
    transaction: &mut Transaction<'_>,
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
    let found = transaction
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
fn seal(
    transaction: &mut Transaction<'_>,
    archive: &Archive,
    node: &Node,
    watermark: &str,
    tables: &[TableCut],
    options: &CutOptions,
) -> Result<(Node, Vec<SealedBundle>), Failure> {
    let day_totals = tables.iter().map(|cut| cut.day_totals(transaction)).collect::<Result<Vec<_>, _>>()?;
    let limits = options.limits.within(node.message_limit);
    let mut parts = Parts::new(archive, limits, node.clone(), watermark, tables, day_totals)?;
    let rows =
        (0..tables.len()).flat_map(|table| [(table, MemberKind::Inserts), (table, MemberKind::Updates)]);
    let tombstones = (0..tables.len()).rev().map(|table| (table, MemberKind::Tombstones));
    for (table, kind) in rows.chain(tombstones) {
        if let Some(query) = tables[table].rows(kind) {
            parts.begin(table, kind)?;
            let read = stream(transaction, &tables[table].table.name, &query, &mut parts)?;
            tables[table].check_rows(kind, read)?;
        }
    }
    parts.finish()
}

/// Returns how many rows there were.
fn stream(
    transaction: &mut Transaction<'_>,
    table: &TableName,
    query: &str,
    parts: &mut Parts<'_>,
) -> Result<u64, Failure> {
    let doing = || format!("reading {table}");
    let copy = transaction
        .copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT csv)"))
        .map_err(|error| database_failure(doing(), &error))?;
    let mut rows = RowReader::new(copy);
    let mut read = 0;
    while let Some(row) = rows.next_row().map_err(|error| copy_failure(doing(), &error))? {
        parts.row(row)?;
        read += 1;
    }
    Ok(read)
}

fn record(
    transaction: &mut Transaction<'_>,
    node: &Node,
    watermark: &str,
    tables: &[TableCut],
    sealed: &[SealedBundle],
) -> Result<(), postgres::Error> {
    for bundle in sealed {
        let manifest = &bundle.manifest;
        transaction.execute(
            "INSERT INTO salesync.bundle (epoch, sequence, bundle_id, manifest_sha256, watermark, part,
                                          is_last_part, row_count, tombstone_count, byte_count)
             VALUES ($1, $2, $3, $4, $5::text::pg_snapshot, $6, $7, $8, $9, $10)",
            &[
                &manifest.epoch.0,
                &manifest.sequence.as_bigint(),
                &manifest.bundle_id.0,
                &bundle.manifest_sha256.to_string(),
                &watermark,
                &i32::try_from(manifest.cut.part).unwrap_or(i32::MAX),
                &manifest.cut.last,
                &manifest.rows().cast_signed(),
                &manifest.tombstones().cast_signed(),
                &bundle.size.cast_signed(),
            ],
        )?;
    }
    let last = node.last_sequence.map_or(0, Sequence::as_bigint);
    for cut in tables {
        let whole_in = if cut.mode == Mode::Range { last } else { cut.table.whole_in };
        transaction.execute(
            "UPDATE salesync.tracked_table SET is_complete = true, shape = $2, whole_in = $3 WHERE table_id = $1",
            &[&cut.table.id, &cut.description.shape, &whole_in],
        )?;
    }
    transaction.execute(
        "UPDATE salesync.node SET watermark = $1::text::pg_snapshot, last_sequence = $2, last_manifest = $3",
        &[&watermark, &last, &node.last_manifest.map(|digest| digest.to_string())],
    )?;
    Ok(())
}
