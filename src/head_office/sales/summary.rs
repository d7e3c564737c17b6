//! The summary: what the sales add up to by day and month, by branch, by region, by product, and by both of these.
//!
//! It is kept behind the bundles, not with them: adding up costs nothing where rows are applied. A branch states with each
//! change set which of its days were touched, and so it is known which days have to be added up again: those
//! that were stated since the branch was looked at last, and those of which it says nothing any more. They are noted in
//! `salesync.sales_backlog` before they are added up, so that a process which ends in between leaves nothing out.

use chrono::NaiveDate;
use postgres::{Client, IsolationLevel, Transaction};
use uuid::Uuid;

use super::filter::literal;
use super::known::{behind, failed};
use super::shape::{FROM, SalesTable, sales_table};
use crate::domain::Failure;

/// Days that are added up in one transaction.
const DAYS_AT_A_TIME: i64 = 31;
/// A branch that has stated as many days at once may have left some out, for want of room.
const MANY_DAYS: i64 = 200;
/// One process adds up at a time; this is its lock.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtext('salesync.sales_summary'))";

/// Does one piece of what is behind: looks at one branch, or adds up some days. Returns whether there was anything to
/// do.
pub fn refresh_summary(client: &mut Client) -> Result<bool, Failure> {
    let Some(mut transaction) = begin_alone(client)? else { return Ok(false) };
    let behind = transaction.query(&behind(), &[&None::<&str>]).map_err(|error| failed(&error))?;
    for row in &behind {
        look_at(&mut transaction, row.get(0))?;
    }
    let has_added = behind.is_empty() && add_up(&mut transaction)?;
    transaction.commit().map_err(|error| failed(&error))?;
    Ok(has_added || !behind.is_empty())
}

/// A transaction of the one who keeps the summary. None if somebody else does, or there is nothing to add up.
pub(super) fn begin_alone(client: &mut Client) -> Result<Option<Transaction<'_>>, Failure> {
    if sales_table(client)? != SalesTable::Fit {
        return Ok(None);
    }
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.start().map_err(|error| failed(&error))?;
    let is_alone: bool = transaction.query_one(LOCK, &[]).map_err(|error| failed(&error))?.get(0);
    Ok(is_alone.then_some(transaction))
}

/// Notes which days of a branch have to be added up again.
fn look_at(transaction: &mut Transaction<'_>, branch: &str) -> Result<(), Failure> {
    let doing = |error: postgres::Error| failed(&error);
    let seen = "SELECT epoch, sequence, days FROM salesync.sales_seen WHERE branch = $1";
    let seen = transaction.query_opt(seen, &[&branch]).map_err(doing)?;
    let (epoch, sequence): (Option<Uuid>, i64) =
        seen.as_ref().map_or((None, 0), |row| (Some(row.get(0)), row.get(1)));
    let days: Vec<NaiveDate> = seen.map(|row| row.get(2)).unwrap_or_default();
    let changed = "
        INSERT INTO salesync.sales_backlog (day)
        SELECT day FROM salesync.day_total WHERE branch = $1 AND schema_name = 'public' AND table_name = 'sales'
           AND (epoch, sequence > $3) IS DISTINCT FROM ($2, false)
        UNION SELECT gone FROM unnest($4::date[]) AS g (gone) WHERE NOT EXISTS (
            SELECT FROM salesync.day_total WHERE branch = $1 AND schema_name = 'public' AND table_name = 'sales' AND day = gone)
        ON CONFLICT DO NOTHING";
    transaction.execute(changed, &[&branch, &epoch, &sequence, &days]).map_err(doing)?;
    let many = "
        SELECT EXISTS (SELECT FROM salesync.day_total WHERE branch = $1 AND schema_name = 'public'
            AND table_name = 'sales' AND (epoch, sequence > $3) IS DISTINCT FROM ($2, false)
            GROUP BY epoch, sequence HAVING count(*) >= $4)
        OR NOT EXISTS (SELECT FROM salesync.day_total
            WHERE branch = $1 AND schema_name = 'public' AND table_name = 'sales')";
    let many = transaction.query_one(many, &[&branch, &epoch, &sequence, &MANY_DAYS]).map_err(doing)?;
    if many.get(0) || epoch.is_none() {
        // Some may have changed of which nothing was said, or of none anything ever is, or nothing is known yet: all days
        // that there are, and that there were.
        let sql = format!(
            "INSERT INTO salesync.sales_backlog (day)
             SELECT DISTINCT t.date FROM {FROM} WHERE t.branch = {branch} AND t.date IS NOT NULL
             UNION SELECT first_day FROM salesync.sales_by_branch WHERE NOT is_month AND branch = {branch}
             ON CONFLICT DO NOTHING",
            branch = literal(branch),
        );
        transaction.execute(&sql, &[]).map_err(doing)?;
    }
    let note = "
        INSERT INTO salesync.sales_seen (branch, epoch, sequence, days)
        SELECT b.name, b.epoch, b.last_sequence, ARRAY(SELECT day FROM salesync.day_total
               WHERE branch = b.name AND schema_name = 'public' AND table_name = 'sales')
        FROM salesync.branch b WHERE b.name = $1
        ON CONFLICT (branch) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence, days = excluded.days";
    transaction.execute(note, &[&branch]).map_err(doing)?;
    Ok(())
}

/// Adds up some days of the backlog, the latest first, and the months they are in.
fn add_up(transaction: &mut Transaction<'_>) -> Result<bool, Failure> {
    let sql = "SELECT array_agg(day::text), count(*) FROM (
                   SELECT day FROM salesync.sales_backlog ORDER BY day DESC LIMIT $1) d";
    let row = transaction.query_one(sql, &[&DAYS_AT_A_TIME]).map_err(|error| failed(&error))?;
    let days: Vec<String> = row.get::<_, Option<Vec<String>>>(0).unwrap_or_default();
    if days.is_empty() {
        return Ok(false);
    }
    let days = days.iter().map(|day| literal(day)).collect::<Vec<_>>().join(", ");
    transaction.batch_execute(&statements(&days)).map_err(|error| failed(&error))?;
    Ok(true)
}

pub(super) const SUMS: &str = "sum(qty), sum(amt), sum(tax), sum(total)";

/// The days are constants, as in the totals of days.
fn statements(days: &str) -> String {
    let begin = format!(
        "SET LOCAL enable_indexscan = off; DELETE FROM salesync.sales_backlog WHERE day IN ({days});"
    );
    // Of region and product by itself there are a tenth of the sums of both, and they are read ten times as often.
    let of_sums =
        format!("salesync.sales_by_region_and_product t WHERE NOT t.is_month AND t.first_day IN ({days})");
    let of_sales = format!("{FROM} WHERE t.date IN ({days})");
    let (sums, sales) = (("t.first_day", "sum(t.row_count)", &*of_sums), ("t.date", "count(*)", &*of_sales));
    let tables = [
        ("salesync.sales_by_branch", "branch", sales),
        ("salesync.sales_by_region_and_product", "region, product", sales),
        ("salesync.sales_by_region", "region", sums),
        ("salesync.sales_by_product", "product", sums),
    ];
    tables
        .into_iter()
        .fold(begin, |begin, (table, names, source)| begin + &of_table(table, names, source, days))
}

/// The days' rows of one table of the summary, and those of their months.
fn of_table(table: &str, names: &str, (day, count, source): (&str, &str, &str), days: &str) -> String {
    let months =
        format!("SELECT date_trunc('month', day)::date FROM unnest(ARRAY[{days}]::date[]) AS d (day)");
    format!(
        "DELETE FROM {table} WHERE NOT is_month AND first_day IN ({days});
         INSERT INTO {table} SELECT false, {day}, {names}, {count}, {SUMS} FROM {source} GROUP BY {day}, {names};
         DELETE FROM {table} WHERE is_month AND first_day IN ({months});
         INSERT INTO {table} SELECT true, date_trunc('month', first_day)::date, {names}, sum(row_count), {SUMS}
         FROM {table} WHERE NOT is_month AND date_trunc('month', first_day)::date IN ({months}) GROUP BY 2, {names};"
    )
}
