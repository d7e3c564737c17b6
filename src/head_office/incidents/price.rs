//! What a decision costs, in numbers: for the question that is asked before.

use postgres::GenericClient;

use crate::database::database_failure;
use crate::domain::{Epoch, Failure, NodeName};

/// What is in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleSize {
    /// Inserts and updates.
    pub rows: i64,
    /// Tombstones.
    pub tombstones: i64,
    /// Of the file.
    pub bytes: i64,
}

/// About how much a branch sends if it says everything again, by what it has sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullSize {
    /// The rows it has had by its last word.
    pub rows: i64,
    /// Their size, at the rate of all bundles that were applied.
    pub bytes: i64,
}

/// What is in a bundle that the ledger knows.
pub fn bundle_size(
    client: &mut impl GenericClient,
    branch: &NodeName,
    epoch: Epoch,
    sequence: i64,
) -> Result<Option<BundleSize>, Failure> {
    let sql = "SELECT row_count, tombstone_count, byte_count FROM salesync.bundle
               WHERE branch = $1 AND epoch = $2 AND sequence = $3";
    let row = client.query_opt(sql, &[&branch.as_str(), &epoch.0, &sequence]);
    let row = row.map_err(|error| database_failure("looking the bundle up in the ledger", &error))?;
    Ok(row.map(|row| BundleSize { rows: row.get(0), tombstones: row.get(1), bytes: row.get(2) }))
}

/// None where nothing that was applied tells: a branch without business days, or without any bundle.
pub fn full_size(client: &mut impl GenericClient, branch: &NodeName) -> Result<Option<FullSize>, Failure> {
    let sql = "SELECT d.rows::bigint, round(d.rows * b.applied_bytes / nullif(b.applied_rows, 0))::bigint
               FROM salesync.branch b,
                    (SELECT sum(row_count) AS rows FROM salesync.day_total WHERE branch = $1) d
               WHERE b.name = $1";
    let row = client.query_opt(sql, &[&branch.as_str()]);
    let row = row.map_err(|error| database_failure("estimating how much the branch would send", &error))?;
    let size = |row: postgres::Row| {
        Some(FullSize { rows: row.get::<_, Option<i64>>(0)?, bytes: row.get::<_, Option<i64>>(1)? })
    };
    Ok(row.and_then(size))
}
