//! Writes the bundles of a cut into the branch's database, each as soon as it is sealed.
//!
//! That is done in the session that holds [`Lock::Bundle`](crate::database::Lock::Bundle), while another one
//! reads the rows: a run that has lost the lock records nothing any more. The watermark advances only with the
//! last part. Where a cut ended before, the newest bundle of the epoch is none, and the next cut begins anew
//! from the last one that was finished.

use chrono::{DateTime, Utc};
use postgres::{Client, Transaction};

use super::changes::TableCut;
use super::confirmations::note_told;
use super::counts::remember_counts;
use super::sealing::SealedBundle;
use crate::database::database_failure;
use crate::domain::{Failure, Mode};
use crate::halt::{self, Step};

/// What a cut sees.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// As `pg_snapshot` prints it: the new watermark.
    pub(super) watermark: String,
    /// Before it was taken. What was committed by then is in it.
    pub(super) taken_at: DateTime<Utc>,
}

impl Snapshot {
    /// That of this transaction.
    pub(super) fn of(transaction: &mut Transaction<'_>) -> Result<Self, postgres::Error> {
        let sql = "SELECT pg_current_snapshot()::text, transaction_timestamp()";
        let row = transaction.query_one(sql, &[])?;
        Ok(Self { watermark: row.get(0), taken_at: row.get(1) })
    }
}

/// Records the bundles of one cut.
pub(super) struct Recorder<'a> {
    /// The session with the lock.
    pub(super) client: &'a mut Client,
    pub(super) snapshot: &'a Snapshot,
    pub(super) tables: &'a [TableCut],
    /// Is told of each bundle that is not the cut's last, if somebody waits for them.
    pub(super) on_part: Option<&'a dyn Fn()>,
}

impl Recorder<'_> {
    /// Records one that is in the archive; with the last of them, the cut.
    pub(super) fn record(&mut self, bundle: &SealedBundle) -> Result<(), Failure> {
        let sequence = bundle.manifest.sequence;
        self.try_record(bundle).map_err(|error| {
            tracing::warn!(
                "whether bundle {sequence} was recorded is not known; if not, the next run discards it"
            );
            database_failure(format!("recording bundle {sequence}"), &error)
        })?;
        if let Some(on_part) = self.on_part.filter(|_| !bundle.manifest.cut.last) {
            on_part();
        }
        Ok(())
    }

    fn try_record(&mut self, bundle: &SealedBundle) -> Result<(), postgres::Error> {
        let mut transaction = self.client.transaction()?;
        let is_last = bundle.manifest.cut.last;
        insert(&mut transaction, self.snapshot, bundle)?;
        note_told(&mut transaction, &bundle.manifest)?;
        if is_last {
            finish(&mut transaction, self.snapshot, self.tables, bundle)?;
            halt::after(Step::CutRecorded);
        }
        transaction.commit()?;
        halt::after(if is_last { Step::CutCommitted } else { Step::PartCommitted });
        Ok(())
    }
}

fn insert(
    transaction: &mut Transaction<'_>,
    snapshot: &Snapshot,
    bundle: &SealedBundle,
) -> Result<(), postgres::Error> {
    let manifest = &bundle.manifest;
    let (sequence, digest) = (manifest.sequence.as_bigint(), bundle.manifest_sha256.to_string());
    transaction.execute(
        "INSERT INTO salesync.bundle (epoch, sequence, bundle_id, manifest_sha256, watermark, part, is_last_part,
                                      row_count, tombstone_count, byte_count, cut_at, file_sha256)
         VALUES ($1, $2, $3, $4, $5::text::pg_snapshot, $6, $7, $8, $9, $10, $11, $12)",
        &[
            &manifest.epoch.0,
            &sequence,
            &manifest.bundle_id.0,
            &digest,
            &snapshot.watermark,
            &i32::try_from(manifest.cut.part).unwrap_or(i32::MAX),
            &manifest.cut.last,
            &manifest.rows().cast_signed(),
            &manifest.tombstones().cast_signed(),
            &bundle.size.cast_signed(),
            &snapshot.taken_at,
            &bundle.file_sha256.map(|digest| digest.to_string()),
        ],
    )?;
    let sql = "UPDATE salesync.node SET last_sequence = $1, last_manifest = $2";
    transaction.execute(sql, &[&sequence, &digest]).map(drop)
}

/// From here on changes are collected since this snapshot.
fn finish(
    transaction: &mut Transaction<'_>,
    snapshot: &Snapshot,
    tables: &[TableCut],
    last: &SealedBundle,
) -> Result<(), postgres::Error> {
    for cut in tables {
        let whole_in = match cut.mode {
            Mode::Range => last.manifest.sequence.as_bigint(),
            _ => cut.table.whole_in,
        };
        transaction.execute(
            "UPDATE salesync.tracked_table SET is_complete = true, shape = $2, whole_in = $3 WHERE table_id = $1",
            &[&cut.table.id, &cut.description.shape, &whole_in],
        )?;
        if cut.mode == Mode::Range {
            remember_counts(transaction, &cut.table, &cut.description)?;
        }
    }
    let sql = "UPDATE salesync.node SET watermark = $1::text::pg_snapshot";
    transaction.execute(sql, &[&snapshot.watermark]).map(drop)
}
