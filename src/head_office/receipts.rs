//! Receipts leave head office from its table, so that a crash between deciding and answering only
//! delays them.

use postgres::{Client, GenericClient};

use crate::broker::Broker;
use crate::database::database_failure;
use crate::domain::{BundleId, Failure, Kind, NodeName, Receipt};
use crate::halt::{self, Step};

/// Writes down an answer, to be sent when there is a broker.
pub(super) fn record_receipt(client: &mut impl GenericClient, receipt: &Receipt) -> Result<(), Failure> {
    let doing = "writing the receipt";
    let body = serde_json::to_string(receipt).map_err(|error| Failure::new(Kind::Failed, doing, error))?;
    let sql = "INSERT INTO salesync.receipt (branch, bundle_id, outcome, body) VALUES ($1, $2, $3, $4)";
    client
        .execute(sql, &[&receipt.branch.as_str(), &receipt.bundle_id.0, &receipt.outcome.as_str(), &body])
        .map(|_| ())
        .map_err(|error| database_failure(doing, &error))
}

/// A duplicate is answered with the answer to the bundle that was applied: another with its id may
/// have come later, and was rejected.
pub(super) fn repeat_receipt(
    client: &mut impl GenericClient,
    branch: &NodeName,
    bundle: BundleId,
) -> Result<(), postgres::Error> {
    client.execute(
        "UPDATE salesync.receipt SET published_at = NULL
         WHERE branch = $1 AND bundle_id = $2 AND outcome = 'applied'",
        &[&branch.as_str(), &bundle.0],
    )?;
    Ok(())
}

/// Publishes every receipt that no broker has confirmed, oldest first. Returns how many. Those of a
/// branch whose queue is missing or full stay; they do not keep back those of others.
pub(super) fn publish_receipts(client: &mut Client, broker: &mut Broker) -> Result<u64, Failure> {
    let failed = |error: postgres::Error| database_failure("sending the receipts", &error);
    let unsent = "SELECT receipt_id, branch, bundle_id::text, body FROM salesync.receipt
                  WHERE published_at IS NULL AND branch <> ALL ($1) ORDER BY receipt_id LIMIT 1";
    let sent = "UPDATE salesync.receipt SET published_at = clock_timestamp() WHERE receipt_id = $1";
    let mut published = 0;
    let mut unreachable: Vec<String> = Vec::new();
    while let Some(row) = client.query_opt(unsent, &[&unreachable]).map_err(failed)? {
        let (id, branch, bundle, body): (i64, &str, &str, &str) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        match broker.publish_receipt(branch, bundle, body.as_bytes()) {
            Ok(()) => {
                halt::after(Step::ReceiptConfirmed);
                published += client.execute(sent, &[&id]).map_err(failed)?;
                halt::after(Step::ReceiptPublished);
            }
            Err(failure) if broker.is_connected() => {
                tracing::warn!("{failure}");
                unreachable.push(branch.to_owned());
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(published)
}
