//! Whether the summary still says what the table adds up to. Bundles tell which days they touch; who writes into head office's
//! table by hand tells nobody. So from time to time all is added up again, some days at a time, and the days that differ go
//! into the backlog.

use postgres::Client;

use super::filter::{all, literal};
use super::known::failed;
use super::shape::FROM;
use super::summary::{SUMS, begin_alone};
use crate::domain::Failure;

/// Days that are compared in one transaction.
const DAYS_AT_A_TIME: i64 = 31;

/// How far the summary was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rechecked {
    /// Up to this day, as PostgreSQL writes it; there are more.
    UpTo(String),
    /// To the end.
    All,
    /// Not at all: another process is at work on it, or there is nothing to add up.
    NotNow,
}

/// Compares the days behind `after`, or the first ones, with the table.
pub fn recheck_summary(client: &mut Client, after: Option<&str>) -> Result<Rechecked, Failure> {
    let Some(mut transaction) = begin_alone(client)? else { return Ok(Rechecked::NotNow) };
    let next = format!(
        "SELECT max(day)::text, count(*) FROM (
             SELECT DISTINCT first_day AS day FROM salesync.sales_by_branch WHERE NOT is_month AND {} ORDER BY 1 LIMIT $1) d",
        within("first_day", after, None)
    );
    let row = transaction.query_one(&next, &[&DAYS_AT_A_TIME]).map_err(|error| failed(&error))?;
    // To the last days that are known belongs all that the table has behind them.
    let is_full = row.get::<_, i64>(1) == DAYS_AT_A_TIME;
    let last: Option<String> = row.get::<_, Option<String>>(0).filter(|_| is_full);
    let of_table = |(table, names): (&str, &[&str])| differing(table, names, after, last.as_deref());
    let tables: [(&str, &[&str]); 2] = [
        ("salesync.sales_by_branch", &["branch"]),
        ("salesync.sales_by_region_and_product", &["region", "product"]),
    ];
    let note = format!(
        "SET LOCAL enable_indexscan = off; SET LOCAL max_parallel_workers_per_gather = 0;
         INSERT INTO salesync.sales_backlog (day) {} ON CONFLICT DO NOTHING",
        tables.map(of_table).join(" UNION ")
    );
    transaction.batch_execute(&note).and_then(|()| transaction.commit()).map_err(|error| failed(&error))?;
    Ok(last.map_or(Rechecked::All, Rechecked::UpTo))
}

/// The days of which the summary's table or that of the sales has a line that the other has not.
fn differing(table: &str, names: &[&str], after: Option<&str>, last: Option<&str>) -> String {
    // Each of the two may compare texts in its own way.
    let compared = names.iter().map(|name| format!("{name} COLLATE \"C\"")).collect::<Vec<_>>().join(", ");
    let names = names.join(", ");
    let known = format!(
        "SELECT first_day AS day, {compared}, row_count, qty, amt, tax, total FROM {table} WHERE NOT is_month AND {}",
        within("first_day", after, last)
    );
    let found = format!(
        "SELECT t.date AS day, {compared}, count(*), {SUMS} FROM {FROM} WHERE {} GROUP BY t.date, {names}",
        within("t.date", after, last)
    );
    format!(
        "SELECT day FROM (WITH known AS ({known}), found AS ({found})
             (TABLE known EXCEPT TABLE found) UNION ALL (TABLE found EXCEPT TABLE known)) d"
    )
}

/// The condition that the day in this column is behind `after` and not behind `last`.
fn within(column: &str, after: Option<&str>, last: Option<&str>) -> String {
    let bound =
        |operator: &str, day: Option<&str>| day.map(|day| format!("{column} {operator} {}", literal(day)));
    let mut conditions = vec![format!("{column} IS NOT NULL")];
    conditions.extend(bound(">", after).into_iter().chain(bound("<=", last)));
    all(&conditions)
}
