//! A bundle arrives: it is kept, checked, put in its place, and applied if its turn has come.

use std::fs::File;
use std::path::{Path, PathBuf};

use postgres::Client;
use tempfile::NamedTempFile;

use super::apply::{Keep, apply, find_place};
use super::ledger::{Delivery, Source, branch_states, record_bundle};
use super::place::Place;
use super::refusal::Refusal;
use super::rejection::Rejection;
use crate::archive::{Archive, Placed, open_bundle};
use crate::bundle::{Bundle, ReadError};
use crate::database::database_failure;
use crate::domain::{BundleId, Digest, Failure, Manifest, NodeName, Sequence};

/// How a bundle came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The branch whose queue it lay in; a file has none.
    pub branch: Option<&'a NodeName>,
    /// By which way.
    pub source: Source,
}

/// What became of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Applied.
    Applied,
    /// It had been applied before; nothing was changed.
    Duplicate,
    /// It waits for the sequence named.
    Held(Sequence),
    /// It will never be applied.
    Rejected {
        /// Why.
        reason: String,
        /// True if the file itself is damaged.
        is_damaged: bool,
    },
}

/// What became of which bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The branch, if that is known.
    pub branch: Option<NodeName>,
    /// Number and identity; none if the manifest could not be read.
    pub identity: Option<(Sequence, BundleId)>,
    /// Inserts and updates in it.
    pub rows: u64,
    /// Tombstones in it.
    pub tombstones: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// Receives bundles for head office. Whoever has one holds
/// [`Lock::Apply`](crate::database::Lock::Apply).
pub struct Receiver<'a> {
    client: &'a mut Client,
    archive: &'a Archive,
    /// Whether what waits in the archive for a bundle is applied with it.
    takes_followers: bool,
}

impl<'a> Receiver<'a> {
    /// Receives into this database and this archive. What a killed process left half-made is removed.
    pub fn new(client: &'a mut Client, archive: &'a Archive) -> Result<Self, Failure> {
        archive.remove_drafts()?;
        Ok(Self { client, archive, takes_followers: true })
    }

    /// The same for bundles that come in their order and up to a chosen one, as in a replay: what follows
    /// one in the archive is left for its own turn.
    #[must_use]
    pub fn one_by_one(mut self) -> Self {
        self.takes_followers = false;
        self
    }

    /// Receives one bundle. The first verdict is its own; others follow for bundles that had been
    /// waiting for it. An error means that it could not be tried: it must come again.
    pub fn receive(&mut self, draft: NamedTempFile, arrival: Arrival<'_>) -> Result<Vec<Verdict>, Failure> {
        let file = draft.reopen().map_err(|error| Failure::file("opening", draft.path(), &error))?;
        let mut bundle = match Bundle::open(file) {
            Ok(bundle) => bundle,
            Err(ReadError::Io(error)) => return Err(Failure::file("reading", draft.path(), &error)),
            Err(ReadError::Defect(defect)) => {
                let kept = self.archive.keep_rejected(draft, arrival.branch)?;
                let rejection = Rejection { bundle: None, arrival, reason: defect.to_string(), kept };
                return Ok(vec![rejection.record(self.client)?]);
            }
        };
        let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
        if let Some(queue) = arrival.branch.filter(|branch| **branch != manifest.branch) {
            let reason = format!("it is a bundle of {}, but came in the queue of {queue}", manifest.branch);
            return self.reject_draft(draft, &manifest, digest, arrival, reason);
        }
        let mut place = self.find_place(&manifest, digest)?;
        let mut verdicts = Vec::new();
        if let Place::Later(_) = place {
            verdicts = self.catch_up(&manifest.branch, Some(manifest.sequence))?;
            place = self.find_place(&manifest, digest)?;
        }
        let mut own = match place {
            Place::Refused(reason) => return self.reject_draft(draft, &manifest, digest, arrival, reason),
            Place::Duplicate => {
                self.keep(draft, &manifest)?;
                vec![self.note(&manifest, digest, arrival.source, Outcome::Duplicate)?]
            }
            Place::Later(expected) => {
                self.keep(draft, &manifest)?;
                vec![self.hold(&manifest, digest, bundle.size(), arrival.source, expected)?]
            }
            Place::Next => {
                let path = self.keep(draft, &manifest)?;
                let mut own = vec![self.apply(&mut bundle, &path, arrival.source)?];
                if self.takes_followers {
                    own.extend(self.catch_up(&manifest.branch, None)?);
                }
                own
            }
        };
        own.extend(verdicts);
        Ok(own)
    }

    /// Applies a bundle and rolls it back, to see whether it could be applied.
    pub fn rehearse(&mut self, mut bundle: Bundle<File>) -> Result<Verdict, Failure> {
        let manifest = bundle.manifest().clone();
        let outcome = match self.find_place(&manifest, bundle.manifest_sha256())? {
            Place::Duplicate => Outcome::Duplicate,
            Place::Later(expected) => Outcome::Held(expected),
            Place::Refused(reason) => Outcome::Rejected { reason, is_damaged: false },
            Place::Next => match apply(self.client, &mut bundle, Source::File, Keep::RollBack) {
                Ok(()) => Outcome::Applied,
                Err(Refusal::Rejected(reason)) => Outcome::Rejected { reason, is_damaged: false },
                Err(Refusal::Failed(failure)) => return Err(failure),
            },
        };
        Ok(verdict(&manifest, outcome))
    }

    /// Applies what waits in the archive for its turn, as far as it goes without a gap, but only what
    /// comes before the bundle `end` if there is one.
    pub fn catch_up(&mut self, branch: &NodeName, end: Option<Sequence>) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = Vec::new();
        loop {
            let states = branch_states(self.client)?;
            let state = states.iter().find(|state| state.name == *branch);
            let Some((epoch, sequence)) = state.and_then(|state| Some((state.epoch?, state.next_sequence())))
            else {
                return Ok(verdicts);
            };
            if end.is_some_and(|end| end <= sequence) {
                return Ok(verdicts);
            }
            let path = self.archive.file(branch, epoch, sequence);
            if !path.exists() {
                return Ok(verdicts);
            }
            let mut bundle = open_bundle(&path)?;
            let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
            match self.find_place(&manifest, digest)? {
                Place::Next => verdicts.push(self.apply(&mut bundle, &path, Source::Archive)?),
                place => {
                    tracing::warn!("{} is not used: {place:?}", path.display());
                    return Ok(verdicts);
                }
            }
        }
    }

    fn find_place(&mut self, manifest: &Manifest, digest: Digest) -> Result<Place, Failure> {
        find_place(self.client, manifest, digest)
    }

    fn apply(&mut self, bundle: &mut Bundle<File>, path: &Path, source: Source) -> Result<Verdict, Failure> {
        let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
        match apply(self.client, bundle, source, Keep::Commit) {
            Ok(()) => Ok(verdict(&manifest, Outcome::Applied)),
            Err(Refusal::Failed(failure)) => Err(failure),
            Err(Refusal::Rejected(reason)) => {
                let kept = self.archive.reject(path, Some(&manifest.branch))?;
                let arrival = Arrival { branch: Some(&manifest.branch), source };
                Rejection { bundle: Some((&manifest, digest)), arrival, reason, kept }.record(self.client)
            }
        }
    }

    /// Keeps the file under its name in the archive. A file that is in its place and that the ledger
    /// does not know was rejected by a run that was killed before it could put it aside.
    fn keep(&mut self, draft: NamedTempFile, manifest: &Manifest) -> Result<PathBuf, Failure> {
        let path = self.archive.file(&manifest.branch, manifest.epoch, manifest.sequence);
        let spare = draft.reopen().map_err(|error| Failure::file("opening", draft.path(), &error))?;
        if self.archive.place(draft, &path)? == Placed::Taken {
            let aside = self.archive.reject(&path, Some(&manifest.branch))?;
            tracing::warn!(
                "{} stood in the place of another bundle and is now {}",
                path.display(),
                aside.display()
            );
            let mut again = self.archive.draft()?;
            let copied = std::io::copy(&mut &spare, again.as_file_mut());
            copied.map_err(|error| Failure::file("writing", again.path(), &error))?;
            self.archive.place(again, &path)?;
        }
        Ok(path)
    }

    fn hold(
        &mut self,
        manifest: &Manifest,
        digest: Digest,
        size: u64,
        source: Source,
        expected: Sequence,
    ) -> Result<Verdict, Failure> {
        let reason = format!("bundle {expected} of {} has not come", manifest.branch);
        let failed = |error: postgres::Error| database_failure("recording a held bundle", &error);
        let mut transaction = self.client.transaction().map_err(failed)?;
        record_bundle(&mut transaction, manifest, digest, size, Some(&reason)).map_err(failed)?;
        let delivery = delivery(manifest, digest, source, "held", Some(&reason));
        delivery.record(&mut transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(verdict(manifest, Outcome::Held(expected)))
    }

    fn note(
        &mut self,
        manifest: &Manifest,
        digest: Digest,
        source: Source,
        outcome: Outcome,
    ) -> Result<Verdict, Failure> {
        delivery(manifest, digest, source, "duplicate", None)
            .record(self.client)
            .map_err(|error| database_failure("recording a duplicate", &error))?;
        Ok(verdict(manifest, outcome))
    }

    fn reject_draft(
        &mut self,
        draft: NamedTempFile,
        manifest: &Manifest,
        digest: Digest,
        arrival: Arrival<'_>,
        reason: String,
    ) -> Result<Vec<Verdict>, Failure> {
        let kept = self.archive.keep_rejected(draft, Some(&manifest.branch))?;
        let rejection = Rejection { bundle: Some((manifest, digest)), arrival, reason, kept };
        Ok(vec![rejection.record(self.client)?])
    }
}

fn delivery<'m>(
    manifest: &'m Manifest,
    digest: Digest,
    source: Source,
    outcome: &'m str,
    reason: Option<&'m str>,
) -> Delivery<'m> {
    Delivery { branch: Some(&manifest.branch), manifest: Some((manifest, digest)), source, outcome, reason }
}

pub(super) fn verdict(manifest: &Manifest, outcome: Outcome) -> Verdict {
    Verdict {
        branch: Some(manifest.branch.clone()),
        identity: Some((manifest.sequence, manifest.bundle_id)),
        rows: manifest.rows(),
        tombstones: manifest.tombstones(),
        outcome,
    }
}
