//! How much was written to a table, beside how much was logged, by PostgreSQL's own statistics.
//!
//! Both are counted in the same way: each row that is inserted, updated or deleted counts, also in transactions that were
//! rolled back, and with a crash of the server both counts are lost together. Whatever is written while the triggers are
//! at work counts at least once in the log, too; so the difference does not grow, unless something was written without
//! them. What the table had more when it last travelled whole was written before, and is at head office.
//!
//! A statement that fails on its way has written rows that count, and its triggers did not fire. So a difference that has
//! grown says something only if the triggers were altered meanwhile: without that they have fired for all that is there.
//!
//! It may shrink: a changed key is logged three times, and TRUNCATE logs rows that do not count as deleted. So nothing is
//! proven by a difference that has not grown.

use postgres::{Client, Transaction};

use super::tracking::TrackedTable;
use crate::database::{TableDescription, database_failure};
use crate::domain::Failure;

const WRITTEN: &str =
    "pg_stat_get_tuples_inserted({}) + pg_stat_get_tuples_updated({}) + pg_stat_get_tuples_deleted({})";

/// What was written without being logged since the table last travelled whole, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlogged {
    /// So many rows; none or fewer is as it should be.
    Rows(i64),
    /// The table has not travelled whole since this is remembered.
    NotYet,
    /// The server does not count.
    NotCounted,
}

/// Remembers where the counts stand now.
pub(super) fn remember_counts(
    transaction: &mut Transaction<'_>,
    table: &TrackedTable,
    description: &TableDescription,
) -> Result<(), postgres::Error> {
    let sql = format!(
        "UPDATE salesync.tracked_table SET counted = {written}, unlogged = {written} - pg_stat_get_tuples_inserted({log})
         WHERE table_id = $1",
        written = written(description),
        log = log_of(table),
    );
    transaction.execute(&sql, &[&table.id]).map(drop)
}

/// What the counts tell now. The log's is read after the table's: what is written meanwhile makes it no smaller.
pub(super) fn count_unlogged(
    client: &mut Client,
    table: &TrackedTable,
    description: &TableDescription,
) -> Result<Unlogged, Failure> {
    let failed = |error: postgres::Error| {
        database_failure(format!("counting what was written to {}", table.name), &error)
    };
    let sql = format!(
        "SELECT current_setting('track_counts')::boolean, counted, unlogged, {}
         FROM salesync.tracked_table WHERE table_id = $1",
        written(description)
    );
    let row = client.query_one(&sql, &[&table.id]).map_err(failed)?;
    let (counted, unlogged): (Option<i64>, Option<i64>) = (row.get(1), row.get(2));
    let written: i64 = row.get(3);
    if !row.get::<_, bool>(0) {
        return Ok(Unlogged::NotCounted);
    }
    let Some((counted, unlogged)) = counted.zip(unlogged).filter(|_| table.is_complete) else {
        return Ok(Unlogged::NotYet);
    };
    let sql = format!("SELECT pg_stat_get_tuples_inserted({})", log_of(table));
    let logged: i64 = client.query_one(&sql, &[]).map_err(failed)?.get(0);
    // After a reset both have begun with nothing.
    let before = if written < counted { 0 } else { unlogged };
    Ok(Unlogged::Rows(written - logged - before))
}

/// Whether a trigger of the capture, or its function, was altered since the table last travelled whole: what PostgreSQL
/// alters is written anew, by a transaction that the snapshot of that cut does not see.
pub(super) fn was_capture_altered(
    client: &mut Client,
    table: &TrackedTable,
    description: &TableDescription,
) -> Result<bool, Failure> {
    // `xmin` has the lower 32 bits of the transaction's number.
    let sql = "WITH part AS (
                   SELECT t.xmin::text::bigint AS xmin FROM pg_trigger t
                   WHERE t.tgrelid = $1 AND t.tgname LIKE 'salesync\\_%'
                   UNION ALL
                   SELECT p.xmin::text::bigint FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                   WHERE t.tgrelid = $1 AND t.tgname LIKE 'salesync\\_%'),
               now AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid),
               written AS (SELECT (now.xid >> 32 << 32) + part.xmin AS xid, now.xid AS now FROM part, now),
               exact AS (SELECT CASE WHEN xid > now + (1::bigint << 31) THEN xid - (1::bigint << 32) ELSE xid END AS xid
                         FROM written)
               SELECT coalesce(bool_or(NOT pg_visible_in_snapshot(exact.xid::text::xid8, b.watermark)), true)
               FROM exact, salesync.tracked_table t, salesync.node n, salesync.bundle b
               WHERE t.table_id = $2 AND b.epoch = n.epoch AND b.sequence = t.whole_in";
    let row = client.query_one(sql, &[&description.oid, &table.id]);
    let doing = || format!("looking when the capture of {} was altered", table.name);
    row.map(|row| row.get(0)).map_err(|error| database_failure(doing(), &error))
}

fn written(description: &TableDescription) -> String {
    WRITTEN.replace("{}", &description.oid.to_string())
}

fn log_of(table: &TrackedTable) -> String {
    format!("'salesync.log_{}'::regclass", table.id)
}
