//! How a branch stands.

use postgres::GenericClient;
use serde::Serialize;

use super::tracking::tracked_tables;
use crate::database::database_failure;
use crate::domain::Failure;

/// How a branch stands.
#[derive(Debug, Clone, Serialize)]
pub struct BranchStatus {
    /// Changed keys that are in no bundle yet; a key that was changed twice counts once.
    pub unsynced: i64,
    /// Sealed bundles that no broker has confirmed.
    pub pending: i64,
    /// The last bundle that a broker has confirmed.
    pub last_published: Option<i64>,
    /// The last bundle that head office has confirmed as applied.
    pub last_applied: Option<i64>,
}

/// Reads how the branch stands. Needs `salesync init`.
pub fn branch_status(client: &mut impl GenericClient) -> Result<BranchStatus, Failure> {
    let failed = |error: postgres::Error| database_failure("reading how this branch stands", &error);
    let mut unsynced = 0;
    for table in tracked_tables(client)? {
        let counted = if table.is_complete {
            let log = format!("salesync.log_{}", table.id);
            let keys = format!(
                "SELECT DISTINCT (to_jsonb(l) - 'op' - 'xid') FROM {log} l, salesync.node n
                 WHERE NOT pg_visible_in_snapshot(l.xid, n.watermark)"
            );
            format!("SELECT count(*) FROM ({keys}) k")
        } else {
            format!("SELECT count(*) FROM ONLY {}", table.name.sql())
        };
        unsynced += client.query_one(&counted, &[]).map_err(failed)?.get::<_, i64>(0);
    }
    let sql = "SELECT count(*) FILTER (WHERE state = 'sealed'), max(sequence) FILTER (WHERE published_at IS NOT NULL),
                      max(sequence) FILTER (WHERE state = 'applied')
               FROM salesync.bundle JOIN salesync.node USING (epoch)";
    let row = client.query_one(sql, &[]).map_err(failed)?;
    Ok(BranchStatus { unsynced, pending: row.get(0), last_published: row.get(1), last_applied: row.get(2) })
}
