//! Live totals per business day: the branch computes them at the cut, head office from its own table.

use std::collections::BTreeMap;

use postgres::{GenericClient, Row};

use crate::domain::{Column, ColumnTotal, DayTotal, DayTotals, is_summed, quote_identifier};

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

/// Row count and exact sums of each of these days, in the order in which they are wanted.
pub fn day_totals(client: &mut impl GenericClient, days: &Days<'_>) -> Result<DayTotals, postgres::Error> {
    let summed: Vec<&Column> =
        days.columns.iter().filter(|column| column.key.is_none() && is_summed(&column.type_name)).collect();
    let sums: String = summed.iter().map(|column| sum_of(column)).collect();
    let day = day_expression(days.columns, days.day, "t");
    let sql = format!(
        "SELECT ({day})::text, count(*){sums} FROM {} WHERE {day} = ANY ($1::text[]::date[]) AND {} GROUP BY {day}",
        days.rows, days.condition,
    );
    let rows = client.query(&sql, &[&days.wanted])?;
    let found = rows.iter().map(|row| (row.get(0), day_total(row, summed.len())));
    let mut found: BTreeMap<String, DayTotal> = found.collect();
    let none = |day: &String| DayTotal { day: day.clone(), rows: 0, totals: vec![no_total(); summed.len()] };
    Ok(DayTotals {
        column: days.day.to_owned(),
        summed: summed.iter().map(|column| column.name.clone()).collect(),
        days: days.wanted.iter().map(|day| found.remove(day).unwrap_or_else(|| none(day))).collect(),
    })
}

fn no_total() -> ColumnTotal {
    ColumnTotal { sum: "0".to_owned(), values: 0, non_finite: 0 }
}

/// The business day of the row called `row`, the same in every session.
pub fn day_expression(columns: &[Column], day: &str, row: &str) -> String {
    let type_name = columns.iter().find(|column| column.name == day).map(|column| &*column.type_name);
    let day = format!("{row}.{}", quote_identifier(day));
    match type_name {
        Some("date") => day,
        Some(with_zone) if with_zone.ends_with("with time zone") => {
            format!("({day} AT TIME ZONE 'UTC')::date")
        }
        _ => format!("{day}::date"),
    }
}

/// Whether a column of this type can be a business day.
pub fn is_day(type_name: &str) -> bool {
    type_name == "date" || type_name.starts_with("timestamp") && !type_name.ends_with("[]")
}

fn sum_of(column: &Column) -> String {
    let name = format!("t.{}", quote_identifier(&column.name));
    let is_finite = if column.type_name.starts_with("numeric") {
        format!("{name} NOT IN ('NaN', 'Infinity', '-Infinity')")
    } else {
        format!("{name} IS NOT NULL")
    };
    format!(
        ", coalesce(sum({name}) FILTER (WHERE {is_finite}), 0)::text, count({name}), \
         count({name}) FILTER (WHERE NOT ({is_finite}))"
    )
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
