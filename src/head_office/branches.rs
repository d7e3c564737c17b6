//! How far head office is with each branch.

use chrono::{DateTime, Utc};
use postgres::{GenericClient, Row};

use super::hold::{Hold, HoldKind};
use crate::database::database_failure;
use crate::domain::{Digest, Epoch, Failure, Kind, Manifest, NodeName, Sequence};

/// How far head office is with a branch.
#[derive(Debug, Clone)]
pub struct BranchState {
    /// The branch.
    pub name: NodeName,
    /// Its current epoch; none before the first bundle.
    pub epoch: Option<Epoch>,
    /// The last applied bundle.
    pub last_sequence: Option<Sequence>,
    /// SHA-256 of its manifest.
    pub last_manifest: Option<Digest>,
    /// When it was applied.
    pub last_applied_at: Option<DateTime<Utc>>,
    /// When it was registered, or came back after it had left.
    pub known_since: DateTime<Utc>,
    /// True if it was the last part of its cut.
    pub is_at_cut: bool,
    /// When the branch took its last cut that is here to the end: what head office has of it is as of then, by the
    /// branch's clock, or this one as the cut's first bundle came if that is earlier.
    pub data_as_of: Option<DateTime<Utc>>,
    /// The epoch of `held`: the current one, or one that has yet to begin here.
    pub held_epoch: Option<Epoch>,
    /// The bundles that are in the archive and wait, by sequence.
    pub held: Vec<HeldBundle>,
    /// Sequences of that epoch that were rejected for what they say, and have not been applied since.
    pub refused: Vec<i64>,
    /// Bundles rejected since the last one was applied, and not applied since.
    pub rejected: i64,
    /// How far this clock is ahead of the branch's at most, in milliseconds, by the latest bundles: each had
    /// been sealed before it came. Negative: the branch's clock is ahead by at least as much.
    pub clock_skew_ms: Option<i64>,
    /// What head office has asked of the branch and no bundle has answered yet, oldest first.
    pub requests: Vec<OpenRequest>,
}

/// A bundle that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBundle {
    /// Its number.
    pub sequence: i64,
    /// What it waits for.
    pub hold: Hold,
}

/// A request that no bundle has answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// `resend`, `full` or `sync`.
    pub wanted: String,
    /// First and last bundle, if bundles are wanted again.
    pub bundles: Option<(i64, i64)>,
    /// When it was made.
    pub requested_at: DateTime<Utc>,
    /// When a broker took it.
    pub published_at: Option<DateTime<Utc>>,
}

impl OpenRequest {
    /// What is wanted: `bundles 3 to 5`.
    pub fn in_words(&self) -> String {
        match (self.wanted.as_str(), self.bundles) {
            (_, Some((first, last))) if first == last => format!("bundle {first}"),
            (_, Some((first, last))) => format!("bundles {first} to {last}"),
            ("full", None) => "everything anew".to_owned(),
            _ => "a bundle now".to_owned(),
        }
    }
}

impl BranchState {
    /// The sequences before the last held one that are neither applied, held nor rejected: the first
    /// thousand, since what a bundle says of its own number is limited by nothing.
    pub fn missing(&self) -> Vec<i64> {
        let applied = self.last_sequence.filter(|_| self.held_epoch == self.epoch);
        let first = applied.map_or(0, Sequence::as_bigint) + 1;
        let last = self.held.last().map_or(0, |held| held.sequence);
        let is_here = |sequence: &i64| {
            self.refused.contains(sequence) || self.held.iter().any(|held| held.sequence == *sequence)
        };
        (first..last).filter(|sequence| !is_here(sequence)).take(1000).collect()
    }
}

const STATE: &str = "
    SELECT b.name, b.epoch, b.last_sequence, b.last_manifest, b.last_applied_at, b.is_at_cut,
           h.epoch, coalesce(h.sequences, '{}'), coalesce(h.holds, '{}'), coalesce(h.reasons, '{}'),
           ARRAY(SELECT DISTINCT i.sequence FROM salesync.incident i
                 WHERE i.branch = b.name AND i.kind = 'rejected' AND i.resolved_at IS NULL AND NOT i.is_unproven
                   AND i.epoch = coalesce(h.epoch, b.epoch)),
           (SELECT count(DISTINCT ROW(i.epoch, i.sequence, CASE WHEN i.sequence IS NULL THEN i.incident_id END))
            FROM salesync.incident i
            WHERE i.branch = b.name AND i.kind = 'rejected' AND i.resolved_at IS NULL
              AND i.happened_at > coalesce(b.last_applied_at, '-infinity')),
           (SELECT floor(extract(epoch FROM min(l.received_at - l.created_at)) * 1000)::bigint FROM (
                SELECT received_at, created_at FROM salesync.bundle l WHERE l.branch = b.name
                ORDER BY epoch DESC, sequence DESC LIMIT 20) l),
           b.data_as_of, b.known_since
    FROM salesync.branch b LEFT JOIN LATERAL (
        SELECT h.epoch, array_agg(h.sequence ORDER BY h.sequence) AS sequences,
               array_agg(h.hold ORDER BY h.sequence) AS holds, array_agg(h.reason ORDER BY h.sequence) AS reasons
        FROM salesync.bundle h
        WHERE h.branch = b.name AND h.state = 'held' AND h.epoch >= coalesce(b.epoch, h.epoch)
        GROUP BY h.epoch ORDER BY h.epoch DESC LIMIT 1) h ON true";

/// Every branch, by name.
pub fn branch_states(client: &mut impl GenericClient) -> Result<Vec<BranchState>, Failure> {
    let failed = |error: postgres::Error| database_failure("reading how far the branches are", &error);
    let rows = client.query(&format!("{STATE} ORDER BY b.name"), &[]).map_err(failed)?;
    let mut states = rows.iter().map(branch_state).collect::<Result<Vec<_>, _>>()?;
    let sql = "SELECT branch, wanted, first_sequence, last_sequence, requested_at, published_at
               FROM salesync.request WHERE answered_at IS NULL ORDER BY requested_at";
    for row in client.query(sql, &[]).map_err(failed)? {
        let branch: &str = row.get(0);
        let (first, last): (Option<i64>, Option<i64>) = (row.get(2), row.get(3));
        let request = OpenRequest {
            wanted: row.get(1),
            bundles: first.zip(last),
            requested_at: row.get(4),
            published_at: row.get(5),
        };
        if let Some(state) = states.iter_mut().find(|state| state.name.as_str() == branch) {
            state.requests.push(request);
        }
    }
    Ok(states)
}

/// The last bundle of a branch that was applied: what decides where others belong.
#[derive(Debug, Clone)]
pub(super) struct Position {
    /// The current epoch; none before the first bundle.
    pub(super) epoch: Option<Epoch>,
    last_sequence: Option<Sequence>,
    /// SHA-256 of its manifest.
    pub(super) last_manifest: Option<Digest>,
}

impl Position {
    /// The number that comes next in the current epoch.
    pub(super) fn next_sequence(&self) -> Sequence {
        self.last_sequence.map_or(Sequence::FIRST, Sequence::next)
    }

    /// True if all that comes between it and the bundle are earlier parts of the same cut.
    pub(super) fn is_before_parts_of_its_cut(&self, manifest: &Manifest) -> bool {
        let parts_between = manifest.sequence.get().checked_sub(self.next_sequence().get());
        self.epoch == Some(manifest.epoch)
            && parts_between.is_some_and(|parts| parts < u64::from(manifest.cut.part))
    }
}

/// Where a branch is now, if head office knows it.
pub(super) fn position(
    client: &mut impl GenericClient,
    name: &NodeName,
) -> Result<Option<Position>, Failure> {
    read_position(client, name, "")
}

/// Where a branch is. Its row is locked until the end of the transaction, but not against rows that refer to it: what
/// is asked of the branch, or decided on it, does not wait for a bundle that is being applied.
pub(super) fn lock_branch(client: &mut impl GenericClient, name: &NodeName) -> Result<Position, Failure> {
    read_position(client, name, "FOR NO KEY UPDATE")?.ok_or_else(|| {
        Failure::new(Kind::Configuration, looking_up(name), "head office does not know it").hint(format!(
            "add [branches.{name}] to head office's configuration and run `salesync init` there"
        ))
    })
}

fn read_position(
    client: &mut impl GenericClient,
    name: &NodeName,
    lock: &str,
) -> Result<Option<Position>, Failure> {
    let sql =
        format!("SELECT epoch, last_sequence, last_manifest FROM salesync.branch WHERE name = $1 {lock}");
    let row = client.query_opt(&sql, &[&name.as_str()]);
    let row = row.map_err(|error| database_failure(looking_up(name), &error))?;
    Ok(row.map(|row| Position {
        epoch: row.get::<_, Option<uuid::Uuid>>(0).map(Epoch),
        last_sequence: Sequence::from_bigint(row.get(1)),
        last_manifest: row.get::<_, Option<&str>>(2).and_then(|text| text.parse().ok()),
    }))
}

fn looking_up(name: &NodeName) -> String {
    format!("looking up the branch {name}")
}

fn branch_state(row: &Row) -> Result<BranchState, Failure> {
    let digest: Option<&str> = row.get(3);
    Ok(BranchState {
        name: row.get::<_, &str>(0).parse()?,
        epoch: row.get::<_, Option<uuid::Uuid>>(1).map(Epoch),
        last_sequence: Sequence::from_bigint(row.get(2)),
        last_manifest: digest.and_then(|text| text.parse().ok()),
        last_applied_at: row.get(4),
        known_since: row.get(14),
        is_at_cut: row.get(5),
        data_as_of: row.get(13),
        held_epoch: row.get::<_, Option<uuid::Uuid>>(6).map(Epoch),
        held: held_bundles(row),
        refused: row.get(10),
        rejected: row.get(11),
        clock_skew_ms: row.get(12),
        requests: Vec::new(),
    })
}

fn held_bundles(row: &Row) -> Vec<HeldBundle> {
    let (sequences, holds, reasons): (Vec<i64>, Vec<&str>, Vec<Option<&str>>) =
        (row.get(7), row.get(8), row.get(9));
    let held = sequences.into_iter().zip(holds).zip(reasons);
    held.map(|((sequence, hold), reason)| HeldBundle {
        sequence,
        hold: Hold::new(HoldKind::of(hold), reason.unwrap_or_default()),
    })
    .collect()
}

/// The names of all branches that have ever sent something, in their order.
pub fn branch_names(client: &mut impl GenericClient) -> Result<Vec<String>, Failure> {
    let rows = client
        .query("SELECT name FROM salesync.branch ORDER BY name", &[])
        .map_err(|error| database_failure("reading the branches", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
