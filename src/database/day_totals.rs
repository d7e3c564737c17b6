//! Live totals per business day: the branch computes them at the cut, head office from its own table.

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
    /// SQL of an array of dates.
    pub wanted: &'a str,
}

/// Row count and exact sums of each of these days that has rows, in ascending order.
pub fn day_totals(client: &mut impl GenericClient, days: &Days<'_>) -> Result<DayTotals, postgres::Error> {
    let summed: Vec<&Column> =
        days.columns.iter().filter(|column| column.key.is_none() && is_summed(&column.type_name)).collect();
    let sums: String = summed.iter().map(|column| sum_of(column)).collect();
    let day = day_expression(days.columns, days.day);
    let sql = format!(
        "SELECT ({day})::text, count(*){sums} FROM {} WHERE {day} = ANY ({}) AND {} GROUP BY {day} ORDER BY {day}",
        days.rows, days.wanted, days.condition,
    );
    let rows = client.query(&sql, &[])?;
    Ok(DayTotals {
        column: days.day.to_owned(),
        summed: summed.iter().map(|column| column.name.clone()).collect(),
        days: rows.iter().map(|row| day_total(row, summed.len())).collect(),
    })
}

/// The business day of the row called `t`.
pub fn day_expression(columns: &[Column], day: &str) -> String {
    let is_date = columns.iter().any(|column| column.name == day && column.type_name == "date");
    format!("t.{}{}", quote_identifier(day), if is_date { "" } else { "::date" })
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
