//! Compares the day totals of a bundle with head office's own table, and keeps them: what is right now
//! can be compared again later.

use postgres::Transaction;

use super::refusal::{Refusal, judged, judged_definition};
use crate::database::{Days, day_totals};
use crate::domain::{
    DayTotal, DayTotals, KeyRange, Manifest, Sequence, TableChange, TableEffect, TableName, quote_literal,
};

/// Head office must now have on every day of the bundle what the branch had at the cut. `partitions` are those that
/// have the branch's rows of each table, and no others, where there are such.
/// What it has is added to the effects.
pub(super) fn check_days(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    partitions: &[Option<TableName>],
    effects: &mut [TableEffect],
) -> Result<(), Refusal> {
    if manifest.sequence == Sequence::FIRST {
        let sql = "DELETE FROM salesync.day_total WHERE branch = $1 AND epoch <> $2";
        forget(transaction, sql, &[&manifest.branch.as_str(), &manifest.epoch.0])?;
    }
    for ((change, partition), effect) in manifest.tables.iter().zip(partitions).zip(effects) {
        if matches!(change.range, Some(KeyRange { after: None, .. })) {
            // The whole table travels. What was said of it so far is void, and will be said again.
            let sql =
                "DELETE FROM salesync.day_total WHERE branch = $1 AND schema_name = $2 AND table_name = $3";
            let (schema, table) = (&change.name.schema, &change.name.table);
            forget(transaction, sql, &[&manifest.branch.as_str(), schema, table])?;
        }
        if let Some(declared) = &change.day_totals {
            effect.days =
                Some(check(transaction, change, declared, manifest.branch.as_str(), partition.as_ref())?);
            keep(transaction, manifest, change, declared)?;
        }
    }
    Ok(())
}

fn forget(
    transaction: &mut Transaction<'_>,
    sql: &str,
    parameters: &[&(dyn postgres::types::ToSql + Sync)],
) -> Result<(), Refusal> {
    let forgotten = transaction.execute(sql, parameters).map(|_| ());
    forgotten.map_err(|error| judged("forgetting earlier day totals", &error))
}

fn check(
    transaction: &mut Transaction<'_>,
    change: &TableChange,
    declared: &DayTotals,
    branch: &str,
    partition: Option<&TableName>,
) -> Result<DayTotals, Refusal> {
    let doing = format!("adding up the business days of {}", change.name);
    let judge = |error: postgres::Error| judged_definition(&doing, &error);
    let wanted: Vec<String> = declared.days.iter().map(|day| day.day.clone()).collect();
    // A day in another spelling would be found to have no rows, and be right in saying so.
    let sql = "SELECT day FROM unnest($1::text[]) AS d (day) WHERE day::date::text <> day LIMIT 1";
    if let Some(row) = transaction.query_opt(sql, &[&wanted]).map_err(judge)? {
        let day: &str = row.get(0);
        return Err(Refusal::rejected(format!("table {}: {day:?} is no day in ISO style", change.name)));
    }
    // In a partition of its own the branch's rows are all there are; a condition that says so nevertheless makes the
    // planner take them for few, as long as it has no statistics, and sort them all.
    let (rows, condition) = match partition {
        Some(partition) => (format!("{} t", partition.sql()), "true".to_owned()),
        None => (format!("{} t", change.name.sql()), format!("t.branch = {}", quote_literal(branch))),
    };
    let found = day_totals(
        transaction,
        &Days {
            rows: &rows,
            condition: &condition,
            columns: &change.columns,
            day: &declared.column,
            wanted: &wanted,
        },
    )
    .map_err(judge)?;
    match difference(declared, &found) {
        None => Ok(found),
        Some(difference) => Err(Refusal::rejected(format!("table {}, {difference}", change.name))),
    }
}

/// What the branch has stated is its last word on these days.
fn keep(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
    declared: &DayTotals,
) -> Result<(), Refusal> {
    let judge = |error: postgres::Error| judged("keeping the day totals", &error);
    let branch = manifest.branch.as_str();
    let (schema, table) = (&change.name.schema, &change.name.table);
    let days: Vec<&str> = declared.days.iter().map(|day| day.day.as_str()).collect();
    let rows: Vec<i64> = declared.days.iter().map(|day| day.rows.cast_signed()).collect();
    let totals: Vec<String> =
        declared.days.iter().map(|day| serde_json::json!(day.totals).to_string()).collect();
    if declared.may_leave_out_days() {
        // Days that were touched, but had no room in the manifest, are not what they were.
        let sql = "DELETE FROM salesync.day_total
                   WHERE branch = $1 AND schema_name = $2 AND table_name = $3
                     AND day < (SELECT min(stated::date) FROM unnest($4::text[]) AS s (stated))";
        forget(transaction, sql, &[&branch, schema, table, &days])?;
    }
    let sql = "INSERT INTO salesync.day_total (branch, schema_name, table_name, day, day_column, summed, row_count, totals,
                                               epoch, sequence, stated_at)
               SELECT $1, $2, $3, stated.day::date, $4, $5, stated.row_count, stated.totals::jsonb, $6, $7, $8
               FROM unnest($9::text[], $10::bigint[], $11::text[]) AS stated (day, row_count, totals)
               ON CONFLICT (branch, schema_name, table_name, day) DO UPDATE
               SET day_column = excluded.day_column, summed = excluded.summed, row_count = excluded.row_count,
                   totals = excluded.totals, epoch = excluded.epoch, sequence = excluded.sequence,
                   stated_at = excluded.stated_at";
    transaction
        .execute(
            sql,
            &[
                &branch,
                schema,
                table,
                &declared.column,
                &declared.summed,
                &manifest.epoch.0,
                &manifest.sequence.as_bigint(),
                &manifest.created_at,
                &days,
                &rows,
                &totals,
            ],
        )
        .map(|_| ())
        .map_err(judge)
}

/// The first day that differs, in words with both figures.
fn difference(declared: &DayTotals, found: &DayTotals) -> Option<String> {
    let (theirs, ours) = declared.days.iter().zip(&found.days).find(|(theirs, ours)| theirs != ours)?;
    let words = |day: &DayTotal| day.in_words(&declared.summed);
    Some(format!("day {}: the branch has {}, head office has {}", theirs.day, words(theirs), words(ours)))
}
