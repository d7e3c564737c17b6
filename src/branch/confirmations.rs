//! When bundles were published: the next one tells head office, for none can say it of itself.

use postgres::{Client, Row, Transaction};

use super::node::Node;
use crate::database::database_failure;
use crate::domain::{Confirmation, Failure, MOST_CONFIRMATIONS, Manifest, Sequence};

/// What a confirmation takes in a manifest, at most.
pub(super) const BYTES_PER_CONFIRMATION: u64 = 160;

/// The newest bundles of the epoch that a broker has confirmed and head office was not told of, as many as a manifest
/// holds, in their order.
pub(super) fn untold_confirmations(client: &mut Client, node: &Node) -> Result<Vec<Confirmation>, Failure> {
    let sql = "SELECT sequence, published_at, confirmed_at FROM salesync.bundle
               WHERE epoch = $1 AND confirmed_at IS NOT NULL AND NOT is_told ORDER BY sequence DESC LIMIT $2";
    let most = i64::try_from(MOST_CONFIRMATIONS).unwrap_or(i64::MAX);
    let rows = client
        .query(sql, &[&node.epoch.0, &most])
        .map_err(|error| database_failure("reading when bundles were published", &error))?;
    Ok(rows.iter().rev().filter_map(confirmation).collect())
}

fn confirmation(row: &Row) -> Option<Confirmation> {
    let sequence = Sequence::from_bigint(row.get(0))?;
    Some(Confirmation { sequence, published_at: row.get(1), confirmed_at: row.get(2) })
}

/// Notes that this bundle tells of them.
pub(super) fn note_told(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
) -> Result<(), postgres::Error> {
    if manifest.confirmations.is_empty() {
        return Ok(());
    }
    let told: Vec<i64> = manifest.confirmations.iter().map(|told| told.sequence.as_bigint()).collect();
    let sql = "UPDATE salesync.bundle SET is_told = true WHERE epoch = $1 AND sequence = ANY ($2)";
    transaction.execute(sql, &[&manifest.epoch.0, &told]).map(drop)
}
