//! Head office's memory of every bundle, delivery and incident.

use std::path::Path;

use chrono::{DateTime, Utc};
use postgres::GenericClient;

use super::hold::{Hold, HoldKind};
use super::requests::note_answer;
use crate::database::database_failure;
use crate::domain::{Digest, Epoch, Failure, KeyId, Manifest, NodeName, Sequence, legible};

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

/// What has become of a bundle that another waits for, as the end of a sentence.
pub(super) fn fate_of(
    client: &mut impl GenericClient,
    branch: &NodeName,
    epoch: Epoch,
    sequence: Sequence,
) -> Result<String, postgres::Error> {
    let sql = "SELECT reason FROM salesync.bundle WHERE branch = $1 AND epoch = $2 AND sequence = $3 AND state = 'held'
               UNION ALL
               (SELECT NULL FROM salesync.incident
                WHERE branch = $1 AND epoch = $2 AND sequence = $3 AND kind = 'rejected' AND resolved_at IS NULL
                LIMIT 1)";
    let row = client.query(sql, &[&branch.as_str(), &epoch.0, &sequence.as_bigint()])?.into_iter().next();
    Ok(match row.map(|row| row.get::<_, Option<String>>(0)) {
        Some(Some(reason)) => format!("is held: {reason}"),
        Some(None) => "was rejected".to_owned(),
        None => "has not come".to_owned(),
    })
}

/// What this very bundle waits for, if it is recorded as held.
pub(super) fn hold_of(
    client: &mut impl GenericClient,
    manifest: &Manifest,
    digest: Digest,
) -> Result<Option<Hold>, postgres::Error> {
    let sql = "SELECT hold, coalesce(reason, '') FROM salesync.bundle
               WHERE branch = $1 AND epoch = $2 AND sequence = $3 AND manifest_sha256 = $4 AND state = 'held'";
    let (branch, sequence) = (manifest.branch.as_str(), manifest.sequence.as_bigint());
    let row = client.query_opt(sql, &[&branch, &manifest.epoch.0, &sequence, &digest.to_string()])?;
    Ok(row.map(|row| Hold::new(HoldKind::of(row.get(0)), row.get(1))))
}

/// When this very bundle first came, if it is recorded: by then it was proven whose it is.
pub(super) fn first_received(
    client: &mut impl GenericClient,
    manifest: &Manifest,
    digest: Digest,
) -> Result<Option<DateTime<Utc>>, Failure> {
    let sql = "SELECT received_at FROM salesync.bundle
               WHERE branch = $1 AND epoch = $2 AND sequence = $3 AND manifest_sha256 = $4";
    let (branch, sequence) = (manifest.branch.as_str(), manifest.sequence.as_bigint());
    let row = client
        .query_opt(sql, &[&branch, &manifest.epoch.0, &sequence, &digest.to_string()])
        .map_err(|error| database_failure("looking up when the bundle first came", &error))?;
    Ok(row.map(|row| row.get(0)))
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

/// A bundle as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) digest: Digest,
    /// Size of the file in bytes.
    pub(super) size: u64,
    pub(super) received_at: DateTime<Utc>,
    pub(super) source: Source,
    /// The key that proves whose it is, if the branch is enrolled.
    pub(super) proven_by: Option<KeyId>,
}

/// Records a bundle as applied, or as held with what it waits for, and the branch's progress with the
/// former. Returns when it first came.
pub(super) fn record_bundle(
    client: &mut impl GenericClient,
    incoming: Incoming<'_>,
    hold: Option<&Hold>,
) -> Result<DateTime<Utc>, postgres::Error> {
    let manifest = incoming.manifest;
    let row = client.query_opt(
        "INSERT INTO salesync.bundle (branch, epoch, sequence, bundle_id, manifest_sha256, state, hold, reason, row_count,
                                      tombstone_count, byte_count, created_at, received_at, applied_at, key_id)
         VALUES ($1, $2, $3, $4, $5, CASE WHEN $6::text IS NULL THEN 'applied' ELSE 'held' END, $6, $7, $8, $9, $10, $11,
                 $12, CASE WHEN $6::text IS NULL THEN clock_timestamp() END, $13)
         ON CONFLICT (branch, epoch, sequence) DO UPDATE
         SET state = excluded.state, hold = excluded.hold, reason = excluded.reason,
             applied_at = excluded.applied_at, bundle_id = excluded.bundle_id,
             manifest_sha256 = excluded.manifest_sha256, key_id = excluded.key_id
         RETURNING received_at",
        &[
            &manifest.branch.as_str(),
            &manifest.epoch.0,
            &manifest.sequence.as_bigint(),
            &manifest.bundle_id.0,
            &incoming.digest.to_string(),
            &hold.map(|hold| hold.kind.as_str()),
            &hold.map(|hold| hold.reason.as_str()),
            &manifest.rows().cast_signed(),
            &manifest.tombstones().cast_signed(),
            &incoming.size.cast_signed(),
            &manifest.created_at,
            &incoming.received_at,
            &incoming.proven_by.map(|key| key.to_string()),
        ],
    )?;
    let received_at = row.map_or(incoming.received_at, |row| row.get(0));
    if hold.is_none() {
        advance_branch(client, incoming, received_at)?;
        resolve_incidents(client, manifest)?;
        note_confirmations(client, manifest)?;
    }
    Ok(received_at)
}

/// The branch is as far as this bundle. What head office has is as of the moment when the cut was taken: what was
/// committed later, while it was being sealed, is not in it. A branch's clock that is ahead does not make it newer
/// than the day it came.
fn advance_branch(
    client: &mut impl GenericClient,
    incoming: Incoming<'_>,
    received_at: DateTime<Utc>,
) -> Result<(), postgres::Error> {
    let manifest = incoming.manifest;
    let taken_at = (manifest.cut.part == 1).then(|| manifest.cut.taken_at.min(received_at));
    client.execute(
        "UPDATE salesync.branch SET epoch = $2, last_sequence = $3, last_manifest = $4, is_at_cut = $5,
                last_applied_at = clock_timestamp(), cut_taken_at = coalesce($6, cut_taken_at),
                data_as_of = CASE WHEN $5 THEN coalesce($6, cut_taken_at) ELSE data_as_of END,
                applied_bundles = applied_bundles + 1, applied_rows = applied_rows + $7,
                applied_bytes = applied_bytes + $8
         WHERE name = $1",
        &[
            &manifest.branch.as_str(),
            &manifest.epoch.0,
            &manifest.sequence.as_bigint(),
            &incoming.digest.to_string(),
            &manifest.cut.last,
            &taken_at,
            &(manifest.rows() + manifest.tombstones()).cast_signed(),
            &incoming.size.cast_signed(),
        ],
    )?;
    Ok(())
}

/// What the branch tells of earlier bundles, where they are known.
fn note_confirmations(client: &mut impl GenericClient, manifest: &Manifest) -> Result<(), postgres::Error> {
    let told = &manifest.confirmations;
    if told.is_empty() {
        return Ok(());
    }
    let sequences: Vec<_> = told.iter().map(|told| told.sequence.as_bigint()).collect();
    let published: Vec<_> = told.iter().map(|told| told.published_at).collect();
    let confirmed: Vec<_> = told.iter().map(|told| told.confirmed_at).collect();
    let sql = "UPDATE salesync.bundle b SET published_at = t.published_at, confirmed_at = t.confirmed_at
               FROM unnest($3::bigint[], $4::timestamptz[], $5::timestamptz[]) AS t (sequence, published_at, confirmed_at)
               WHERE b.branch = $1 AND b.epoch = $2 AND b.sequence = t.sequence";
    let branch = manifest.branch.as_str();
    client.execute(sql, &[&branch, &manifest.epoch.0, &sequences, &published, &confirmed]).map(drop)
}

fn resolve_incidents(client: &mut impl GenericClient, manifest: &Manifest) -> Result<(), postgres::Error> {
    let sql = "UPDATE salesync.incident SET resolved_at = clock_timestamp()
               WHERE branch = $1 AND epoch = $2 AND sequence = $3 AND kind IN ('rejected', 'held')
                 AND resolved_at IS NULL";
    client.execute(sql, &[&manifest.branch.as_str(), &manifest.epoch.0, &manifest.sequence.as_bigint()])?;
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
    /// Whether the branch has sent it, as far as that has to be proven.
    pub(super) is_proven: bool,
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
        manifest.filter(|_| self.is_proven).map_or(Ok(()), |manifest| note_answer(client, manifest))
    }
}

/// What sort of thing a person should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IncidentKind {
    /// A bundle was rejected for what it says, or for its place.
    Rejected,
    /// A bundle was rejected because its branch may not have sent it. Its number has not come by that.
    Unproven,
    /// A bundle waits for a person.
    Held,
    /// Rows were not as the branch took them to be.
    Divergence,
}

impl IncidentKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rejected | Self::Unproven => "rejected",
            Self::Held => "held",
            Self::Divergence => "divergence",
        }
    }
}

/// Something a person should know.
pub(super) fn record_incident(
    client: &mut impl GenericClient,
    branch: Option<&NodeName>,
    manifest: Option<&Manifest>,
    kind: IncidentKind,
    detail: &str,
    file: Option<&Path>,
) -> Result<(), postgres::Error> {
    client.execute(
        "INSERT INTO salesync.incident (branch, epoch, sequence, kind, detail, file, is_unproven)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &branch.map(NodeName::as_str),
            &manifest.map(|manifest| manifest.epoch.0),
            &manifest.map(|manifest| manifest.sequence.as_bigint()),
            &kind.as_str(),
            &legible(detail),
            &file.map(|file| file.display().to_string()),
            &(kind == IncidentKind::Unproven),
        ],
    )?;
    Ok(())
}
