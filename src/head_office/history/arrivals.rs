//! The ledger, newest first: a line for each bundle as it stands, or for each delivery that brought nothing new.

use chrono::{DateTime, NaiveDate, Utc};
use postgres::types::ToSql;
use postgres::{Client, Row};
use uuid::Uuid;

use crate::database::database_failure;
use crate::domain::{Failure, NodeName};

/// What a delivery led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivedAs {
    /// Applied.
    Applied,
    /// Held.
    Held,
    /// Rejected.
    Rejected,
    /// It had been applied before.
    Duplicate,
}

impl ArrivedAs {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Held, Self::Rejected, Self::Duplicate];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Duplicate => "duplicate",
        }
    }
}

/// Which bundles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArrivalFilter {
    /// Of this branch.
    pub branch: Option<NodeName>,
    /// What became of them last. Without it: every bundle once.
    pub outcome: Option<ArrivedAs>,
    /// From this sequence on.
    pub first: Option<i64>,
    /// Up to and with this one.
    pub last: Option<i64>,
    /// The bundle ids from one to another: those that begin alike.
    pub ids: Option<(Uuid, Uuid)>,
    /// The SHA-256 of their manifest begins so.
    pub manifest: Option<String>,
    /// They came on this day or later, by head office's clock in UTC.
    pub from: Option<NaiveDate>,
    /// On this day or earlier.
    pub to: Option<NaiveDate>,
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrivalTurn {
    /// The newest.
    Newest,
    /// Those before this delivery.
    Before(i64),
    /// Those after it, the next first.
    After(i64),
}

/// A line.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The delivery's number.
    pub delivery_id: i64,
    /// The branch, if that is known.
    pub branch: Option<String>,
    /// The bundle's epoch and sequence, unless it was too damaged to tell.
    pub place: Option<(Uuid, i64)>,
    /// SHA-256 of its manifest.
    pub manifest_sha256: Option<String>,
    /// How it came: `queue`, `file`, `archive`.
    pub source: String,
    /// What it led to.
    pub outcome: String,
    /// Why.
    pub reason: Option<String>,
    /// When, by head office's clock.
    pub received_at: DateTime<Utc>,
    /// Rows, tombstones and bytes, where the ledger has it.
    pub size: Option<(i64, i64, i64)>,
    /// The bundle's id, the same.
    pub bundle_id: Option<Uuid>,
    /// The incident of a rejected one.
    pub incident_id: Option<i64>,
}

/// A page of them, newest first.
#[derive(Debug, Clone, Default)]
pub struct ArrivalPage {
    /// The lines.
    pub lines: Vec<Arrived>,
    /// Whether there are more on the side to which one was going.
    pub has_more: bool,
}

/// A bundle is told by the last delivery that decided about it. One of a duplicate decides nothing.
const ARRIVALS: &str = "
    SELECT d.delivery_id, d.branch, d.epoch, d.sequence, d.manifest_sha256, d.source, d.outcome, d.reason, d.received_at,
           b.row_count, b.tombstone_count, b.byte_count, b.bundle_id,
           (SELECT min(i.incident_id) FROM salesync.incident i
            WHERE d.outcome = 'rejected' AND i.kind = 'rejected' AND i.branch IS NOT DISTINCT FROM d.branch
              AND i.sequence IS NOT DISTINCT FROM d.sequence AND i.epoch IS NOT DISTINCT FROM d.epoch
              AND i.detail = d.reason AND i.happened_at >= d.received_at)
    FROM salesync.delivery d
    LEFT JOIN salesync.bundle b ON b.branch = d.branch AND b.epoch = d.epoch AND b.sequence = d.sequence
                               AND b.manifest_sha256 = d.manifest_sha256
    WHERE ($1::text IS NULL OR d.branch = $1)
      AND CASE WHEN $2::text = 'duplicate' THEN d.outcome = 'duplicate'
          ELSE d.outcome <> 'duplicate' AND ($2::text IS NULL OR d.outcome = $2) AND NOT EXISTS (
              SELECT FROM salesync.delivery l
              WHERE l.branch = d.branch AND l.epoch = d.epoch AND l.sequence = d.sequence
                AND l.manifest_sha256 = d.manifest_sha256 AND l.delivery_id > d.delivery_id AND l.outcome <> 'duplicate')
          END
      AND ($3::bigint IS NULL OR d.sequence >= $3) AND ($4::bigint IS NULL OR d.sequence <= $4)
      AND ($5::text IS NULL OR d.manifest_sha256 LIKE $5 || '%')
      AND ($6::date IS NULL OR d.received_at >= $6) AND ($7::date IS NULL OR d.received_at < $7 + 1)
      AND ($8::uuid IS NULL OR d.manifest_sha256 IN (
              SELECT n.manifest_sha256 FROM salesync.bundle n WHERE n.bundle_id BETWEEN $8 AND $9
              UNION ALL
              SELECT r.body::jsonb ->> 'manifest_sha256' FROM salesync.receipt r
              WHERE r.outcome = 'rejected' AND r.bundle_id BETWEEN $8 AND $9))";

/// A page of the ledger with `limit` lines at most.
pub fn arrivals(
    client: &mut Client,
    filter: &ArrivalFilter,
    turn: ArrivalTurn,
    limit: usize,
) -> Result<ArrivalPage, Failure> {
    let (beyond, direction) = match turn {
        ArrivalTurn::Newest => (String::new(), "DESC"),
        ArrivalTurn::Before(id) => (format!("AND d.delivery_id < {id}"), "DESC"),
        ArrivalTurn::After(id) => (format!("AND d.delivery_id > {id}"), "ASC"),
    };
    let sql = format!("{ARRIVALS} {beyond} ORDER BY d.delivery_id {direction} LIMIT {}", limit + 1);
    let ArrivalFilter { branch, outcome, first, last, ids, manifest, from, to } = filter;
    let (lowest, highest) = ids.unzip();
    let parameters: [&(dyn ToSql + Sync); 9] = [
        &branch.as_ref().map(NodeName::as_str),
        &outcome.map(ArrivedAs::as_str),
        first,
        last,
        manifest,
        from,
        to,
        &lowest,
        &highest,
    ];
    let rows =
        client.query(&sql, &parameters).map_err(|error| database_failure("reading the ledger", &error))?;
    let mut lines: Vec<Arrived> = rows.iter().take(limit).map(arrived).collect();
    if direction == "ASC" {
        lines.reverse();
    }
    Ok(ArrivalPage { lines, has_more: rows.len() > limit })
}

fn arrived(row: &Row) -> Arrived {
    let (epoch, sequence): (Option<Uuid>, Option<i64>) = (row.get(2), row.get(3));
    let rows: Option<i64> = row.get(9);
    Arrived {
        delivery_id: row.get(0),
        branch: row.get(1),
        place: epoch.zip(sequence),
        manifest_sha256: row.get(4),
        source: row.get(5),
        outcome: row.get(6),
        reason: row.get(7),
        received_at: row.get(8),
        size: rows.map(|rows| (rows, row.get(10), row.get(11))),
        bundle_id: row.get(12),
        incident_id: row.get(13),
    }
}
