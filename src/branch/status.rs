//! How a branch stands: what waits, and what is proven to be at head office.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use postgres::{Client, GenericClient, Transaction};
use serde::Serialize;

use super::captured::{check_amounts, is_captured};
use super::changes::TableCut;
use super::settle::{Unapplied, unapplied_bundles};
use super::tracking::{TrackedTable, tracked_tables};
use crate::database::{check_readable, database_failure, describe};
use crate::domain::{Failure, TableName, quote_identifier};

/// How a branch stands.
#[derive(Debug, Clone, Serialize)]
pub struct BranchStatus {
    /// Changed keys that are in no bundle yet; a key that was changed twice counts once.
    pub unsynced: i64,
    /// Sealed bundles that no broker has confirmed.
    pub pending: i64,
    /// The last bundle that a broker has confirmed.
    pub last_published: Option<i64>,
    /// The last bundle that head office has confirmed as applied.
    pub last_applied: Option<i64>,
    /// Whatever was committed here before this moment is proven to be at head office; none also while a
    /// table has yet to travel whole.
    pub proven_through: Option<DateTime<Utc>>,
    /// When head office applied it, by its clock.
    pub proven_at: Option<DateTime<Utc>>,
    /// What was changed since and is not proven yet, table by table.
    pub unproven: Vec<Unproven>,
    /// What head office holds or has rejected, by its last receipts.
    pub unapplied: Vec<Unapplied>,
    /// How far head office's clock is ahead of this one.
    pub clock: Clock,
}

/// What of a table is not proven to be at head office.
#[derive(Debug, Clone, Serialize)]
pub struct Unproven {
    /// The table.
    pub table: String,
    /// Changed keys, those of deleted rows too.
    pub rows: i64,
    /// The exact sum of the table's `amount` column over the rows that are there, if it has one.
    pub amount: Option<String>,
}

/// Head office's clock minus this one, in milliseconds, as far as receipts tell: one that came shows that
/// it cannot have been more, or less.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Clock {
    /// At least this.
    pub at_least_ms: Option<i64>,
    /// At most this.
    pub at_most_ms: Option<i64>,
}

/// Reads how the branch stands. `amounts` names the column with the money of the tables that have one.
/// Needs `salesync init`.
pub fn branch_status(
    client: &mut Client,
    amounts: &BTreeMap<TableName, String>,
) -> Result<BranchStatus, Failure> {
    check_amounts(client, amounts)?;
    let failed = |error: postgres::Error| database_failure("reading how this branch stands", &error);
    let sql = "SELECT count(*) FILTER (WHERE state = 'sealed'), max(sequence) FILTER (WHERE published_at IS NOT NULL),
                      max(sequence) FILTER (WHERE state = 'applied'),
                      (SELECT n.watermark::text FROM salesync.node n)
               FROM salesync.bundle JOIN salesync.node USING (epoch)";
    let row = client.query_one(sql, &[]).map_err(failed)?;
    let cut = row.get::<_, Option<String>>(3).map(|watermark| Base { sequence: i64::MAX, watermark });
    let sql = "SELECT b.sequence, b.watermark::text, b.cut_at, b.applied_at
               FROM salesync.bundle b JOIN salesync.node USING (epoch)
               WHERE state = 'applied' AND is_last_part ORDER BY sequence DESC LIMIT 1";
    let proven = client.query_opt(sql, &[]).map_err(failed)?;
    let proven_cut = proven.as_ref().map(|row| Base { sequence: row.get(0), watermark: row.get(1) });
    let unsynced = changed_since(client, cut.as_ref(), &BTreeMap::new())?;
    let mut unproven = changed_since(client, proven_cut.as_ref(), amounts)?;
    unproven.retain(|table| table.rows > 0);
    // Of a table that had not travelled then nothing is proven, whenever its rows were committed.
    let tables = tracked_tables(client)?;
    let proven = proven.filter(|cut| tables.iter().all(|table| table.has_travelled_by(cut.get(0))));
    Ok(BranchStatus {
        unsynced: unsynced.iter().map(|table| table.rows).sum(),
        pending: row.get(0),
        last_published: row.get(1),
        last_applied: row.get(2),
        proven_through: proven.as_ref().map(|row| row.get(2)),
        proven_at: proven.as_ref().and_then(|row| row.get(3)),
        unproven,
        unapplied: unapplied_bundles(client)?,
        clock: clock(client).map_err(failed)?,
    })
}

/// Size of the change logs, with what belongs to them.
pub fn change_log_bytes(client: &mut Client) -> Result<i64, Failure> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
               FROM salesync.tracked_table t JOIN pg_class c
                 ON c.relname = 'log_' || t.table_id AND c.relnamespace = 'salesync'::regnamespace";
    let row = client.query_one(sql, &[]);
    row.map(|row| row.get(0)).map_err(|error| database_failure("measuring the change logs", &error))
}

/// A cut to count from.
struct Base {
    sequence: i64,
    watermark: String,
}

fn changed_since(
    client: &mut Client,
    base: Option<&Base>,
    amounts: &BTreeMap<TableName, String>,
) -> Result<Vec<Unproven>, Failure> {
    let failed = |error: postgres::Error| database_failure("counting what has changed", &error);
    let mut changed = Vec::new();
    for table in tracked_tables(client)? {
        let amount = amounts.get(&table.name).map(String::as_str);
        let mut transaction = client.transaction().map_err(failed)?;
        changed.extend(changed_in(&mut transaction, table, base, amount)?);
        transaction.rollback().map_err(failed)?;
    }
    Ok(changed)
}

/// None if the table is gone.
fn changed_in(
    transaction: &mut Transaction<'_>,
    table: TrackedTable,
    base: Option<&Base>,
    amount: Option<&str>,
) -> Result<Option<Unproven>, Failure> {
    let Some(description) = describe(transaction, &table.name)? else { return Ok(None) };
    check_readable(transaction, &table.name)?;
    let name = table.name.to_string();
    let cut = match base {
        Some(base) if table.has_travelled_by(base.sequence) && is_captured(&table, &description) => {
            TableCut::glance(transaction, table, description, &base.watermark)?
        }
        _ => TableCut::whole(table, description),
    };
    let (rows, amount) = cut.extent(transaction, amount)?;
    Ok(Some(Unproven { table: name, rows, amount }))
}

impl TableCut {
    /// How many keys it has, and the sum of the column `amount` over its rows that are there.
    fn extent(
        &self,
        transaction: &mut Transaction<'_>,
        amount: Option<&str>,
    ) -> Result<(i64, Option<String>), Failure> {
        let sum = amount.map(|column| format!("coalesce(sum(t.{}), 0)::text", quote_identifier(column)));
        let sql =
            format!("SELECT count(*), {} FROM {}", sum.as_deref().unwrap_or("NULL::text"), self.all_rows());
        let row = transaction.query_one(&sql, &[]).map_err(|error| {
            database_failure(format!("adding up what has changed in {}", self.table.name), &error)
        })?;
        Ok((row.get(0), row.get(1)))
    }
}

fn clock(client: &mut impl GenericClient) -> Result<Clock, postgres::Error> {
    let row = client.query_one(
        "SELECT max(ceil(extract(epoch FROM (body->>'decided_at')::timestamptz - received_at) * 1000))::bigint,
                min((body->>'clock_skew_ms')::bigint)
         FROM (SELECT body::jsonb AS body, received_at FROM salesync.receipt WHERE refusal IS NULL
               ORDER BY receipt_id DESC LIMIT 100) r",
        &[],
    )?;
    Ok(Clock { at_least_ms: row.get(0), at_most_ms: row.get(1) })
}
