//! All that head office knows of one bundle.

use chrono::{DateTime, Utc};
use postgres::{Client, Row};
use uuid::Uuid;

use crate::database::database_failure;
use crate::domain::{Epoch, Failure, NodeName, Sequence};

/// Deliveries, incidents and decisions that are told of a bundle, at most.
const MOST: i64 = 100;

/// What is known of the bundle with a number.
#[derive(Debug, Clone, Default)]
pub struct Biography {
    /// What the ledger says, if it was applied or is held.
    pub recorded: Option<Recorded>,
    /// The hash of the bundle before it, as the ledger has it.
    pub previous_sha256: Option<String>,
    /// Whether the ledger has the one after it.
    pub has_next: bool,
    /// Every arrival, oldest first: when, how, to what end, why, and the hash of the manifest that came.
    pub deliveries: Vec<Delivered>,
    /// Head office's answers, oldest first.
    pub receipts: Vec<ReceiptWritten>,
    /// What a person should have known.
    pub incidents: Vec<IncidentNoted>,
    /// What people have decided.
    pub decisions: Vec<DecisionTaken>,
}

/// What the ledger says of a bundle.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its id.
    pub bundle_id: Uuid,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// `applied` or `held`.
    pub state: String,
    /// Why it is held.
    pub reason: Option<String>,
    /// Inserts and updates.
    pub rows: i64,
    /// Tombstones.
    pub tombstones: i64,
    /// Size of the file.
    pub bytes: i64,
    /// When it was sealed, by the branch's clock.
    pub created_at: DateTime<Utc>,
    /// When it was begun to be sent, by the branch's clock, if a later bundle has told.
    pub published_at: Option<DateTime<Utc>>,
    /// When a broker had it, by the branch's clock, if a later bundle has told.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When it first came.
    pub received_at: DateTime<Utc>,
    /// When it was applied.
    pub applied_at: Option<DateTime<Utc>>,
}

/// An arrival.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// When.
    pub received_at: DateTime<Utc>,
    /// `queue`, `file`, `archive`.
    pub source: String,
    /// What it led to.
    pub outcome: String,
    /// Why.
    pub reason: Option<String>,
    /// SHA-256 of the manifest that came.
    pub manifest_sha256: Option<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct ReceiptWritten {
    /// `applied`, `held`, `rejected`.
    pub outcome: String,
    /// The JSON, as it was sent.
    pub body: String,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
    /// When a broker had it.
    pub published_at: Option<DateTime<Utc>>,
}

/// An incident.
#[derive(Debug, Clone)]
pub struct IncidentNoted {
    /// Its number.
    pub incident_id: i64,
    /// `rejected`, `held`, `divergence`.
    pub kind: String,
    /// What.
    pub detail: String,
    /// Whether the file is kept aside.
    pub has_file: bool,
    /// When.
    pub happened_at: DateTime<Utc>,
    /// When the bundle was applied after all.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// A decision.
#[derive(Debug, Clone)]
pub struct DecisionTaken {
    /// `approve`, `reject`, `retry`.
    pub verdict: String,
    /// Why.
    pub reason: Option<String>,
    /// By whom.
    pub decided_by: String,
    /// When.
    pub decided_at: DateTime<Utc>,
    /// When it was carried out.
    pub carried_out_at: Option<DateTime<Utc>>,
    /// Why it could not be.
    pub trouble: Option<String>,
}

/// A file that was rejected and kept aside.
#[derive(Debug, Clone)]
pub struct RejectedFile {
    /// Whose it is, if that is known.
    pub branch: Option<String>,
    /// Its place, if it could be read.
    pub place: Option<(Uuid, i64)>,
    /// Why it was rejected.
    pub detail: String,
    /// Where it was put.
    pub file: String,
    /// When.
    pub happened_at: DateTime<Utc>,
    /// When it was applied after all.
    pub resolved_at: Option<DateTime<Utc>>,
}

fn failed(error: &postgres::Error) -> Failure {
    database_failure("reading what is known of the bundle", error)
}

/// What is known of the bundle with this number; none if nothing of that number has ever come.
pub fn biography(
    client: &mut Client,
    branch: &NodeName,
    epoch: Epoch,
    sequence: Sequence,
) -> Result<Option<Biography>, Failure> {
    let (name, number) = (branch.as_str(), sequence.as_bigint());
    let mut all = |sql: &str, more: i64| {
        client
            .query(&format!("{sql} LIMIT {more}"), &[&name, &epoch.0, &number])
            .map_err(|error| failed(&error))
    };
    let recorded = all(RECORDED, 1)?.first().map(recorded);
    let deliveries: Vec<_> = all(DELIVERIES, MOST)?.iter().map(delivered).collect();
    let incidents: Vec<_> = all(INCIDENTS, MOST)?.iter().map(incident).collect();
    if recorded.is_none() && deliveries.is_empty() && incidents.is_empty() {
        return Ok(None);
    }
    let decisions = all(DECISIONS, MOST)?.iter().map(decision).collect();
    let neighbours = all(NEIGHBOURS, 1)?;
    let neighbours = neighbours.first().map(|row| (row.get(0), row.get(1)));
    let (previous_sha256, has_next) = neighbours.unwrap_or_default();
    let mut receipts: Vec<_> = match &recorded {
        Some(Recorded { bundle_id, .. }) => {
            let rows = client.query(&format!("{RECEIPTS} bundle_id = $1 ORDER BY receipt_id"), &[bundle_id]);
            rows.map_err(|error| failed(&error))?.iter().map(receipt).collect()
        }
        None => Vec::new(),
    };
    if deliveries.iter().any(|delivered| delivered.outcome == "rejected") {
        // The ledger does not know the ids of rejected bundles; their answers do.
        let sql = format!(
            "{RECEIPTS} branch = $1 AND outcome = 'rejected' AND body::jsonb ->> 'epoch' = $2::uuid::text
               AND body::jsonb ->> 'sequence' = $3::bigint::text AND bundle_id IS DISTINCT FROM $4
             ORDER BY receipt_id LIMIT {MOST}"
        );
        let known = recorded.as_ref().map(|recorded| recorded.bundle_id);
        let rows = client.query(&sql, &[&name, &epoch.0, &number, &known]).map_err(|error| failed(&error))?;
        receipts.extend(rows.iter().map(receipt));
    }
    Ok(Some(Biography { recorded, previous_sha256, has_next, deliveries, receipts, incidents, decisions }))
}

/// The rejected file of an incident; none if there is no such incident, or no file of it.
pub fn rejected_file(client: &mut Client, incident_id: i64) -> Result<Option<RejectedFile>, Failure> {
    let sql = "SELECT branch, epoch, sequence, detail, file, happened_at, resolved_at FROM salesync.incident
               WHERE incident_id = $1 AND kind = 'rejected' AND file IS NOT NULL";
    let row = client.query_opt(sql, &[&incident_id]).map_err(|error| failed(&error))?;
    Ok(row.map(|row| {
        let (epoch, sequence): (Option<Uuid>, Option<i64>) = (row.get(1), row.get(2));
        RejectedFile {
            branch: row.get(0),
            place: epoch.zip(sequence),
            detail: row.get(3),
            file: row.get(4),
            happened_at: row.get(5),
            resolved_at: row.get(6),
        }
    }))
}

const RECORDED: &str = "
    SELECT bundle_id, manifest_sha256, state, reason, row_count, tombstone_count, byte_count, created_at,
           published_at, confirmed_at, received_at, applied_at
    FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND sequence = $3";
const DELIVERIES: &str = "
    SELECT received_at, source, outcome, reason, manifest_sha256 FROM salesync.delivery
    WHERE branch = $1 AND epoch = $2 AND sequence = $3 ORDER BY delivery_id";
const INCIDENTS: &str = "
    SELECT incident_id, kind, detail, file IS NOT NULL, happened_at, resolved_at FROM salesync.incident
    WHERE branch = $1 AND epoch = $2 AND sequence = $3 ORDER BY incident_id";
const DECISIONS: &str = "
    SELECT verdict, reason, decided_by, decided_at, carried_out_at, trouble FROM salesync.decision
    WHERE branch = $1 AND epoch = $2 AND sequence = $3 ORDER BY decision_id";
const NEIGHBOURS: &str = "
    SELECT (SELECT manifest_sha256 FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND sequence = $3::bigint - 1),
           EXISTS (SELECT FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND sequence = $3::bigint + 1)";
const RECEIPTS: &str = "SELECT outcome, body, created_at, published_at FROM salesync.receipt WHERE";

fn recorded(row: &Row) -> Recorded {
    Recorded {
        bundle_id: row.get(0),
        manifest_sha256: row.get(1),
        state: row.get(2),
        reason: row.get(3),
        rows: row.get(4),
        tombstones: row.get(5),
        bytes: row.get(6),
        created_at: row.get(7),
        published_at: row.get(8),
        confirmed_at: row.get(9),
        received_at: row.get(10),
        applied_at: row.get(11),
    }
}

fn delivered(row: &Row) -> Delivered {
    Delivered {
        received_at: row.get(0),
        source: row.get(1),
        outcome: row.get(2),
        reason: row.get(3),
        manifest_sha256: row.get(4),
    }
}

fn incident(row: &Row) -> IncidentNoted {
    IncidentNoted {
        incident_id: row.get(0),
        kind: row.get(1),
        detail: row.get(2),
        has_file: row.get(3),
        happened_at: row.get(4),
        resolved_at: row.get(5),
    }
}

fn decision(row: &Row) -> DecisionTaken {
    DecisionTaken {
        verdict: row.get(0),
        reason: row.get(1),
        decided_by: row.get(2),
        decided_at: row.get(3),
        carried_out_at: row.get(4),
        trouble: row.get(5),
    }
}

fn receipt(row: &Row) -> ReceiptWritten {
    ReceiptWritten { outcome: row.get(0), body: row.get(1), created_at: row.get(2), published_at: row.get(3) }
}
