//! Takes in head office's receipts, and forgets what they prove.

use chrono::Utc;
use postgres::{Client, GenericClient, Transaction};
use serde::Serialize;

use super::node::{Node, restored};
use super::requests::record_request;
use super::tracking::tracked_tables;
use crate::broker::Broker;
use crate::database::database_failure;
use crate::domain::{
    ANSWER_FORMAT, Failure, KeyRing, ProbeAnswer, REQUEST_FORMAT, Receipt, ReceiptOutcome, Request, Signable,
    Signature,
};
use crate::halt::{self, Step};

/// A bundle that head office has but has not applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unapplied {
    /// Its number.
    pub sequence: i64,
    /// `held` or `rejected`.
    pub state: String,
    /// Head office's words.
    pub reason: String,
}

/// What came from head office.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Receipts that were taken in.
    pub receipts: u64,
    /// What is not proven to be head office's. Receipts and requests are kept, and change nothing.
    pub refused: u64,
    /// Answers to probes that are head office's.
    pub answers: Vec<ProbeAnswer>,
}

/// Takes in every receipt and request that waits for this branch and is proven to be head office's, by its
/// keys if it has any here. Each is recorded before it is taken out of the queue, so a crash in between only
/// brings it again.
pub fn settle(
    client: &mut Client,
    broker: &mut Broker,
    node: &Node,
    head_office: &KeyRing,
) -> Result<Settled, Failure> {
    let mut settled = Settled::default();
    while let Some(delivery) = broker.next_receipt(node.name.as_str())? {
        let signable = match delivery.message_type.as_deref() {
            Some(REQUEST_FORMAT) => Signable::Request,
            Some(ANSWER_FORMAT) => Signable::Answer,
            _ => Signable::Receipt,
        };
        let (body, signature) = (&delivery.payload[..], delivery.headers.signature);
        let doubt = head_office.check(signable, body, signature.as_ref(), Utc::now()).err();
        let answer = Answer { body, signature, refusal: doubt.map(|doubt| doubt.to_string()) };
        if answer.refusal.is_some() {
            settled.refused += 1;
        }
        match signable {
            Signable::Request => {
                take_request(client, node, &answer)?;
                halt::after(Step::RequestRecorded);
            }
            Signable::Answer => settled.answers.extend(take_answer(node, &answer)),
            _ => settled.receipts += u64::from(take_receipt(client, node, &answer)?),
        }
        broker.acknowledge(delivery)?;
        halt::after(Step::ReceiptTaken);
    }
    // A killed run may have taken the receipts and left the log.
    prune_log(client, node)?;
    Ok(settled)
}

/// What came in head office's name.
pub(super) struct Answer<'a> {
    pub(super) body: &'a [u8],
    signature: Option<Signature>,
    /// Why it is not believed, if so.
    pub(super) refusal: Option<String>,
}

impl Answer<'_> {
    fn signature(&self) -> Option<String> {
        self.signature.map(|signature| signature.to_string())
    }
}

/// True if it is one for this branch, and believed.
fn take_receipt(client: &mut Client, node: &Node, answer: &Answer<'_>) -> Result<bool, Failure> {
    match Receipt::from_bytes(answer.body) {
        Ok(receipt) if receipt.branch == node.name => {
            if let Some(why) = &answer.refusal {
                keep(client, &receipt, answer)
                    .map_err(|error| database_failure("keeping a receipt", &error))?;
                tracing::warn!("a receipt of bundle {} is kept and not used: {why}", receipt.sequence);
                return Ok(false);
            }
            expect_own(client, node, &receipt)?;
            record(client, &receipt, answer)?;
            halt::after(Step::ReceiptRecorded);
            return Ok(true);
        }
        Ok(receipt) => {
            tracing::warn!("a receipt for {} came to this branch and is not used", receipt.branch);
        }
        Err(why) => tracing::warn!("a receipt cannot be read and is not used: {why}"),
    }
    Ok(false)
}

/// What head office has applied in this epoch is what this database has sealed. If it is not, the database
/// was set back with all that stands beside it, or somebody else has spoken in the branch's name. The receipt
/// stays in its queue, and so does the refusal, until a new epoch is begun.
fn expect_own(client: &mut Client, node: &Node, receipt: &Receipt) -> Result<(), Failure> {
    if receipt.outcome != ReceiptOutcome::Applied || receipt.epoch != node.epoch {
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT FROM salesync.bundle WHERE epoch = $1 AND sequence = $2 AND manifest_sha256 = $3)";
    let digest = receipt.manifest_sha256.to_string();
    let row = client
        .query_one(sql, &[&receipt.epoch.0, &receipt.sequence.as_bigint(), &digest])
        .map_err(|error| database_failure("looking up the bundle of a receipt", &error))?;
    if row.get(0) {
        return Ok(());
    }
    let known =
        if node.last_sequence < Some(receipt.sequence) { "does not know" } else { "knows as another" };
    let why = format!("head office has applied bundle {}, which it {known}", receipt.sequence);
    Err(restored(&why))
}

fn take_request(client: &mut Client, node: &Node, answer: &Answer<'_>) -> Result<(), Failure> {
    match Request::from_bytes(answer.body) {
        Ok(request) if request.branch == node.name => {
            if let Some(why) = &answer.refusal {
                tracing::warn!("a request for {} is kept and not followed: {why}", request.wanted);
            }
            record_request(client, &request, answer)?;
        }
        Ok(request) => {
            tracing::warn!("a request to {} came to this branch and is not followed", request.branch);
        }
        Err(why) => tracing::warn!("a request cannot be read and is not followed: {why}"),
    }
    Ok(())
}

/// The answer to a probe, if it is believed. Nothing is recorded of it: whoever wants another asks again.
fn take_answer(node: &Node, answer: &Answer<'_>) -> Option<ProbeAnswer> {
    if let Some(why) = &answer.refusal {
        tracing::warn!("an answer to a probe is not used: {why}");
        return None;
    }
    match ProbeAnswer::from_bytes(answer.body) {
        Ok(found) if found.branch == node.name => return Some(found),
        Ok(found) => {
            tracing::warn!("an answer to a probe of {} came to this branch and is not used", found.branch);
        }
        Err(why) => tracing::warn!("an answer to a probe cannot be read and is not used: {why}"),
    }
    None
}

/// Adds a receipt to those that came.
fn keep(
    client: &mut impl GenericClient,
    receipt: &Receipt,
    answer: &Answer<'_>,
) -> Result<(), postgres::Error> {
    let sql = "INSERT INTO salesync.receipt (bundle_id, outcome, body, signature, refusal) VALUES ($1, $2, $3, $4, $5)";
    let (body, outcome) = (String::from_utf8_lossy(answer.body), receipt.outcome.as_str());
    client
        .execute(sql, &[&receipt.bundle_id.0, &outcome, &&*body, &answer.signature(), &answer.refusal])
        .map(drop)
}

/// Notes what became of the bundle, and, if it was applied, of all before it: they are in its hash
/// chain. Receipts may be late or repeated: once applied stays applied, and an answer to other bytes
/// than were sent is kept, but changes nothing.
fn record(client: &mut Client, receipt: &Receipt, answer: &Answer<'_>) -> Result<(), Failure> {
    let doing = format!("recording the receipt of bundle {}", receipt.sequence);
    let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
    let mut transaction = client.transaction().map_err(failed)?;
    keep(&mut transaction, receipt, answer).map_err(failed)?;
    let updated = transaction
        .execute(
            "UPDATE salesync.bundle SET state = $1, reason = $5, applied_at = CASE $1 WHEN 'applied' THEN $6::timestamptz END
             WHERE epoch = $2 AND (sequence = $3 OR $1 = 'applied' AND sequence < $3) AND state <> 'applied'
               AND EXISTS (SELECT FROM salesync.bundle WHERE epoch = $2 AND sequence = $3 AND manifest_sha256 = $4)",
            &[
                &receipt.outcome.as_str(),
                &receipt.epoch.0,
                &receipt.sequence.as_bigint(),
                &receipt.manifest_sha256.to_string(),
                &receipt.reason,
                &receipt.decided_at,
            ],
        )
        .map_err(failed)?;
    if updated == 0 {
        if let Some(why) = contradiction(&mut transaction, receipt).map_err(failed)? {
            tracing::warn!("the receipt of bundle {} is kept and not used: {why}", receipt.sequence);
        } else {
            tracing::info!("the receipt of bundle {} brings nothing new", receipt.sequence);
        }
    }
    transaction.commit().map_err(failed)
}

/// What a receipt contradicts that changes nothing, if it is no mere repetition.
fn contradiction(
    transaction: &mut Transaction<'_>,
    receipt: &Receipt,
) -> Result<Option<&'static str>, postgres::Error> {
    let sql = "SELECT manifest_sha256 = $3, state FROM salesync.bundle WHERE epoch = $1 AND sequence = $2";
    let digest = receipt.manifest_sha256.to_string();
    let row = transaction.query_opt(sql, &[&receipt.epoch.0, &receipt.sequence.as_bigint(), &digest])?;
    Ok(match row.map(|row| (row.get(0), row.get::<_, String>(1))) {
        None => Some("this branch has recorded no such bundle"),
        Some((false, _)) => Some("it answers other content than this branch has sealed under that number"),
        Some((true, state)) if state == "applied" && receipt.outcome == ReceiptOutcome::Rejected => {
            Some("head office has applied that bundle before")
        }
        Some(_) => None,
    })
}

/// Forgets the logged keys that were visible in the newest cut that head office has applied to its
/// last part: no later bundle can need them.
fn prune_log(client: &mut Client, node: &Node) -> Result<(), Failure> {
    let failed = |error: postgres::Error| database_failure("pruning the change log", &error);
    let mut transaction = client.transaction().map_err(failed)?;
    let sql = "SELECT b.sequence, b.watermark::text FROM salesync.bundle b
               WHERE b.epoch = $1 AND b.state = 'applied' AND b.is_last_part
                 AND b.sequence > (SELECT pruned_through FROM salesync.node)
               ORDER BY b.sequence DESC LIMIT 1";
    let Some(newest) = transaction.query_opt(sql, &[&node.epoch.0]).map_err(failed)? else {
        return Ok(());
    };
    let watermark: &str = newest.get(1);
    prune_tables(&mut transaction, watermark)?;
    let sql = "UPDATE salesync.node SET pruned_through = $1";
    transaction.execute(sql, &[&newest.get::<_, i64>(0)]).map_err(failed)?;
    halt::after(Step::LogPruned);
    transaction.commit().map_err(failed)
}

fn prune_tables(transaction: &mut Transaction<'_>, watermark: &str) -> Result<(), Failure> {
    for table in tracked_tables(transaction)? {
        let sql = format!(
            "DELETE FROM salesync.log_{} WHERE pg_visible_in_snapshot(xid, $1::text::pg_snapshot)",
            table.id
        );
        let doing = || format!("pruning the change log of {}", table.name);
        transaction.execute(&sql, &[&watermark]).map_err(|error| database_failure(doing(), &error))?;
    }
    Ok(())
}

/// How many bundles of the current epoch were published and have not been answered as applied.
pub fn unanswered_bundles(client: &mut Client, node: &Node) -> Result<i64, Failure> {
    let sql = "SELECT count(*) FROM salesync.bundle WHERE epoch = $1 AND state IN ('published', 'held', 'rejected')";
    let row = client
        .query_one(sql, &[&node.epoch.0])
        .map_err(|error| database_failure("counting the unanswered bundles", &error))?;
    Ok(row.get(0))
}

/// The bundles of the current epoch that head office holds or has rejected, by its last receipts.
pub fn unapplied_bundles(client: &mut Client) -> Result<Vec<Unapplied>, Failure> {
    let sql =
        "SELECT sequence, state, coalesce(reason, '') FROM salesync.bundle JOIN salesync.node USING (epoch)
               WHERE state IN ('held', 'rejected') ORDER BY sequence";
    let rows = client
        .query(sql, &[])
        .map_err(|error| database_failure("reading what head office has not applied", &error))?;
    let unapplied =
        |row: &postgres::Row| Unapplied { sequence: row.get(0), state: row.get(1), reason: row.get(2) };
    Ok(rows.iter().map(unapplied).collect())
}
