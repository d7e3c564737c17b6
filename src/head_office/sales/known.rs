//! What the summary of the sales knows, and whether that is all.

use postgres::{GenericClient, Transaction};

use super::filter::{SalesFilter, all, literal};
use crate::database::database_failure;
use crate::domain::{Failure, NodeName};

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

pub(super) fn failed(error: &postgres::Error) -> Failure {
    database_failure("adding up the sales", error)
}

/// Branches, or the one that is named, whose latest bundle was not looked at.
const UNSEEN: &str = "
    salesync.branch b LEFT JOIN salesync.sales_seen s ON s.branch = b.name
    WHERE b.epoch IS NOT NULL AND (b.epoch, b.last_sequence) IS DISTINCT FROM (s.epoch, s.sequence)
      AND ($1::text IS NULL OR b.name = $1)";

/// Those of them whose change set has come to its end, by name.
pub(super) fn behind() -> String {
    format!("SELECT b.name FROM {UNSEEN} AND b.is_at_cut ORDER BY b.name")
}

/// What the summary lacks of the filter's period.
pub(super) fn backlog(client: &mut impl GenericClient, filter: &SalesFilter) -> Result<Backlog, Failure> {
    let branch = filter.branch.as_ref().map(NodeName::as_str);
    let rows = client.query(&behind(), &[&branch]).map_err(|error| failed(&error))?;
    let branches = rows.iter().map(|row| row.get(0)).collect();
    let sql = format!("SELECT count(*) FROM salesync.sales_backlog d WHERE {}", all(&filter.days("d.day")));
    let days = client.query_one(&sql, &[]).map_err(|error| failed(&error))?.get(0);
    Ok(Backlog { days, branches })
}

/// Whether the summary has every sale of the filter's period and branch: what it knows of them is then the truth.
pub(super) fn is_complete(transaction: &mut Transaction<'_>, filter: &SalesFilter) -> Result<bool, Failure> {
    // Here also a branch counts whose change set has not come to its end: its rows are in the table.
    let sql = format!(
        "SELECT NOT EXISTS (SELECT FROM {UNSEEN})
         AND NOT EXISTS (SELECT FROM salesync.sales_backlog d WHERE {})",
        all(&filter.days("d.day"))
    );
    let branch = filter.branch.as_ref().map(NodeName::as_str);
    Ok(transaction.query_one(&sql, &[&branch]).map_err(|error| failed(&error))?.get(0))
}

/// The smallest table of the summary that knows regions, products, or both.
pub(super) fn table_by(region: bool, product: bool) -> &'static str {
    match (region, product) {
        (true, true) => "salesync.sales_by_region_and_product",
        (true, false) => "salesync.sales_by_region",
        (false, true) => "salesync.sales_by_product",
        (false, false) => "salesync.sales_by_branch",
    }
}

/// A day with sales that are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextDay {
    pub(super) day: String,
    /// How many they are, of whatever branch.
    pub(super) wanted: i64,
    /// All sales of that day.
    pub(super) all: i64,
}

/// The first day from `day` on, in the direction of `operator`, on which the summary has sales of the filter's region and
/// product.
pub(super) fn next_day(
    transaction: &mut Transaction<'_>,
    filter: &SalesFilter,
    day: &str,
    (operator, direction): (&str, &str),
) -> Result<Option<NextDay>, Failure> {
    let table = table_by(filter.region.is_some(), filter.product.is_some());
    let day = literal(day);
    let names = all(&filter.names());
    let days = all(&filter.days("t.first_day"));
    // By months first: there are thirty times fewer. In their order, so that the first with such a day is the last looked at.
    let sql = format!(
        "SELECT d.first_day::text,
                (SELECT sum(t.row_count)::bigint FROM {table} t WHERE NOT t.is_month AND t.first_day = d.first_day AND {names}),
                (SELECT sum(t.row_count)::bigint FROM salesync.sales_by_branch t
                 WHERE NOT t.is_month AND t.first_day = d.first_day)
         FROM (SELECT DISTINCT t.first_day FROM {table} t
               WHERE t.is_month AND t.first_day {operator}= date_trunc('month', {day}::date)::date AND {names}
               ORDER BY t.first_day {direction}) m
         CROSS JOIN LATERAL (
             SELECT t.first_day FROM {table} t
             WHERE NOT t.is_month
               AND t.first_day BETWEEN m.first_day AND (m.first_day + interval '1 month' - interval '1 day')::date
               AND t.first_day {operator}= {day}::date AND {names} AND {days}
             ORDER BY t.first_day {direction} LIMIT 1) d
         ORDER BY m.first_day {direction} LIMIT 1"
    );
    let found = transaction.query_opt(&sql, &[]).map_err(|error| failed(&error))?;
    Ok(found.map(|row| NextDay { day: row.get(0), wanted: row.get(1), all: row.get(2) }))
}
