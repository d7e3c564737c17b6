//! What head office asks of this branch, from its arrival with the receipts until it is answered.

use chrono::{DateTime, Utc};
use postgres::{Client, GenericClient, Row};
use uuid::Uuid;

use super::cut::{CutOptions, Cutter, Since, cut};
use super::node::Node;
use super::publish::{RecordedBundle, check_file, numbered_bundles, pending_bundles};
use super::settle::Answer;
use crate::archive::Archive;
use crate::database::database_failure;
use crate::domain::{Failure, Kind, Request, Wanted};
use crate::halt::{self, Step};

/// What an answer to head office's requests takes.
#[derive(Debug, Default)]
pub struct Answers {
    /// Bundles to be published again, oldest first.
    pub resend: Vec<RecordedBundle>,
    /// The requests that are answered once these are published.
    answered_by_resend: Vec<Uuid>,
    /// True if there was another cut, so that the pending bundles and the epoch are not what they were.
    pub has_cut: bool,
    /// Requests that cannot be answered without a person.
    pub troubles: Vec<Failure>,
}

/// Records a request. One that comes twice is one. One that is not believed is kept under an id of our own, so that
/// it does not stand in the way of one that is, and is over.
pub(super) fn record_request(
    client: &mut impl GenericClient,
    request: &Request,
    answer: &Answer<'_>,
) -> Result<(), Failure> {
    let id = answer.refusal.as_ref().map_or(request.request_id, |_| Uuid::now_v7());
    let sql = "INSERT INTO salesync.request (request_id, body, refusal, answered_at)
               VALUES ($1, $2, $3, CASE WHEN $3::text IS NOT NULL THEN clock_timestamp() END) ON CONFLICT DO NOTHING";
    client
        .execute(sql, &[&id, &&*String::from_utf8_lossy(answer.body), &answer.refusal])
        .map(|_| ())
        .map_err(|error| database_failure("recording a request of head office", &error))
}

/// Prepares the answers to whatever head office has asked for: cuts where a cut is wanted, and finds
/// the bundles that are wanted again. The caller holds [`Lock::Bundle`](crate::database::Lock::Bundle).
pub fn prepare_answers(
    client: &mut Client,
    node: &Node,
    cutter: &Cutter<'_>,
    options: &CutOptions,
) -> Result<Answers, Failure> {
    let archive = cutter.archive;
    let open = open_requests(client)?;
    let mut answers = Answers::default();
    if let Some(full) = open.iter().find(|request| request.wanted == Wanted::Full) {
        tracing::info!("head office asks for {}: {}", full.wanted, full.reason);
        let options = CutOptions { since: Since::All, tables: options.tables.clone(), ..*options };
        cut(client, cutter, &options)?;
        halt::after(Step::AnswerCut);
        answers.has_cut = true;
        // Whatever else it wanted is in it.
        mark_answered(client, &ids(&open))?;
        return Ok(answers);
    }
    let syncs: Vec<Request> = open.iter().filter(|request| request.wanted == Wanted::Sync).cloned().collect();
    if !syncs.is_empty() {
        if pending_bundles(client, node, archive)?.is_empty() {
            let tables = options.tables.clone();
            let options = CutOptions { since: Since::Last, even_if_empty: true, tables, ..*options };
            cut(client, cutter, &options)?;
            answers.has_cut = true;
        }
        mark_answered(client, &ids(&syncs))?;
    }
    for request in &open {
        if let Wanted::Resend { epoch, first, last } = request.wanted {
            if epoch.is_some_and(|epoch| epoch != node.epoch) {
                // A newer epoch says everything the older one did.
                mark_answered(client, &[request.request_id])?;
                continue;
            }
            match wanted_again(client, node, archive, (first, last)) {
                Ok(bundles) => {
                    answers.resend.extend(bundles);
                    answers.answered_by_resend.push(request.request_id);
                }
                Err(failure) => {
                    refuse(client, request.request_id, &failure)?;
                    answers.troubles.push(failure);
                }
            }
        }
    }
    answers.resend.sort_by_key(|bundle| bundle.sequence);
    answers.resend.dedup_by_key(|bundle| bundle.sequence);
    Ok(answers)
}

impl Answers {
    /// Notes that what was wanted again has been published.
    pub fn are_published(&self, client: &mut Client) -> Result<(), Failure> {
        halt::after(Step::AnswerPublished);
        mark_answered(client, &self.answered_by_resend)
    }
}

fn wanted_again(
    client: &mut Client,
    node: &Node,
    archive: &Archive,
    (first, last): (crate::domain::Sequence, crate::domain::Sequence),
) -> Result<Vec<RecordedBundle>, Failure> {
    let found = numbered_bundles(client, node, archive, first, last).and_then(|bundles| {
        bundles.iter().try_for_each(check_file)?;
        Ok(bundles)
    });
    found.map_err(|failure| {
        let wanted = Wanted::Resend { epoch: None, first, last };
        Failure::new(Kind::NeedsPerson, format!("answering head office, which asks for {wanted}"), failure)
            .hint("put the files back from a copy, or run `salesync bundle --since all`, which sends everything")
    })
}

fn open_requests(client: &mut impl GenericClient) -> Result<Vec<Request>, Failure> {
    let sql = "SELECT body FROM salesync.request WHERE answered_at IS NULL ORDER BY received_at, request_id";
    let rows =
        client.query(sql, &[]).map_err(|error| database_failure("reading head office's requests", &error))?;
    let request = |row: &Row| Request::from_bytes(row.get::<_, &str>(0).as_bytes()).ok();
    Ok(rows.iter().filter_map(request).collect())
}

/// What head office asks for and has not got, or cannot get.
#[derive(Debug, Clone)]
pub struct WaitingRequest {
    /// What it asks for, in words.
    pub wanted: String,
    /// Why it does.
    pub reason: String,
    /// When it came here.
    pub received_at: DateTime<Utc>,
    /// Why it cannot be done without a person, if so.
    pub refusal: Option<String>,
}

/// What head office asks for: what waits, and what was refused after the last bundle that it has confirmed.
pub fn waiting_requests(client: &mut impl GenericClient) -> Result<Vec<WaitingRequest>, Failure> {
    let sql = "SELECT body, received_at, refusal FROM salesync.request
               WHERE answered_at IS NULL OR refusal IS NOT NULL AND answered_at >
                     (SELECT coalesce(max(sealed_at), '-infinity') FROM salesync.bundle WHERE state = 'applied')
               ORDER BY received_at DESC LIMIT 20";
    let rows =
        client.query(sql, &[]).map_err(|error| database_failure("reading head office's requests", &error))?;
    let waiting = |row: &Row| {
        let request = Request::from_bytes(row.get::<_, &str>(0).as_bytes()).ok()?;
        let (wanted, reason) = (request.wanted.to_string(), request.reason);
        Some(WaitingRequest { wanted, reason, received_at: row.get(1), refusal: row.get(2) })
    };
    Ok(rows.iter().filter_map(waiting).collect())
}

fn ids(requests: &[Request]) -> Vec<Uuid> {
    requests.iter().map(|request| request.request_id).collect()
}

/// It is told once. If the bundles stay missing, head office asks again.
fn refuse(client: &mut impl GenericClient, request: Uuid, why: &Failure) -> Result<(), Failure> {
    let sql =
        "UPDATE salesync.request SET answered_at = clock_timestamp(), refusal = $2 WHERE request_id = $1";
    client
        .execute(sql, &[&request, &why.to_string()])
        .map(|_| ())
        .map_err(|error| database_failure("noting that a request cannot be answered", &error))
}

fn mark_answered(client: &mut impl GenericClient, requests: &[Uuid]) -> Result<(), Failure> {
    let sql = "UPDATE salesync.request SET answered_at = clock_timestamp() WHERE request_id = ANY ($1)";
    client
        .execute(sql, &[&requests])
        .map(|_| ())
        .map_err(|error| database_failure("noting that a request is answered", &error))
}
