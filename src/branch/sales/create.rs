//! The table for branches that have none yet.

use postgres::Client;

use crate::database::database_failure;
use crate::domain::Failure;

const SALES: &str = include_str!("../../../migrations/sales.sql");

/// Creates `public.sales` if there is no such table. True if it was created.
pub fn create_sales(client: &mut Client) -> Result<bool, Failure> {
    let failed = |error: postgres::Error| database_failure("creating public.sales", &error);
    let row = client.query_one("SELECT to_regclass('public.sales') IS NULL", &[]).map_err(failed)?;
    let is_missing: bool = row.get(0);
    if is_missing {
        client.batch_execute(SALES).map_err(failed)?;
    }
    Ok(is_missing)
}
