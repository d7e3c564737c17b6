//! The summary: what the sales add up to by day and month, by branch, and by region and product.
//!
//! It is kept behind the bundles, not with them: adding up costs nothing where rows are applied. A branch states with each
//! change set which of its days were touched, and so it is known which days have to be added up again: those
//! that were stated since the branch was looked at last, and those of which it says nothing any more. They are noted in
//! `salesync.sales_backlog` before they are added up, so that a process which ends in between leaves nothing out.

use chrono::NaiveDate;
use postgres::{Client, GenericClient, IsolationLevel, Transaction};
use uuid::Uuid;

use super::filter::{SalesFilter, all, literal};
use super::shape::{FROM, SalesTable, sales_table};
use crate::database::database_failure;
use crate::domain::{Failure, NodeName};

/// Days that are added up in one transaction.
const DAYS_AT_A_TIME: i64 = 31;
/// A branch that has stated as many days at once may have left some out, for want of room.
const MANY_DAYS: i64 = 200;
/// One process adds up at a time; this is its lock.
const LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtext('salesync.sales_summary'))";

/// What is not in the summary yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Days of the period that have to be added up.
    pub days: i64,
    /// Branches of which it is not known which of their days have changed.
    pub branches: Vec<String>,
}

impl Backlog {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.days == 0 && self.branches.is_empty()
    }
}

fn failed(error: &postgres::Error) -> Failure {
    database_failure("adding up the sales", error)
}

/// Branches whose latest finished change set was not looked at.
const BEHIND: &str = "
    SELECT b.name FROM salesync.branch b LEFT JOIN salesync.sales_seen s ON s.branch = b.name
    WHERE b.epoch IS NOT NULL AND b.is_at_cut AND (b.epoch, b.last_sequence) IS DISTINCT FROM (s.epoch, s.sequence)
      AND ($1::text IS NULL OR b.name = $1)
    ORDER BY b.name";

/// What the summary lacks of the filter's period.
pub(super) fn backlog(client: &mut impl GenericClient, filter: &SalesFilter) -> Result<Backlog, Failure> {
    let branch = filter.branch.as_ref().map(NodeName::as_str);
    let rows = client.query(BEHIND, &[&branch]).map_err(|error| failed(&error))?;
    let branches = rows.iter().map(|row| row.get(0)).collect();
    let sql = format!("SELECT count(*) FROM salesync.sales_backlog d WHERE {}", all(&filter.days("d.day")));
    let days = client.query_one(&sql, &[]).map_err(|error| failed(&error))?.get(0);
    Ok(Backlog { days, branches })
}

/// What the summary knows of the days with sales of a region or product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// The next one.
    Day(String),
    /// There is none any more.
    Nothing,
    /// It is behind, and there may be others than it knows of.
    Unsure,
}

/// The first day from `day` on, in the direction of `operator`, on which the summary has sales of the filter's region and
/// product.
pub(super) fn next_day(
    transaction: &mut Transaction<'_>,
    filter: &SalesFilter,
    day: &str,
    (operator, direction): (&str, &str),
) -> Result<Known, Failure> {
    let doing = |error: postgres::Error| failed(&error);
    let branch = filter.branch.as_ref().map(NodeName::as_str);
    let period = all(&filter.days("d.day"));
    // Here also a branch counts whose change set has not come to its end: its rows are in the table.
    let behind = format!(
        "SELECT EXISTS (
             SELECT FROM salesync.branch b LEFT JOIN salesync.sales_seen s ON s.branch = b.name
             WHERE b.epoch IS NOT NULL AND (b.epoch, b.last_sequence) IS DISTINCT FROM (s.epoch, s.sequence)
               AND ($1::text IS NULL OR b.name = $1))
         OR EXISTS (SELECT FROM salesync.sales_backlog d WHERE {period})"
    );
    if transaction.query_one(&behind, &[&branch]).map_err(doing)?.get(0) {
        return Ok(Known::Unsure);
    }
    let day = literal(day);
    let names = all(&filter.names());
    let days = all(&filter.days("t.first_day"));
    // By months first: there are thirty times fewer. In their order, so that the first with such a day is the last looked at.
    let sql = format!(
        "SELECT d.first_day::text
         FROM (SELECT DISTINCT t.first_day FROM salesync.sales_by_product t
               WHERE t.is_month AND t.first_day {operator}= date_trunc('month', {day}::date)::date AND {names}
               ORDER BY t.first_day {direction}) m
         CROSS JOIN LATERAL (
             SELECT t.first_day FROM salesync.sales_by_product t
             WHERE NOT t.is_month
               AND t.first_day BETWEEN m.first_day AND (m.first_day + interval '1 month' - interval '1 day')::date
               AND t.first_day {operator}= {day}::date AND {names} AND {days}
             ORDER BY t.first_day {direction} LIMIT 1) d
         ORDER BY m.first_day {direction} LIMIT 1"
    );
    let found = transaction.query_opt(&sql, &[]).map_err(doing)?;
    Ok(found.map_or(Known::Nothing, |row| Known::Day(row.get(0))))
}

/// Does one piece of what is behind: looks at one branch, or adds up some days. Returns whether there was anything to
/// do.
pub fn refresh_summary(client: &mut Client) -> Result<bool, Failure> {
    if sales_table(client)? != SalesTable::Fit {
        return Ok(false);
    }
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.start().map_err(|error| failed(&error))?;
    let is_alone: bool = transaction.query_one(LOCK, &[]).map_err(|error| failed(&error))?.get(0);
    if !is_alone {
        return Ok(false);
    }
    let behind = transaction.query(BEHIND, &[&None::<&str>]).map_err(|error| failed(&error))?;
    for row in &behind {
        look_at(&mut transaction, row.get(0))?;
    }
    let has_added = behind.is_empty() && add_up(&mut transaction)?;
    transaction.commit().map_err(|error| failed(&error))?;
    Ok(has_added || !behind.is_empty())
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
    if many.get(0) {
        // Some may have changed of which nothing was said, or of none anything ever is: all days that there are, and
        // that there were.
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

const SUMS: &str = "sum(qty), sum(amt), sum(tax), sum(total)";

/// The days are constants, as in the totals of days.
fn statements(days: &str) -> String {
    let begin = format!(
        "SET LOCAL enable_indexscan = off; DELETE FROM salesync.sales_backlog WHERE day IN ({days});"
    );
    let tables = [("salesync.sales_by_branch", "branch"), ("salesync.sales_by_product", "region, product")];
    tables.into_iter().fold(begin, |begin, (table, names)| begin + &of_table(table, names, days))
}

/// The days' rows of one table of the summary, and those of their months.
fn of_table(table: &str, names: &str, days: &str) -> String {
    let months =
        format!("SELECT date_trunc('month', day)::date FROM unnest(ARRAY[{days}]::date[]) AS d (day)");
    format!(
        "DELETE FROM {table} WHERE NOT is_month AND first_day IN ({days});
         INSERT INTO {table} SELECT false, t.date, {names}, count(*), {SUMS} FROM {FROM} WHERE t.date IN ({days})
         GROUP BY t.date, {names};
         DELETE FROM {table} WHERE is_month AND first_day IN ({months});
         INSERT INTO {table} SELECT true, date_trunc('month', first_day)::date, {names}, sum(row_count), {SUMS}
         FROM {table} WHERE NOT is_month AND date_trunc('month', first_day)::date IN ({months}) GROUP BY 2, {names};"
    )
}
