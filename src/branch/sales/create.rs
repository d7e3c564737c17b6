//! The table for branches that have none yet.

use postgres::Client;

use super::shape::sales_name;
use crate::database::{database_failure, making_failure};
use crate::domain::Failure;

const DOING: &str = "creating public.sales";

const SALES: &str = include_str!("../../../migrations/sales.sql");

/// Creates `public.sales` if there is no such table. True if it was created.
pub fn create_sales(client: &mut Client) -> Result<bool, Failure> {
    let failed = |error: postgres::Error| database_failure(DOING, &error);
    let row = client.query_one("SELECT to_regclass('public.sales') IS NULL", &[]).map_err(failed)?;
    let is_missing: bool = row.get(0);
    if is_missing {
        let made = client.batch_execute(SALES);
        made.map_err(|error| making_failure(client, DOING, &error, &sales_name()))?;
    }
    Ok(is_missing)
}
