//! A branch leaves: its tables are not captured any more.

use postgres::Client;

use super::tracking::{tracked_tables, untrack};
use crate::database::{Lock, database_failure, take_lock};
use crate::domain::{Failure, TableName};

/// What becomes of the schema `salesync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// It stays, with the record of every bundle and receipt.
    Kept,
    /// It goes.
    Purged,
}

/// Ends the capture of all tables; the tables themselves are not touched. Returns which were captured.
pub fn leave(client: &mut Client, remains: Remains) -> Result<Vec<TableName>, Failure> {
    take_lock(client, Lock::Init)?;
    take_lock(client, Lock::Bundle)?;
    let failed = |error: postgres::Error| database_failure("leaving", &error);
    let mut transaction = client.transaction().map_err(failed)?;
    let tables = tracked_tables(&mut transaction)?;
    for table in &tables {
        untrack(&mut transaction, table)?;
    }
    if remains == Remains::Purged {
        transaction.batch_execute("DROP SCHEMA salesync CASCADE").map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(tables.into_iter().map(|table| table.name).collect())
}
