//! Rows of one cut become bundles: as many parts as their size needs.

use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use chrono::{SubsecRound, Utc};

use super::changes::TableCut;
use super::confirmations::{BYTES_PER_CONFIRMATION, untold_confirmations};
use super::node::{Node, expect_new};
use super::pace::Pace;
use super::record::{Recorder, Snapshot};
use super::sealing::{PartLimits, SealedBundle, Sealing};
use crate::archive::Archive;
use crate::bundle::{Draft, EncryptedFile, key_of_row};
use crate::domain::{
    BUNDLE_FORMAT, BundleId, Confirmation, Cut, DayTotals, Digest, Failure, KeyRange, MANIFEST_LIMIT,
    Manifest, MemberKind, Mode, Sequence, TableChange,
};

/// What a manifest needs for one table, at most: names, types, three members with their totals.
const BYTES_PER_TABLE: u64 = 1024;
const BYTES_PER_COLUMN: u64 = 400;

/// The parts of one cut, sealed and recorded one after the other.
pub(super) struct Parts<'a> {
    archive: &'a Archive,
    limits: PartLimits,
    /// The branch as it is after the last part.
    node: Node,
    recorder: Recorder<'a>,
    tables: &'a [TableCut],
    /// Those of this part, one entry per table. They follow the last row.
    day_totals: Vec<Option<DayTotals>>,
    /// What the first part tells of earlier bundles.
    confirmations: Vec<Confirmation>,
    sealing: Sealing<'a>,
    /// What the rest of this part needs at most, in bytes.
    reserve: u64,
    draft: Draft,
    /// The tables of this part, by their place in `tables`, with their range.
    present: Vec<(usize, Option<KeyRange>)>,
    open: Option<(usize, MemberKind)>,
    /// The last row, where a range may have to end with its key.
    last_row: Vec<u8>,
    pace: Pace,
    /// How many parts are sealed.
    sealed: u32,
}

impl<'a> Parts<'a> {
    /// No part yet.
    pub(super) fn new(
        archive: &'a Archive,
        limits: PartLimits,
        node: Node,
        recorder: Recorder<'a>,
        sealing: Sealing<'a>,
    ) -> Result<Self, Failure> {
        let confirmations = untold_confirmations(recorder.client, &node)?;
        let pace = Pace::new(recorder.on_part.is_some(), rows_of(recorder.tables));
        let spool_folder = sealing.spool_folder(archive)?;
        let draft = Draft::new(&spool_folder, limits.compression_level)
            .map_err(|error| Failure::file("making a temporary file in", &spool_folder, &error))?;
        Ok(Self {
            archive,
            limits,
            node,
            tables: recorder.tables,
            day_totals: vec![None; recorder.tables.len()],
            recorder,
            sealing,
            reserve: sealing.empty_size(limits.max_bytes)
                + BYTES_PER_CONFIRMATION * confirmations.len() as u64,
            confirmations,
            draft,
            present: Vec::new(),
            open: None,
            last_row: Vec::new(),
            pace,
            sealed: 0,
        })
    }

    /// Begins with the rows of this kind of the table at this place.
    pub(super) fn begin(&mut self, table: usize, kind: MemberKind) -> Result<(), Failure> {
        if self.open == Some((table, kind)) && !self.draft.is_empty() {
            // A part has rows of a kind once, in the order of their keys.
            self.seal(false)?;
        }
        let cut = &self.tables[table];
        if !self.present.iter().any(|(present, _)| *present == table) {
            let size = manifest_size(cut);
            if self.has_no_place_for(size)? {
                self.seal(false)?;
            }
            self.reserve += size;
            let whole = (cut.mode == Mode::Range).then_some(KeyRange { after: None, through: None });
            self.present.push((table, whole));
        }
        self.open = Some((table, kind));
        self.last_row.clear();
        self.pace.begin(kind);
        let columns = kind.columns(&cut.description.columns);
        self.draft.begin(table, kind, &columns).map_err(|error| self.draft_failure(&error))
    }

    /// Adds a row to what was begun last; to the next part if this one is full.
    pub(super) fn row(&mut self, row: &[u8]) -> Result<(), Failure> {
        if !self.draft.is_empty() && self.is_full_with(row.len() as u64)? {
            self.split()?;
        }
        self.draft.write_row(row).map_err(|error| self.draft_failure(&error))?;
        self.pace.add();
        if self.range_is_open() {
            self.last_row.clear();
            self.last_row.extend_from_slice(row);
        }
        Ok(())
    }

    /// Seals the last part. `day_totals` has one entry per table; those that have no place beside the last rows
    /// get parts of their own.
    pub(super) fn finish(mut self, day_totals: Vec<Option<DayTotals>>) -> Result<(), Failure> {
        for (table, totals) in day_totals.into_iter().enumerate() {
            let Some(totals) = totals else { continue };
            let size = manifest_size(&self.tables[table]) + json_size(&totals) as u64;
            if self.has_no_place_for(size)? {
                self.seal(false)?;
            }
            self.reserve += size;
            self.day_totals[table] = Some(totals);
        }
        self.seal(true)
    }

    /// Ends this part and goes on with the same table in the next. A range that has rows in this part
    /// ends with the key of the last of them; one that was only begun goes to the next part whole.
    fn split(&mut self) -> Result<(), Failure> {
        let Some((table, kind)) = self.open else {
            return Ok(());
        };
        let mut rest = None;
        if self.range_is_open() {
            let bound = (!self.last_row.is_empty())
                .then(|| key_of_row(&self.last_row, &self.tables[table].description.columns));
            match (self.present.last_mut(), bound) {
                (Some((_, Some(range))), Some(bound)) => {
                    range.through = Some(bound.clone());
                    rest = Some(KeyRange { after: Some(bound), through: None });
                }
                _ => rest = self.present.pop().and_then(|(_, range)| range),
            }
        }
        self.seal(false)?;
        self.begin(table, kind)?;
        if let (Some((_, range)), Some(rest)) = (self.present.last_mut(), rest) {
            *range = Some(rest);
        }
        Ok(())
    }

    /// True if this part's manifest cannot say so many bytes more, or the part has no room for them.
    fn has_no_place_for(&mut self, bytes: u64) -> Result<bool, Failure> {
        let has_content = !self.draft.is_empty() || self.day_totals.iter().any(Option::is_some);
        Ok(self.reserve + bytes > MANIFEST_LIMIT || has_content && self.is_full_with(bytes)?)
    }

    /// True if this part has no room for so many bytes more.
    fn is_full_with(&mut self, bytes: u64) -> Result<bool, Failure> {
        let limit = self.limits.max_bytes.min(self.pace.limit());
        let outgrows = self.draft.outgrows(self.reserve + bytes, limit);
        outgrows.map_err(|error| self.draft_failure(&error))
    }

    fn range_is_open(&self) -> bool {
        self.open.is_some_and(|(table, _)| self.tables[table].mode == Mode::Range)
    }

    fn seal(&mut self, last: bool) -> Result<(), Failure> {
        self.draft.end().map_err(|error| self.draft_failure(&error))?;
        let manifest = self.manifest(last);
        self.reserve = self.sealing.empty_size(self.limits.max_bytes);
        let path = self.archive.file(&self.node.name, self.node.epoch, manifest.sequence);
        let file = self.archive.draft()?;
        let failed = |error: io::Error| Failure::file("writing the bundle", file.path(), &error);
        let (manifest_sha256, file_sha256) = self.write(&manifest, file.as_file()).map_err(failed)?;
        let size = file.as_file().metadata().map_err(failed)?.len();
        expect_new(self.archive.place(file, &path)?, &path)?;
        self.node.last_sequence = Some(manifest.sequence);
        self.node.last_manifest = Some(manifest_sha256);
        self.sealed += 1;
        self.pace.seal(size);
        self.recorder.record(&SealedBundle { manifest, manifest_sha256, file_sha256, size })
    }

    /// Writes the file. The SHA-256 of its manifest and, if it is encrypted, of the whole.
    fn write(&mut self, manifest: &Manifest, file: &File) -> io::Result<(Digest, Option<Digest>)> {
        let Sealing { key, recipients } = self.sealing;
        let mut writer = BufWriter::new(file);
        if recipients.is_empty() {
            let manifest_sha256 = self.draft.assemble(manifest, key, &mut writer)?;
            writer.flush()?;
            return Ok((manifest_sha256, None));
        }
        let mut encrypted = EncryptedFile::begin(recipients, writer)?;
        let manifest_sha256 = self.draft.assemble(manifest, key, &mut encrypted)?;
        Ok((manifest_sha256, Some(encrypted.end()?)))
    }

    fn manifest(&mut self, last: bool) -> Manifest {
        let tables = self.table_changes(last);
        let Snapshot { watermark, taken_at } = self.recorder.snapshot.clone();
        Manifest {
            format: BUNDLE_FORMAT.to_owned(),
            bundle_id: BundleId::generate(),
            branch: self.node.name.clone(),
            epoch: self.node.epoch,
            sequence: self.node.last_sequence.map_or(Sequence::FIRST, Sequence::next),
            previous: self.node.last_manifest,
            cut: Cut { watermark, taken_at, part: self.sealed + 1, last },
            // The server's clock, which tells when the cut was taken, may be ahead, and this one set back meanwhile.
            created_at: Utc::now().trunc_subsecs(6).max(taken_at),
            confirmations: std::mem::take(&mut self.confirmations),
            tool: concat!("salesync ", env!("CARGO_PKG_VERSION")).to_owned(),
            tables,
        }
    }

    /// The tables of this part in the order of `tables`. Those that have day totals in it are there, though their
    /// rows may all have travelled in earlier parts, and, since a bundle has to speak of something, in the last
    /// part all of them if nothing has changed.
    fn table_changes(&mut self, last: bool) -> Vec<TableChange> {
        let mut present = std::mem::take(&mut self.present);
        let is_empty = last && self.sealed == 0 && present.is_empty();
        let with_totals =
            (0..self.tables.len()).filter(|&table| is_empty || self.day_totals[table].is_some());
        let absent = with_totals.filter(|table| !present.iter().any(|(other, _)| other == table));
        let absent: Vec<_> = absent.map(|table| (table, None)).collect();
        present.extend(absent);
        present.sort_by_key(|(table, _)| *table);
        let change = |(index, (table, range)): (usize, (usize, Option<KeyRange>))| {
            let cut = &self.tables[table];
            let mode = if range.is_none() && cut.mode == Mode::Range { Mode::Changes } else { cut.mode };
            TableChange {
                name: cut.table.name.clone(),
                mode,
                columns: cut.description.columns.clone(),
                range,
                members: self.draft.members_of(table, index),
                day_totals: self.day_totals[table].take(),
            }
        };
        present.into_iter().enumerate().map(change).collect()
    }

    fn draft_failure(&self, error: &io::Error) -> Failure {
        let is_elsewhere = !self.sealing.recipients.is_empty();
        let folder = if is_elsewhere { env::temp_dir() } else { self.archive.root().to_owned() };
        Failure::file("writing a bundle in", &folder, error)
    }
}

/// How many rows these tables have in the cut, if all of them have been counted.
fn rows_of(tables: &[TableCut]) -> Option<u64> {
    tables.iter().map(TableCut::rows_counted).sum()
}

/// What a manifest needs for this table without day totals, at most.
fn manifest_size(cut: &TableCut) -> u64 {
    BYTES_PER_TABLE + BYTES_PER_COLUMN * cut.description.columns.len() as u64
}

fn json_size(totals: &DayTotals) -> usize {
    serde_json::to_vec(totals).map_or(0, |text| text.len())
}
