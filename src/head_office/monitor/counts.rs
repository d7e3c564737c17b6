//! Counts since the beginning, and of what waits: for metrics.

use std::collections::BTreeMap;

use postgres::GenericClient;

use crate::database::database_failure;
use crate::domain::Failure;

/// What was ever applied of a branch.
#[derive(Debug, Clone, Copy, Default)]
pub struct BranchCounts {
    /// Bundles.
    pub bundles: u64,
    /// Rows and tombstones in them.
    pub rows: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// All counts.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// What was applied, by branch.
    pub branches: BTreeMap<String, BranchCounts>,
    /// Incidents by branch and kind, all and unresolved ones. The branch is empty where it is none
    /// that head office knows.
    pub incidents: BTreeMap<(String, String), (u64, u64)>,
    /// Receipts that no broker has yet.
    pub receipts_unpublished: u64,
}

/// Reads the counts.
pub fn counts(client: &mut impl GenericClient) -> Result<Counts, Failure> {
    let failed = |error: postgres::Error| database_failure("counting what was applied", &error);
    let mut counts = Counts::default();
    let sql = "SELECT name, applied_bundles, applied_rows, applied_bytes FROM salesync.branch";
    for row in client.query(sql, &[]).map_err(failed)? {
        let [bundles, rows, bytes] = [1, 2, 3].map(|index| row.get::<_, i64>(index).unsigned_abs());
        counts.branches.insert(row.get(0), BranchCounts { bundles, rows, bytes });
    }
    let sql = "SELECT coalesce(b.name, ''), i.kind, count(*), count(*) FILTER (WHERE i.resolved_at IS NULL)
               FROM salesync.incident i LEFT JOIN salesync.branch b ON b.name = i.branch GROUP BY b.name, i.kind";
    for row in client.query(sql, &[]).map_err(failed)? {
        let [all, open] = [2, 3].map(|index| row.get::<_, i64>(index).unsigned_abs());
        counts.incidents.insert((row.get(0), row.get(1)), (all, open));
    }
    let sql = "SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL";
    let row = client.query_one(sql, &[]).map_err(failed)?;
    counts.receipts_unpublished = row.get::<_, i64>(0).unsigned_abs();
    Ok(counts)
}
