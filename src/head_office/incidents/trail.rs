//! The audit trail: what happened, what people decided, what was asked of branches, newest first.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use postgres::types::ToSql;
use postgres::{GenericClient, Row};

use crate::database::database_failure;
use crate::domain::{Failure, Kind, NodeName, legible};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A bundle was rejected.
    Rejected,
    /// A bundle was held until somebody would decide.
    Held,
    /// Rows were not as the branch took them to be.
    Divergence,
    /// Somebody has approved.
    Approve,
    /// Somebody has rejected.
    Reject,
    /// Somebody wanted it tried again.
    Retry,
    /// The branch was asked for something, by somebody or by head office itself.
    Request,
}

impl EntryKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Rejected,
        Self::Held,
        Self::Divergence,
        Self::Approve,
        Self::Reject,
        Self::Retry,
        Self::Request,
    ];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Held => "held",
            Self::Divergence => "divergence",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Retry => "retry",
            Self::Request => "request",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl FromStr for EntryKind {
    type Err = Failure;

    fn from_str(word: &str) -> Result<Self, Failure> {
        Self::of(word).ok_or_else(|| {
            Failure::new(Kind::Usage, "reading the filter", format!("there is no kind {word:?}"))
        })
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct TrailFilter {
    /// Of this branch.
    pub branch: Option<NodeName>,
    /// Of this kind.
    pub kind: Option<EntryKind>,
    /// By somebody in whose name this occurs.
    pub person: Option<String>,
    /// From then on.
    pub from: Option<DateTime<Utc>>,
    /// Before then.
    pub until: Option<DateTime<Utc>>,
    /// After this entry in the trail's order: older ones.
    pub after: Option<Position>,
}

/// An entry's place in the trail, as it stands in an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    at: DateTime<Utc>,
    /// Tells entries of the same moment apart.
    key: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.at.to_rfc3339_opts(SecondsFormat::Micros, true), self.key)
    }
}

impl FromStr for Position {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong =
            || Failure::new(Kind::Usage, "reading the address", "this is no place in the audit trail");
        let (at, key) = text.split_once('_').ok_or_else(wrong)?;
        let is_key = key.len() <= 40 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let at = DateTime::parse_from_rfc3339(at).ok().filter(|_| is_key).ok_or_else(wrong)?;
        Ok(Self { at: at.to_utc(), key: key.to_owned() })
    }
}

/// An entry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// What it is.
    pub kind: EntryKind,
    /// The branch, if it is known.
    pub branch: Option<String>,
    /// The bundle, if it is about one; the first, if bundles are asked for.
    pub sequence: Option<i64>,
    /// The last bundle that is asked for.
    pub last: Option<i64>,
    /// `resend`, `full`, `sync`, where something is asked for.
    pub wanted: Option<String>,
    /// Who; none if nobody did it.
    pub by: Option<String>,
    /// Why, or what exactly.
    pub reason: String,
    /// Why it could not be done.
    pub trouble: Option<String>,
    /// What became of it: `open`, `applied`, `passed`, `put right`, `done`, `waiting`, `undone`, `answered`, `sent`,
    /// `unsent`.
    pub state: String,
    /// When.
    pub settled_at: Option<DateTime<Utc>>,
    /// What decided it, where a person did: who, what and why.
    pub decision: Option<(String, String, Option<String>)>,
    position: Position,
}

/// A page of the trail.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    /// Its entries, the newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is one.
    pub next: Option<Position>,
}

/// `$1` branch, `$2` kind, `$3` person, `$4` and `$5` period, `$6` and `$7` position, `$8` how many. Each part stops
/// there by itself, so that the length of the ledger does not count.
const TRAIL: &str = "
    WITH trail AS (
        (SELECT i.happened_at AS at, 'incident-' || i.incident_id AS key, i.kind, i.branch, i.epoch, i.sequence,
                NULL::bigint AS last, NULL AS wanted, NULL AS by, i.detail AS reason, NULL AS trouble,
                CASE WHEN i.resolved_at IS NOT NULL THEN 'applied'
                     WHEN i.kind = 'divergence' THEN 'put right'
                     WHEN i.kind = 'held' AND h.branch IS NOT NULL
                          OR i.kind = 'rejected' AND i.happened_at > coalesce(b.last_applied_at, '-infinity')
                             AND b.name IS NOT NULL THEN 'open'
                     ELSE 'passed' END AS state,
                CASE WHEN i.kind = 'divergence' THEN i.happened_at ELSE i.resolved_at END AS settled_at
         FROM salesync.incident i LEFT JOIN salesync.branch b ON b.name = i.branch
              LEFT JOIN salesync.bundle h ON h.branch = i.branch AND h.epoch = i.epoch AND h.sequence = i.sequence
                                         AND h.state = 'held'
         WHERE ($1::text IS NULL OR i.branch = $1) AND ($2::text IS NULL OR i.kind = $2) AND $3::text IS NULL
           AND i.happened_at >= $4 AND i.happened_at < $5 AND (i.happened_at, 'incident-' || i.incident_id) < ($6, $7)
         ORDER BY at DESC, key DESC LIMIT $8)
        UNION ALL
        (SELECT decided_at, 'decision-' || decision_id, verdict, branch, epoch, sequence, NULL, NULL, decided_by,
                coalesce(reason, ''), trouble,
                CASE WHEN carried_out_at IS NULL THEN 'waiting' WHEN trouble IS NULL THEN 'done' ELSE 'undone' END,
                carried_out_at
         FROM salesync.decision
         WHERE ($1::text IS NULL OR branch = $1) AND ($2::text IS NULL OR verdict = $2) AND verdict <> 'request'
           AND ($3::text IS NULL OR position(lower($3) IN lower(decided_by)) > 0)
           AND decided_at >= $4 AND decided_at < $5 AND (decided_at, 'decision-' || decision_id) < ($6, $7)
         ORDER BY decided_at DESC, 2 DESC LIMIT $8)
        UNION ALL
        (SELECT r.requested_at, 'request-' || r.request_id, 'request', r.branch, r.epoch, r.first_sequence, r.last_sequence,
                r.wanted, d.decided_by, coalesce(d.reason, ''), NULL,
                CASE WHEN r.answered_at IS NOT NULL THEN 'answered' WHEN r.published_at IS NOT NULL THEN 'sent' ELSE 'unsent' END,
                coalesce(r.answered_at, r.published_at)
         FROM salesync.request r LEFT JOIN salesync.decision d USING (request_id)
         WHERE ($1::text IS NULL OR r.branch = $1) AND ($2::text IS NULL OR $2 = 'request')
           AND ($3::text IS NULL OR position(lower($3) IN lower(d.decided_by)) > 0)
           AND r.requested_at >= $4 AND r.requested_at < $5
           AND (r.requested_at, 'request-' || r.request_id) < ($6, $7)
         ORDER BY r.requested_at DESC, 2 DESC LIMIT $8)
        ORDER BY at DESC, key DESC LIMIT $8)
    SELECT t.at, t.key, t.kind, t.branch, t.sequence, t.last, t.wanted, t.by, t.reason, t.state, t.settled_at,
           d.decided_by, d.verdict, d.reason, t.trouble
    FROM trail t LEFT JOIN LATERAL (
        SELECT decided_by, verdict, reason FROM salesync.decision d
        WHERE t.kind IN ('rejected', 'held') AND d.branch = t.branch AND d.decided_at > t.at
          AND d.decided_at <= coalesce(t.settled_at, 'infinity') AND t.state <> 'open'
          AND (d.epoch = t.epoch AND d.sequence = t.sequence OR d.verdict = 'retry')
        ORDER BY d.decision_id DESC LIMIT 1) d ON true
    ORDER BY t.at DESC, t.key DESC";

/// The newest `count` entries that the filter lets through.
pub fn trail(client: &mut impl GenericClient, filter: &TrailFilter, count: usize) -> Result<Trail, Failure> {
    let after = filter.after.as_ref();
    let end = "9999-12-31T23:59:59Z".parse().unwrap_or(DateTime::<Utc>::MAX_UTC);
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &filter.branch.as_ref().map(NodeName::as_str),
        &filter.kind.map(EntryKind::as_str),
        &filter.person,
        &filter.from.unwrap_or(DateTime::UNIX_EPOCH),
        &filter.until.unwrap_or(end),
        &after.map_or(end, |position| position.at),
        &after.map_or("", |position| &position.key),
        &i64::try_from(count + 1).unwrap_or(i64::MAX),
    ];
    let rows = client.query(TRAIL, &parameters);
    let rows = rows.map_err(|error| database_failure("reading the audit trail", &error))?;
    let mut entries: Vec<Entry> = rows.iter().filter_map(entry).collect();
    let is_more = entries.len() > count;
    entries.truncate(count);
    let next = entries.last().filter(|_| is_more).map(|last| last.position.clone());
    Ok(Trail { entries, next })
}

fn entry(row: &Row) -> Option<Entry> {
    let text = |column: usize| row.get::<_, Option<&str>>(column).map(legible);
    let decided = text(11).zip(text(12)).map(|(by, verdict)| (by, verdict, text(13)));
    Some(Entry {
        at: row.get(0),
        kind: EntryKind::of(row.get(2))?,
        branch: row.get(3),
        sequence: row.get(4),
        last: row.get(5),
        wanted: row.get(6),
        by: text(7),
        reason: text(8).unwrap_or_default(),
        trouble: text(14),
        state: row.get(9),
        settled_at: row.get(10),
        decision: decided,
        position: Position { at: row.get(0), key: row.get(1) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_the_trail_survives_an_address_and_anything_else_is_refused() {
        let text = "2026-11-21T10:00:00.123456Z_decision-15";
        let position: Position = text.parse().unwrap();
        assert_eq!(position.to_string(), text);
        for wrong in [
            "",
            "_",
            "2026-11-21T10:00:00Z",
            "x_decision-1",
            "2026-11-21T10:00:00Z_a'b",
            "99999-01-01T00:00:00Z_a",
        ] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
