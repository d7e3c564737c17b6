//! What has come is kept, whatever becomes of it: in its place in the archive, or put aside.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::Utc;
use tempfile::NamedTempFile;

use super::ledger::Source;
use super::receive::Receiver;
use super::rejection::{Grounds, Rejection};
use super::verdict::{Arrival, Verdict};
use crate::archive::{Archive, Placed};
use crate::bundle::Bundle;
use crate::domain::{Digest, Failure, Manifest};

/// Keeps the file under its name in the archive. A file that is in its place and that the ledger
/// does not know was rejected by a run that was killed before it could put it aside.
pub(super) fn keep(
    archive: &Archive,
    draft: NamedTempFile,
    bundle: &Bundle<File>,
) -> Result<PathBuf, Failure> {
    let manifest = bundle.manifest();
    let path = archive.file(&manifest.branch, manifest.epoch, manifest.sequence);
    let spare = draft.reopen().map_err(|error| Failure::file("opening", draft.path(), &error))?;
    if archive.place(draft, &path)? == Placed::Taken && !has_same(archive, &path, bundle) {
        let aside = archive.reject(&path, Some(&manifest.branch))?;
        tracing::warn!(
            "{} stood in the place of another bundle and is now {}",
            path.display(),
            aside.display()
        );
        let mut again = archive.draft()?;
        let copied = std::io::copy(&mut &spare, again.as_file_mut());
        copied.map_err(|error| Failure::file("writing", again.path(), &error))?;
        archive.place(again, &path)?;
    }
    Ok(path)
}

/// Whether the file is the same bundle, signed alike: only encrypted it has other bytes, and the first to come stays.
fn has_same(archive: &Archive, path: &Path, bundle: &Bundle<File>) -> bool {
    archive.open(path).is_ok_and(|kept| {
        kept.manifest_sha256() == bundle.manifest_sha256() && kept.signature() == bundle.signature()
    })
}

impl Receiver<'_> {
    /// The same in this archive.
    pub(super) fn keep(&self, draft: NamedTempFile, bundle: &Bundle<File>) -> Result<PathBuf, Failure> {
        keep(self.archive, draft, bundle)
    }

    /// A run that was killed before it could apply the bundle, or one that held it, has left it in the archive.
    pub(super) fn put_copy_aside(&self, manifest: &Manifest, digest: Digest) -> Result<(), Failure> {
        let path = self.archive.file(&manifest.branch, manifest.epoch, manifest.sequence);
        if path.exists() && self.archive.open(&path).is_ok_and(|kept| kept.manifest_sha256() == digest) {
            self.archive.reject(&path, Some(&manifest.branch))?;
        }
        Ok(())
    }

    /// Rejects what cannot be read.
    pub(super) fn reject_unread(
        &mut self,
        draft: NamedTempFile,
        arrival: Arrival<'_>,
        grounds: Grounds,
    ) -> Result<Vec<Verdict>, Failure> {
        let kept = self.archive.keep_rejected(draft, arrival.branch)?;
        Ok(vec![Rejection { bundle: None, arrival, grounds, kept }.record(self.client)?])
    }

    pub(super) fn reject_draft(
        &mut self,
        draft: NamedTempFile,
        bundle: &Bundle<File>,
        arrival: Arrival<'_>,
        grounds: Grounds,
    ) -> Result<Verdict, Failure> {
        let manifest = bundle.manifest();
        let kept = self.archive.keep_rejected(draft, Some(arrival.branch.unwrap_or(&manifest.branch)))?;
        let bundle = Some((manifest, bundle.manifest_sha256()));
        Rejection { bundle, arrival, grounds, kept }.record(self.client)
    }

    /// Rejects a bundle that is in its place in the archive.
    pub(super) fn reject_archived(
        &mut self,
        bundle: &Bundle<File>,
        path: &Path,
        source: Source,
        grounds: Grounds,
    ) -> Result<Verdict, Failure> {
        let manifest = bundle.manifest();
        let kept = self.archive.reject(path, Some(&manifest.branch))?;
        let arrival = Arrival { source, ..Arrival::by_archive(&manifest.branch, Utc::now()) };
        let bundle = Some((manifest, bundle.manifest_sha256()));
        Rejection { bundle, arrival, grounds, kept }.record(self.client)
    }
}
