//! What head office asks of its branches: bundles that are missing, by itself; anything, for an operator.
//! Requests leave from their table, as receipts do.

use postgres::{Client, GenericClient};

use super::branches::branch_states;
use super::decisions::{About, Decider, Ruling, branch_state, expect_as_seen, record};
use super::receipts::publish_receipts;
use crate::broker::Broker;
use crate::database::{database_failure, lock_decisions};
use crate::domain::{Epoch, Failure, Kind, Manifest, NodeName, Request, Sequence, Wanted, legible};
use crate::halt::{self, Step};

/// Ranges of missing bundles that are asked for at once, at most.
const MOST_RANGES: usize = 20;

/// Asks a branch for something in an operator's name. It is sent when there is a broker, and answered when
/// the branch connects.
pub fn request(
    client: &mut Client,
    branch: &NodeName,
    wanted: Wanted,
    by: Decider<'_>,
) -> Result<Request, Failure> {
    let failed = |error: postgres::Error| database_failure("recording the request", &error);
    let mut transaction = client.transaction().map_err(failed)?;
    lock_decisions(&mut transaction).map_err(failed)?;
    let state = branch_state(&mut transaction, branch)?;
    if let Some(seen) = by.seen {
        expect_as_seen(&mut transaction, &format!("asking {branch}"), &state, Ruling::Request, seen)?;
    }
    let wanted = match wanted {
        Wanted::Resend { first, last, .. } => {
            Wanted::Resend { epoch: state.held_epoch.or(state.epoch), first, last }
        }
        other => other,
    };
    let request = Request::new(branch.clone(), wanted, legible(by.reason.unwrap_or_default()));
    record_request(&mut transaction, &request)?;
    let about = About { request: Some(request.request_id), ..About::default() };
    record(&mut transaction, branch, Ruling::Request, about, by)?;
    transaction.commit().map_err(failed)?;
    Ok(request)
}

/// Asks for what is missing before bundles that are held, once for each time that one more came early.
fn request_missing(client: &mut Client) -> Result<(), Failure> {
    for state in branch_states(client)? {
        let Some(epoch) = state.held_epoch else { continue };
        for (first, last) in ranges(&state.missing()).into_iter().take(MOST_RANGES) {
            if !is_requested(client, &state.name, epoch, first, last)? {
                let (Some(first), Some(last)) = (Sequence::from_bigint(first), Sequence::from_bigint(last))
                else {
                    continue;
                };
                let wanted = Wanted::Resend { epoch: Some(epoch), first, last };
                let reason = "a later one has come without it".to_owned();
                record_request(client, &Request::new(state.name.clone(), wanted, reason))?;
            }
        }
    }
    Ok(())
}

/// True if this range was asked for since the newest held bundle came, and is still owed.
fn is_requested(
    client: &mut impl GenericClient,
    branch: &NodeName,
    epoch: Epoch,
    first: i64,
    last: i64,
) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (
                   SELECT FROM salesync.request r
                   WHERE r.branch = $1 AND r.epoch = $2 AND r.first_sequence <= $3 AND r.last_sequence >= $4
                     AND r.answered_at IS NULL
                     AND (r.published_at IS NULL OR r.requested_at > (
                          SELECT max(b.received_at) FROM salesync.bundle b
                          WHERE b.branch = $1 AND b.epoch = $2 AND b.state = 'held')))";
    let row = client
        .query_one(sql, &[&branch.as_str(), &epoch.0, &first, &last])
        .map_err(|error| database_failure("looking up what was asked for", &error))?;
    Ok(row.get(0))
}

/// Numbers in a row as first and last.
pub(super) fn ranges(sequences: &[i64]) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for &sequence in sequences {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => ranges.push((sequence, sequence)),
        }
    }
    ranges
}

fn record_request(client: &mut impl GenericClient, request: &Request) -> Result<(), Failure> {
    let doing = "recording the request";
    let body = serde_json::to_string(request).map_err(|error| Failure::new(Kind::Failed, doing, error))?;
    let bundles = request.wanted.bundles();
    client
        .execute(
            "INSERT INTO salesync.request (request_id, branch, wanted, epoch, first_sequence, last_sequence, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &request.request_id,
                &request.branch.as_str(),
                &request.wanted.as_str(),
                &bundles.and_then(|(epoch, ..)| epoch).map(|epoch| epoch.0),
                &bundles.map(|(_, first, _)| first.as_bigint()),
                &bundles.map(|(.., last)| last.as_bigint()),
                &body,
            ],
        )
        .map(|_| ())
        .map_err(|error| database_failure(doing, &error))
}

/// Notes which requests the arrival of this bundle answers. A newer epoch says everything an older one did. What
/// came before a request for something new had left cannot be its answer.
pub(super) fn note_answer(
    client: &mut impl GenericClient,
    manifest: &Manifest,
) -> Result<(), postgres::Error> {
    client.execute(
        "UPDATE salesync.request r SET answered_at = clock_timestamp()
         WHERE r.branch = $1 AND r.answered_at IS NULL
           AND CASE r.wanted
               WHEN 'sync' THEN r.published_at IS NOT NULL
               WHEN 'full' THEN $3::bigint = 1 AND NOT EXISTS (
                   SELECT FROM salesync.bundle b WHERE b.branch = $1 AND b.epoch = $2 AND b.received_at < r.requested_at)
               ELSE r.epoch < $2 OR coalesce(r.epoch, $2) = $2 AND r.last_sequence = $3 END",
        &[&manifest.branch.as_str(), &manifest.epoch.0, &manifest.sequence.as_bigint()],
    )?;
    Ok(())
}

/// Asks the branches for the bundles that are missing before those that are held, and publishes whatever no broker
/// has confirmed yet, receipts and requests.
pub fn write_to_branches(client: &mut Client, broker: &mut Broker) -> Result<(), Failure> {
    request_missing(client)?;
    publish_receipts(client, broker)?;
    publish_requests(client, broker).map(drop)
}

/// Publishes every request that no broker has confirmed, oldest first. Returns how many.
pub fn publish_requests(client: &mut Client, broker: &mut Broker) -> Result<u64, Failure> {
    let failed = |error: postgres::Error| database_failure("sending the requests", &error);
    let unsent = "SELECT request_id::text, branch, body FROM salesync.request
                  WHERE published_at IS NULL AND answered_at IS NULL ORDER BY requested_at";
    let sent =
        "UPDATE salesync.request SET published_at = clock_timestamp() WHERE request_id = $1::text::uuid";
    let mut published = 0;
    for row in client.query(unsent, &[]).map_err(failed)? {
        let (id, branch, body): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        match broker.publish_request(branch, id, body.as_bytes()) {
            Ok(()) => {
                halt::after(Step::RequestConfirmed);
                published += client.execute(sent, &[&id]).map_err(failed)?;
                halt::after(Step::RequestPublished);
            }
            Err(failure) if broker.is_connected() => tracing::warn!("{failure}"),
            Err(failure) => return Err(failure),
        }
    }
    Ok(published)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_numbers_are_asked_for_in_ranges() {
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[3, 4, 5, 8, 10, 11]), [(3, 5), (8, 8), (10, 11)]);
    }
}
