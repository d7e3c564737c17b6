//! Many sales at once: all, or those of a period.

use chrono::NaiveDate;
use postgres::{Client, GenericClient};

use super::shape::check_sales;
use super::write::refused;
use crate::domain::Failure;

/// Business days; without an end it has none there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SalesPeriod {
    /// The first.
    pub from: Option<NaiveDate>,
    /// The last.
    pub to: Option<NaiveDate>,
}

/// So many sales, and what they come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClearedSales {
    /// How many.
    pub count: i64,
    /// The sum of their totals, as the database prints it.
    pub total: String,
}

const IN_PERIOD: &str = "($1::date IS NULL OR date >= $1) AND ($2::date IS NULL OR date <= $2)";

/// Counts the sales of a period.
pub fn count_sales(client: &mut impl GenericClient, period: SalesPeriod) -> Result<ClearedSales, Failure> {
    check_sales(client)?;
    let sql = format!("SELECT count(*), coalesce(sum(total), 0)::text FROM public.sales WHERE {IN_PERIOD}");
    extent(client, "counting the sales", &sql, period)
}

/// Removes the sales of a period, if they are still those that were `seen`; else nothing, and tells what they are
/// now.
pub fn clear_sales(
    client: &mut Client,
    period: SalesPeriod,
    seen: &ClearedSales,
) -> Result<Result<(), ClearedSales>, Failure> {
    const DOING: &str = "clearing the sales";
    let failed = |error: postgres::Error| refused(DOING, &error);
    check_sales(client)?;
    let mut transaction = client.transaction().map_err(failed)?;
    // So many rows may take their time.
    transaction.batch_execute("SET LOCAL statement_timeout = '10min'").map_err(failed)?;
    let sql = format!(
        "WITH gone AS (DELETE FROM public.sales WHERE {IN_PERIOD} RETURNING total)
         SELECT count(*), coalesce(sum(total), 0)::text FROM gone"
    );
    let cleared = extent(&mut transaction, DOING, &sql, period)?;
    if cleared != *seen {
        transaction.rollback().map_err(failed)?;
        return Ok(Err(cleared));
    }
    transaction.commit().map_err(failed)?;
    Ok(Ok(()))
}

fn extent(
    client: &mut impl GenericClient,
    doing: &str,
    sql: &str,
    period: SalesPeriod,
) -> Result<ClearedSales, Failure> {
    let row = client.query_one(sql, &[&period.from, &period.to]).map_err(|error| refused(doing, &error))?;
    Ok(ClearedSales { count: row.get(0), total: row.get(1) })
}
