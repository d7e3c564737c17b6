//! A sale, and how it is read.

use postgres::{Client, IsolationLevel, Row, Transaction};

use super::shape::FROM;
use crate::database::database_failure;
use crate::domain::Failure;

/// A sale, every value as PostgreSQL writes it; none is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Whose it is.
    pub branch: String,
    /// Its number at the branch.
    pub id: i64,
    /// The business day.
    pub date: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The product.
    pub product: Option<String>,
    /// Pieces.
    pub qty: Option<String>,
    /// The price of one.
    pub cost: Option<String>,
    /// The amount without tax.
    pub amt: Option<String>,
    /// The tax.
    pub tax: Option<String>,
    /// The amount with tax.
    pub total: Option<String>,
}

/// The columns of a [`Sale`].
pub(super) const COLUMNS: &str = "t.branch::text, t.id::bigint, t.date::text, t.region::text, t.product::text, t.qty::text, \
                                  t.cost::text, t.amt::text, t.tax::text, t.total::text";

impl Sale {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            branch: row.get(0),
            id: row.get(1),
            date: row.get(2),
            region: row.get(3),
            product: row.get(4),
            qty: row.get(5),
            cost: row.get(6),
            amt: row.get(7),
            tax: row.get(8),
            total: row.get(9),
        }
    }
}

/// The first sales in this order that fit the condition. Only of these the values are written out.
pub(super) fn first_of(condition: &str, order: &str, limit: usize) -> String {
    format!(
        "SELECT {COLUMNS} FROM (SELECT * FROM {FROM} WHERE {condition} ORDER BY {order} LIMIT {limit}) t ORDER BY {order}"
    )
}

pub(super) fn failed(error: &postgres::Error) -> Failure {
    database_failure("reading the sales", error)
}

/// A transaction that sees one moment. A page is read by one process: what others would take over is done before they have
/// started, and where the server is busy they would make everybody wait.
pub(super) fn begin(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    let doing = |error: postgres::Error| failed(&error);
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.read_only(true).start().map_err(doing)?;
    transaction.batch_execute("SET LOCAL max_parallel_workers_per_gather = 0").map_err(doing)?;
    Ok(transaction)
}

/// The answer of a query on the sales, whose rows are found by their days: an index of keys would be read to its end for
/// the sake of a few, where the planner knows too little of the table.
pub(super) fn by_days(transaction: &mut Transaction<'_>, sql: &str) -> Result<Vec<Row>, Failure> {
    let doing = |error: postgres::Error| failed(&error);
    transaction.batch_execute("SET LOCAL enable_indexscan = off").map_err(doing)?;
    let rows = transaction.query(sql, &[]).map_err(doing)?;
    transaction.batch_execute("SET LOCAL enable_indexscan = on").map_err(doing)?;
    Ok(rows)
}
