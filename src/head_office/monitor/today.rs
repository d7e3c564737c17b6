//! What the branches have sold on their newest business day.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use postgres::GenericClient;

use super::board::Figure;
use super::tables::BusinessTable;
use crate::database::database_failure;
use crate::domain::Failure;

/// What a branch has sold on a day.
#[derive(Debug, Clone)]
pub struct Sold {
    /// The day.
    pub day: NaiveDate,
    /// Rows and money.
    pub figure: Figure,
}

/// What each branch has sold today, or on its newest business day before; by branch. What it has dated ahead does
/// not count.
pub fn latest_sales(
    client: &mut impl GenericClient,
    table: &BusinessTable,
    today: NaiveDate,
) -> Result<BTreeMap<String, Sold>, Failure> {
    let sql = "SELECT b.name, d.day, d.row_count, coalesce(d.total->>'sum', '0'),
                      coalesce((d.total->>'non_finite')::bigint, 0)
               FROM salesync.branch b CROSS JOIN LATERAL (
                   SELECT day, row_count, totals->(array_position(summed, $3::text) - 1) AS total
                   FROM salesync.day_total
                   WHERE branch = b.name AND schema_name = $1 AND table_name = $2 AND day <= $4 AND day > '-infinity'
                     AND row_count > 0
                   ORDER BY day DESC LIMIT 1) d";
    let rows = client
        .query(sql, &[&table.name.schema, &table.name.table, &table.amount, &today])
        .map_err(|error| database_failure("reading what the branches have sold", &error))?;
    let mut sold = BTreeMap::new();
    for row in &rows {
        let mut figure = Figure::default();
        figure.add(row.get::<_, i64>(2).unsigned_abs(), row.get(3), row.get::<_, i64>(4).unsigned_abs())?;
        sold.insert(row.get(0), Sold { day: row.get(1), figure });
    }
    Ok(sold)
}
