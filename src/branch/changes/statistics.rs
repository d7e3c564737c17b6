//! What the planner has to know of a log.

use postgres::Transaction;

use super::TableCut;
use crate::database::gather_statistics;

impl TableCut {
    /// Gathers statistics of the log if there are none: so it is after many rows have been written at once, and
    /// where nobody gathers any. The planner would take all keys for 200 different ones and next to none for new, and look each row up by itself, which
    /// takes more than twice the time of going through table and log side by side.
    pub(super) fn gather_statistics(&self, transaction: &mut Transaction<'_>) -> Result<(), postgres::Error> {
        let log = format!("log_{}", self.table.id);
        let sql = "SELECT EXISTS (SELECT FROM pg_stats WHERE schemaname = 'salesync' AND tablename = $1 AND attname = 'k1')";
        if transaction.query_one(sql, &[&log])?.get(0) {
            return Ok(());
        }
        gather_statistics(transaction, &format!("salesync.{log}"))
    }
}
