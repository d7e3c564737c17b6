//! All that the branch knows of one of its bundles.

use chrono::{DateTime, Utc};
use postgres::GenericClient;
use uuid::Uuid;

use super::recent::{RecentBundle, bundle_at};
use crate::database::database_failure;
use crate::domain::{Epoch, Failure};

/// Receipts that are told of a bundle, at most.
const MOST: i64 = 100;

/// What is known of the bundle with a number.
#[derive(Debug, Clone)]
pub struct BundleBiography {
    /// What became of it.
    pub bundle: RecentBundle,
    /// Its id.
    pub bundle_id: Uuid,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// What was committed before is in the cut. By the branch's clock, as all times here.
    pub cut_at: DateTime<Utc>,
    /// The snapshot of the cut.
    pub watermark: String,
    /// Which part of the cut it is.
    pub part: i32,
    /// Whether it is the last.
    pub is_last_part: bool,
    /// The hash of the bundle before it, where there is one in its epoch.
    pub previous_sha256: Option<String>,
    /// Whether there is one after it.
    pub has_next: bool,
    /// Head office's answers, in the order in which they came.
    pub receipts: Vec<ReceiptTaken>,
}

/// An answer of head office.
#[derive(Debug, Clone)]
pub struct ReceiptTaken {
    /// `applied`, `held`, `rejected`.
    pub outcome: String,
    /// The JSON, as it came.
    pub body: String,
    /// Whether it is signed.
    pub is_signed: bool,
    /// Why it was not believed, and changed nothing.
    pub refusal: Option<String>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// What is known of this bundle; none if the branch has sealed no such one.
pub fn bundle_biography(
    client: &mut impl GenericClient,
    epoch: Epoch,
    sequence: i64,
) -> Result<Option<BundleBiography>, Failure> {
    let failed = |error: postgres::Error| database_failure("reading the life of a bundle", &error);
    let Some(bundle) = bundle_at(client, epoch, sequence)? else { return Ok(None) };
    let sql = "
        SELECT b.bundle_id, b.manifest_sha256, b.cut_at, b.watermark::text, b.part, b.is_last_part,
               (SELECT manifest_sha256 FROM salesync.bundle WHERE epoch = b.epoch AND sequence = b.sequence - 1),
               EXISTS (SELECT FROM salesync.bundle WHERE epoch = b.epoch AND sequence = b.sequence + 1)
        FROM salesync.bundle b WHERE b.epoch = $1 AND b.sequence = $2";
    let Some(row) = client.query_opt(sql, &[&epoch.0, &sequence]).map_err(failed)? else { return Ok(None) };
    let bundle_id: Uuid = row.get(0);
    let sql = "SELECT outcome, body, signature IS NOT NULL, refusal, received_at FROM salesync.receipt
               WHERE bundle_id = $1 ORDER BY receipt_id LIMIT $2";
    let receipts = client.query(sql, &[&bundle_id, &MOST]).map_err(failed)?;
    Ok(Some(BundleBiography {
        bundle,
        bundle_id,
        manifest_sha256: row.get(1),
        cut_at: row.get(2),
        watermark: row.get(3),
        part: row.get(4),
        is_last_part: row.get(5),
        previous_sha256: row.get(6),
        has_next: row.get(7),
        receipts: receipts.iter().map(receipt).collect(),
    }))
}

fn receipt(row: &postgres::Row) -> ReceiptTaken {
    ReceiptTaken {
        outcome: row.get(0),
        body: row.get(1),
        is_signed: row.get(2),
        refusal: row.get(3),
        received_at: row.get(4),
    }
}
