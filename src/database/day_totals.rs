//! Live totals per business day: the branch computes them at the cut, head office from its own table.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use postgres::{GenericClient, Row};

use crate::domain::{Column, ColumnTotal, DayTotal, DayTotals, is_summed, quote_identifier, quote_literal};

/// Whose days, and which.
#[derive(Debug)]
pub struct Days<'a> {
    /// `FROM` item with the rows, which are called `t`: `ONLY "public"."sales" t`.
    pub rows: &'a str,
    /// Further condition on `t`, or `true`.
    pub condition: &'a str,
    /// The table's columns.
    pub columns: &'a [Column],
    /// The business-day column, one of them.
    pub day: &'a str,
    /// The days, as PostgreSQL writes a date in ISO style.
    pub wanted: &'a [String],
}

/// There are at most as many groups as days are wanted. Where a table is new, the planner knows too
/// little to see that to sort its rows by them is the dearer way.
const FEW_GROUPS: &str = "SET LOCAL enable_sort = off";

/// Row count and exact sums of each of these days, in the order in which they are wanted.
pub fn day_totals(client: &mut impl GenericClient, days: &Days<'_>) -> Result<DayTotals, postgres::Error> {
    let is_in_it = |column: &&Column| column.key.is_none() && is_summed(&column.type_name);
    let summed: Vec<&Column> = days.columns.iter().filter(is_in_it).collect();
    let mut sums: Vec<Sum<'_>> =
        summed.iter().map(|column| Sum { name: &column.name, has_non_finite: false }).collect();
    let mut found = days.add_up(client, &sums)?;
    // To look at every value for NaN is dear, and nearly never is there one: then the sum is none either.
    for (index, sum) in sums.iter_mut().enumerate() {
        sum.has_non_finite = found.values().any(|day| !is_finite(&day.totals[index].sum));
    }
    if sums.iter().any(|sum| sum.has_non_finite) {
        found = days.add_up(client, &sums)?;
    }
    let none = |day: &String| DayTotal { day: day.clone(), rows: 0, totals: vec![no_total(); summed.len()] };
    Ok(DayTotals {
        column: days.day.to_owned(),
        summed: summed.iter().map(|column| column.name.clone()).collect(),
        days: days.wanted.iter().map(|day| found.remove(day).unwrap_or_else(|| none(day))).collect(),
    })
}

/// The sum of a column.
struct Sum<'a> {
    name: &'a str,
    /// Whether some of its values are NaN or infinite, and must be kept out of it.
    has_non_finite: bool,
}

impl Sum<'_> {
    /// `, sum, values, non-finite ones`.
    fn sql(&self) -> String {
        let name = format!("t.{}", quote_identifier(self.name));
        if !self.has_non_finite {
            return format!(", coalesce(sum({name}), 0)::text, count({name}), 0::bigint");
        }
        let non_finite = "('NaN', 'Infinity', '-Infinity')";
        format!(
            ", coalesce(sum({name}) FILTER (WHERE {name} NOT IN {non_finite}), 0)::text, count({name}), \
             count({name}) FILTER (WHERE {name} IN {non_finite})"
        )
    }
}

fn is_finite(sum: &str) -> bool {
    sum.bytes().all(|b| b.is_ascii_digit() || b"-.".contains(&b))
}

impl Days<'_> {
    /// Those of the days that have rows, and perhaps others between them.
    fn add_up(
        &self,
        client: &mut impl GenericClient,
        sums: &[Sum<'_>],
    ) -> Result<BTreeMap<String, DayTotal>, postgres::Error> {
        if self.wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let day = day_expression(self.columns, self.day, "t");
        let sql = format!(
            "SELECT ({day})::text, count(*){sums} FROM {rows} WHERE {wanted} AND {condition} GROUP BY {day}",
            wanted = self.wanted_sql(&day),
            sums = sums.iter().map(Sum::sql).collect::<String>(),
            rows = self.rows,
            condition = self.condition,
        );
        let mut reading = client.transaction()?;
        reading.batch_execute(FEW_GROUPS)?;
        let rows = reading.query(&sql, &[])?;
        reading.rollback()?;
        Ok(rows.iter().map(|row| (row.get(0), day_total(row, sums.len()))).collect())
    }

    /// The condition that the day of a row is one of those that are wanted, or between two of them. A few spans: a BRIN index
    /// is read from one end to the other for each of them, and would be for each day. If there are more, they are constants
    /// that the planner makes a hash table of.
    fn wanted_sql(&self, day: &str) -> String {
        let spans = spans(self.wanted);
        if spans.len() > MOST_SPANS {
            let wanted: Vec<String> = self.wanted.iter().map(|day| quote_literal(day)).collect();
            return format!("{day} IN ({})", wanted.join(", "));
        }
        let between = |(first, last): &(&str, &str)| {
            format!("{day} BETWEEN {} AND {}", quote_literal(first), quote_literal(last))
        };
        format!("({})", spans.iter().map(between).collect::<Vec<_>>().join(" OR "))
    }
}

/// More are looked up day by day.
const MOST_SPANS: usize = 8;
/// Days that are no further apart are in the same span: a shop is closed for two days, and then there is nothing between them to
/// read.
const DAYS_APART: i64 = 3;

/// First and last of days that follow each other.
fn spans(days: &[String]) -> Vec<(&str, &str)> {
    let date = |day: &str| day.parse::<NaiveDate>().ok();
    let mut spans: Vec<(&str, &str)> = Vec::new();
    for day in days {
        let last = spans.last().and_then(|(_, last)| Some((date(day)? - date(last)?).num_days()));
        match (last, spans.last_mut()) {
            (Some(0..=DAYS_APART), Some((_, last))) => *last = day,
            _ => spans.push((day, day)),
        }
    }
    spans
}

fn no_total() -> ColumnTotal {
    ColumnTotal { sum: "0".to_owned(), values: 0, non_finite: 0 }
}

/// The business day of the row called `row`, the same in every session, whatever its search path is.
pub fn day_expression(columns: &[Column], day: &str, row: &str) -> String {
    let type_name = columns.iter().find(|column| column.name == day).map(|column| &*column.type_name);
    let day = format!("{row}.{}", quote_identifier(day));
    match type_name {
        Some("date") => day,
        Some(with_zone) if with_zone.ends_with("with time zone") => {
            format!("({day} AT TIME ZONE 'UTC')::pg_catalog.date")
        }
        _ => format!("{day}::pg_catalog.date"),
    }
}

/// Whether a column of this type can be a business day.
pub fn is_day(type_name: &str) -> bool {
    type_name == "date" || type_name.starts_with("timestamp") && !type_name.ends_with("[]")
}

fn day_total(row: &Row, summed: usize) -> DayTotal {
    let total = |index: usize| {
        let at = 2 + 3 * index;
        ColumnTotal { sum: row.get(at), values: count(row, at + 1), non_finite: count(row, at + 2) }
    };
    DayTotal { day: row.get(0), rows: count(row, 1), totals: (0..summed).map(total).collect() }
}

fn count(row: &Row, index: usize) -> u64 {
    row.get::<_, i64>(index).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_that_follow_each_other_are_one_span() {
        let days = [
            "-infinity",
            "0044-03-15 BC",
            "2023-12-29",
            "2024-01-01",
            "2024-01-02",
            "2024-01-06",
            "2024-01-05",
            "12024-01-31",
            "12024-02-01",
            "infinity",
        ];
        let spans: Vec<String> =
            spans(&days.map(str::to_owned)).iter().map(|(first, last)| format!("{first} {last}")).collect();
        let of_one = |day: &str| format!("{day} {day}");
        let mut expected = days.map(of_one).to_vec();
        expected.splice(2..5, ["2023-12-29 2024-01-02".to_owned()]);
        assert_eq!(spans, expected);
    }
}
