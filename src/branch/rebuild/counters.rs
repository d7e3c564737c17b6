//! The sequences behind the columns go past the highest key, so that the application's next row finds a free
//! one.

use postgres::{Row, Transaction};

use super::live::LiveTable;
use crate::database::database_failure;
use crate::domain::{Failure, quote_identifier, quote_literal};

/// A sequence that gives a column its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The column.
    pub column: String,
    /// The value it gave last, or would have; none if it has not begun.
    pub last_value: Option<i64>,
}

/// Identity columns and serial ones own their sequence; others name it in their default.
const COUNTERS: &str = "
    SELECT DISTINCT a.attname::text, format('%I.%I', n.nspname, c.relname),
           s.seqincrement > 0, s.seqmin, s.seqmax
    FROM pg_attribute a
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass
                    AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
    JOIN pg_sequence s ON s.seqrelid = d.objid
    JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid AND t.typcategory = 'N'
    WHERE a.attrelid = $1
  UNION
    SELECT a.attname::text, format('%I.%I', n.nspname, c.relname), s.seqincrement > 0, s.seqmin, s.seqmax
    FROM pg_attribute a
    JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
                    AND d.refclassid = 'pg_class'::regclass
    JOIN pg_sequence s ON s.seqrelid = d.refobjid
    JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid AND t.typcategory = 'N'
    WHERE a.attrelid = $1
  ORDER BY 1, 2";

/// Sets the counters of a table. None goes backwards.
pub(super) fn advance_counters(
    transaction: &mut Transaction<'_>,
    table: &LiveTable<'_>,
) -> Result<Vec<Counter>, Failure> {
    let failed =
        |error: postgres::Error| database_failure(format!("setting the counters of {}", table.name), &error);
    let rows = transaction.query(COUNTERS, &[&table.oid]).map_err(failed)?;
    rows.iter().map(|row| advance(transaction, &table.name.sql(), row).map_err(failed)).collect()
}

fn advance(transaction: &mut Transaction<'_>, table: &str, row: &Row) -> Result<Counter, postgres::Error> {
    let (column, sequence): (String, String) = (row.get(0), row.get(1));
    let (ascends, least, greatest): (bool, i64, i64) = (row.get(2), row.get(3), row.get(4));
    let name = quote_identifier(&column);
    let (furthest, before) = if ascends { ("max", "<") } else { ("min", ">") };
    // Values that the counter can never reach are not in its way. One that has not begun gives its last value
    // next.
    let sql = format!(
        "SELECT setval({name_of_sequence}, reached.value) FROM (
             SELECT {furthest}({name})::bigint AS value FROM {table}
             WHERE {name} BETWEEN '{least}'::bigint AND '{greatest}'::bigint
         ) AS reached, {sequence} AS counter
         WHERE counter.last_value {before} reached.value
            OR NOT counter.is_called AND counter.last_value = reached.value",
        name_of_sequence = quote_literal(&sequence),
    );
    transaction.execute(&sql, &[])?;
    let sql = format!("SELECT CASE WHEN is_called THEN last_value END FROM {sequence}");
    let last_value = transaction.query_one(&sql, &[])?.get(0);
    Ok(Counter { column, last_value })
}
