//! A cut's snapshot, for sessions that read beside it.

use postgres::{Client, Transaction};

use crate::database::database_failure;
use crate::domain::{Failure, quote_literal};

/// To be had as long as the cut's transaction lasts.
#[derive(Debug, Clone)]
pub(super) struct LentSnapshot(String);

impl LentSnapshot {
    /// That of the transaction.
    pub(super) fn of(transaction: &mut Transaction<'_>) -> Result<Self, Failure> {
        let lent = transaction.query_one("SELECT pg_export_snapshot()", &[]);
        let failed = |error| database_failure("lending the cut's snapshot", &error);
        lent.map(|row| Self(row.get(0))).map_err(failed)
    }

    /// Begins a transaction of this session with it. It ends with the session.
    pub(super) fn begin(&self, client: &mut Client) -> Result<(), Failure> {
        let snapshot = quote_literal(&self.0);
        let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT {snapshot}");
        client.batch_execute(&sql).map_err(|error| database_failure("using the cut's snapshot", &error))
    }
}
