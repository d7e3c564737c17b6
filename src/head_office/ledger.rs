//! Head office's memory: how far each branch is, and every bundle, delivery, receipt and incident.

use std::path::Path;

use chrono::{DateTime, Utc};
use postgres::{GenericClient, Row};

use crate::database::database_failure;
use crate::domain::{Digest, Epoch, Failure, Kind, Manifest, NodeName, Sequence};

/// By which way a bundle came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The broker.
    Queue,
    /// A file named on the command line.
    File,
    /// Head office's own archive, after an earlier delivery.
    Archive,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::File => "file",
            Self::Archive => "archive",
        }
    }
}

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
    /// True if it was the last part of its cut.
    pub is_at_cut: bool,
    /// Sequences that are in the archive and wait for an earlier one.
    pub held: Vec<i64>,
    /// True if these are of an epoch that has yet to begin here.
    pub held_in_new_epoch: bool,
    /// Bundles rejected since the last one was applied.
    pub rejected: i64,
}

impl BranchState {
    /// The sequences before the last held one that are neither applied nor held: the first
    /// thousand, since what a bundle says of its own number is limited by nothing.
    pub fn missing(&self) -> Vec<i64> {
        let applied = self.last_sequence.filter(|_| !self.held_in_new_epoch);
        let first = applied.map_or(0, Sequence::as_bigint) + 1;
        let last = self.held.last().copied().unwrap_or(0);
        (first..last).filter(|sequence| !self.held.contains(sequence)).take(1000).collect()
    }

    /// The number that comes next in the current epoch.
    pub(super) fn next_sequence(&self) -> Sequence {
        self.last_sequence.map_or(Sequence::FIRST, Sequence::next)
    }
}

const STATE: &str = "
    SELECT b.name, b.epoch, b.last_sequence, b.last_manifest, b.last_applied_at, b.is_at_cut,
           coalesce(h.sequences, '{}'), coalesce(h.epoch <> b.epoch, false),
           (SELECT count(*) FROM salesync.incident i WHERE i.branch = b.name AND i.kind = 'rejected'
            AND i.happened_at > coalesce(b.last_applied_at, '-infinity'))
    FROM salesync.branch b LEFT JOIN LATERAL (
        SELECT h.epoch, array_agg(h.sequence ORDER BY h.sequence) AS sequences FROM salesync.bundle h
        WHERE h.branch = b.name AND h.state = 'held' AND h.epoch >= coalesce(b.epoch, h.epoch)
        GROUP BY h.epoch ORDER BY h.epoch DESC LIMIT 1) h ON true";

/// Every branch, by name.
pub fn branch_states(client: &mut impl GenericClient) -> Result<Vec<BranchState>, Failure> {
    let failed = |error: postgres::Error| database_failure("reading how far the branches are", &error);
    let rows = client.query(&format!("{STATE} ORDER BY b.name"), &[]).map_err(failed)?;
    rows.iter().map(branch_state).collect()
}

/// One branch; its row is locked until the end of the transaction.
pub(super) fn lock_branch(client: &mut impl GenericClient, name: &NodeName) -> Result<BranchState, Failure> {
    let doing = format!("looking up the branch {name}");
    let row = client
        .query_opt(&format!("{STATE} WHERE b.name = $1 FOR UPDATE OF b"), &[&name.as_str()])
        .map_err(|error| database_failure(doing.clone(), &error))?;
    let unknown = || {
        Failure::new(Kind::Configuration, doing, "head office does not know it").hint(format!(
            "add [branches.{name}] to head office's configuration and run `salesync init` there"
        ))
    };
    branch_state(&row.ok_or_else(unknown)?)
}

fn branch_state(row: &Row) -> Result<BranchState, Failure> {
    let digest: Option<&str> = row.get(3);
    Ok(BranchState {
        name: row.get::<_, &str>(0).parse()?,
        epoch: row.get::<_, Option<uuid::Uuid>>(1).map(Epoch),
        last_sequence: Sequence::from_bigint(row.get(2)),
        last_manifest: digest.and_then(|text| text.parse().ok()),
        last_applied_at: row.get(4),
        is_at_cut: row.get(5),
        held: row.get(6),
        held_in_new_epoch: row.get(7),
        rejected: row.get(8),
    })
}

/// The recorded manifest and state of a bundle, if it is recorded.
pub(super) fn recorded(
    client: &mut impl GenericClient,
    manifest: &Manifest,
) -> Result<Option<(String, String)>, Failure> {
    let sql = "SELECT manifest_sha256, state FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND sequence = $3";
    let row = client
        .query_opt(sql, &[&manifest.branch.as_str(), &manifest.epoch.0, &manifest.sequence.as_bigint()])
        .map_err(|error| database_failure("looking the bundle up in the ledger", &error))?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// True if the branch has ever used this epoch.
pub(super) fn knows_epoch(client: &mut impl GenericClient, manifest: &Manifest) -> Result<bool, Failure> {
    let sql =
        "SELECT EXISTS (SELECT FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND state = 'applied')";
    let row = client
        .query_one(sql, &[&manifest.branch.as_str(), &manifest.epoch.0])
        .map_err(|error| database_failure("looking the epoch up in the ledger", &error))?;
    Ok(row.get(0))
}

/// Records a bundle as applied (`reason` none) or held, and the branch's progress with the former.
pub(super) fn record_bundle(
    client: &mut impl GenericClient,
    manifest: &Manifest,
    digest: Digest,
    size: u64,
    held_because: Option<&str>,
) -> Result<(), postgres::Error> {
    let is_applied = held_because.is_none();
    client.execute(
        "INSERT INTO salesync.bundle (branch, epoch, sequence, bundle_id, manifest_sha256, state, reason, row_count,
                                      tombstone_count, byte_count, created_at, applied_at)
         VALUES ($1, $2, $3, $4, $5, CASE WHEN $6 THEN 'applied' ELSE 'held' END, $7, $8, $9, $10, $11,
                 CASE WHEN $6 THEN clock_timestamp() END)
         ON CONFLICT (branch, epoch, sequence) DO UPDATE
         SET state = excluded.state, reason = excluded.reason, applied_at = excluded.applied_at,
             bundle_id = excluded.bundle_id, manifest_sha256 = excluded.manifest_sha256",
        &[
            &manifest.branch.as_str(),
            &manifest.epoch.0,
            &manifest.sequence.as_bigint(),
            &manifest.bundle_id.0,
            &digest.to_string(),
            &is_applied,
            &held_because,
            &manifest.rows().cast_signed(),
            &manifest.tombstones().cast_signed(),
            &size.cast_signed(),
            &manifest.created_at,
        ],
    )?;
    if is_applied {
        client.execute(
            "UPDATE salesync.branch SET epoch = $2, last_sequence = $3, last_manifest = $4, is_at_cut = $5,
                    last_applied_at = clock_timestamp() WHERE name = $1",
            &[
                &manifest.branch.as_str(),
                &manifest.epoch.0,
                &manifest.sequence.as_bigint(),
                &digest.to_string(),
                &manifest.cut.last,
            ],
        )?;
    }
    Ok(())
}

/// Takes back that a bundle is held: it is rejected, or its file is not what it was. `digest` is that of
/// its manifest, if only that one is meant.
pub(super) fn forget_held(
    client: &mut impl GenericClient,
    branch: &NodeName,
    epoch: Epoch,
    sequence: Sequence,
    digest: Option<Digest>,
) -> Result<u64, postgres::Error> {
    client.execute(
        "DELETE FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND sequence = $3 AND state = 'held'
         AND manifest_sha256 = coalesce($4, manifest_sha256)",
        &[&branch.as_str(), &epoch.0, &sequence.as_bigint(), &digest.map(|digest| digest.to_string())],
    )
}

/// An arrival of a bundle and what it led to. `manifest` is none if it could not be read.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) branch: Option<&'a NodeName>,
    pub(super) manifest: Option<(&'a Manifest, Digest)>,
    pub(super) source: Source,
    pub(super) outcome: &'a str,
    pub(super) reason: Option<&'a str>,
}

impl Delivery<'_> {
    pub(super) fn record(&self, client: &mut impl GenericClient) -> Result<(), postgres::Error> {
        let manifest = self.manifest.map(|(manifest, _)| manifest);
        client.execute(
            "INSERT INTO salesync.delivery (branch, epoch, sequence, manifest_sha256, source, outcome, reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &self.branch.map(NodeName::as_str),
                &manifest.map(|manifest| manifest.epoch.0),
                &manifest.map(|manifest| manifest.sequence.as_bigint()),
                &self.manifest.map(|(_, digest)| digest.to_string()),
                &self.source.as_str(),
                &self.outcome,
                &self.reason,
            ],
        )?;
        Ok(())
    }
}

/// Something a person should know.
pub(super) fn record_incident(
    client: &mut impl GenericClient,
    branch: Option<&NodeName>,
    manifest: Option<&Manifest>,
    kind: &str,
    detail: &str,
    file: Option<&Path>,
) -> Result<(), postgres::Error> {
    client.execute(
        "INSERT INTO salesync.incident (branch, epoch, sequence, kind, detail, file) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &branch.map(NodeName::as_str),
            &manifest.map(|manifest| manifest.epoch.0),
            &manifest.map(|manifest| manifest.sequence.as_bigint()),
            &kind,
            &detail,
            &file.map(|file| file.display().to_string()),
        ],
    )?;
    Ok(())
}
