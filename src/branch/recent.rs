//! The last bundles, and what head office has said of them.

use chrono::{DateTime, Utc};
use postgres::{GenericClient, Row};

use crate::database::database_failure;
use crate::domain::{Epoch, Failure};

/// A recorded bundle with what became of it.
#[derive(Debug, Clone)]
pub struct RecentBundle {
    /// The incarnation of the database that sealed it.
    pub epoch: Epoch,
    /// Whether that is the current one.
    pub is_current: bool,
    /// Its number.
    pub sequence: i64,
    /// Inserts and updates in it.
    pub rows: i64,
    /// Tombstones in it.
    pub tombstones: i64,
    /// Size of the file.
    pub bytes: i64,
    /// `sealed`, `published`, `applied`, `held` or `rejected`.
    pub state: String,
    /// Head office's words, while it is held or rejected.
    pub reason: Option<String>,
    /// By the branch's clock.
    pub sealed_at: DateTime<Utc>,
    /// When it was begun to be sent, once a broker has it; by the branch's clock.
    pub published_at: Option<DateTime<Utc>>,
    /// When a broker had it, by the branch's clock.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// By head office's clock.
    pub applied_at: Option<DateTime<Utc>>,
}

const COLUMNS: &str = "b.epoch, b.epoch = n.epoch, sequence, row_count, tombstone_count, byte_count, state, reason, sealed_at, \
                       published_at, confirmed_at, applied_at";

/// So many bundles, newest first: the newest of all, or those before one that is named.
pub fn recent_bundles(
    client: &mut impl GenericClient,
    before: Option<(Epoch, i64)>,
    count: i64,
) -> Result<Vec<RecentBundle>, Failure> {
    let (epoch, sequence) = before.map(|(epoch, sequence)| (epoch.0, sequence)).unzip();
    let rows = client
        .query(
            &format!(
                "SELECT {COLUMNS} FROM salesync.bundle b, salesync.node n
                 WHERE $1::uuid IS NULL OR (b.epoch, sequence) < ($1, $2::bigint)
                 ORDER BY b.epoch DESC, sequence DESC LIMIT $3"
            ),
            &[&epoch, &sequence, &count],
        )
        .map_err(|error| database_failure("reading the last bundles", &error))?;
    Ok(rows.iter().map(recent).collect())
}

/// The one with this number, if there is one.
pub(super) fn bundle_at(
    client: &mut impl GenericClient,
    epoch: Epoch,
    sequence: i64,
) -> Result<Option<RecentBundle>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM salesync.bundle b, salesync.node n WHERE b.epoch = $1 AND sequence = $2"
    );
    let row = client.query_opt(&sql, &[&epoch.0, &sequence]);
    Ok(row.map_err(|error| database_failure("reading a bundle", &error))?.as_ref().map(recent))
}

fn recent(row: &Row) -> RecentBundle {
    RecentBundle {
        epoch: Epoch(row.get(0)),
        is_current: row.get(1),
        sequence: row.get(2),
        rows: row.get(3),
        tombstones: row.get(4),
        bytes: row.get(5),
        state: row.get(6),
        reason: row.get(7),
        sealed_at: row.get(8),
        published_at: row.get(9),
        confirmed_at: row.get(10),
        applied_at: row.get(11),
    }
}
