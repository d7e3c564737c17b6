//! Bundles in a folder: `<archive>/<branch>/<epoch>/<sequence, 10 digits>.bundle`.
//!
//! A file appears under its name only when it is complete and on disk: it is written under a
//! temporary name, synced, renamed without overwriting, and the folder is synced. Whatever a killed
//! process leaves behind has a temporary name, and the next run removes it.

mod condition;
mod file;
mod preview;
mod prune;
mod survey;

use std::fs::{self, File, Permissions};
use std::io::{self, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use self::file::{content_digest, make_folder, same_content, sync_folder};
use crate::bundle::Bundle;
use crate::domain::{Digest, Epoch, Failure, Identities, NodeName, Sequence};
use crate::halt::{self, Step};

pub use file::{arrived_at, digest_of};
pub use preview::{Examined, Glimpse, PREVIEW_ROWS, Preview, examine};
pub use prune::{Proof, Prunable, PruneOptions};
pub use survey::{Filed, find_bundles, open_bundle, survey};

const EXTENSION: &str = "bundle";
/// No branch can have this name.
const REJECTED: &str = "_rejected";

/// The folder that keeps the bundles.
#[derive(Debug, Clone)]
pub struct Archive {
    root: PathBuf,
    /// Where this node's files in the making are. Another node may use the same archive.
    drafts: PathBuf,
    /// What encrypted bundles are read with.
    identities: Identities,
}

/// What became of a file that was to be kept under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is there now.
    New,
    /// The same bytes were there already.
    AlreadyThere,
    /// Another file has the name; nothing was changed, the new one is gone.
    Taken,
}

impl Archive {
    /// The archive in this folder as `node` uses it. The folder is made when it is first written to.
    pub fn new(root: impl Into<PathBuf>, node: &NodeName) -> Self {
        let root = root.into();
        let drafts = root.join(format!(".drafts-{node}"));
        Self { root, drafts, identities: Identities::default() }
    }

    /// The same, read with these keys where bundles are encrypted.
    #[must_use]
    pub fn read_with(self, identities: Identities) -> Self {
        Self { identities, ..self }
    }

    /// What encrypted bundles are read with.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Opens a bundle file as this node can, here or elsewhere: [`open_bundle`].
    pub fn open(&self, path: &Path) -> Result<Bundle<File>, Failure> {
        open_bundle(path, &self.identities)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the bundles of one epoch of a branch are.
    pub fn epoch_folder(&self, branch: &NodeName, epoch: Epoch) -> PathBuf {
        self.root.join(branch.as_str()).join(epoch.to_string())
    }

    /// The epochs of a branch that have a folder, oldest first.
    pub fn epochs(&self, branch: &NodeName) -> Result<Vec<Epoch>, Failure> {
        let name = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
        let mut epochs: Vec<Epoch> =
            entries(&self.root.join(branch.as_str()))?.into_iter().filter_map(name).collect();
        epochs.sort();
        Ok(epochs)
    }

    /// Whether this file is in the archive.
    pub fn contains(&self, path: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        real(&self.root).zip(real(path)).is_some_and(|(root, path)| path.starts_with(root))
    }

    /// Where a bundle is, or would be.
    pub fn file(&self, branch: &NodeName, epoch: Epoch, sequence: Sequence) -> PathBuf {
        self.epoch_folder(branch, epoch).join(format!("{:010}.{EXTENSION}", sequence.get()))
    }

    /// Where a rejected file with this content is, or would be. `whose` is the branch it came from, if
    /// that is known.
    pub fn rejected_file(&self, whose: Option<&NodeName>, content: Digest) -> PathBuf {
        let folder = whose.map_or("unknown", NodeName::as_str);
        self.root.join(REJECTED).join(folder).join(format!("{content}.{EXTENSION}"))
    }

    /// The rejected files that came from this branch.
    pub fn rejected_files(&self, branch: &NodeName) -> Result<Vec<PathBuf>, Failure> {
        entries(&self.root.join(REJECTED).join(branch.as_str()))
    }

    /// Moves a file that turned out to be rejected out of the way of others.
    pub fn reject(&self, path: &Path, whose: Option<&NodeName>) -> Result<PathBuf, Failure> {
        let failed = |error: io::Error| Failure::file("putting the rejected bundle aside", path, &error);
        let content = content_digest(&mut File::open(path).map_err(failed)?).map_err(failed)?;
        let target = self.rejected_file(whose, content);
        make_folder(target.parent().unwrap_or(&self.root))?;
        fs::rename(path, &target).map_err(failed)?;
        halt::after(Step::FileSetAside);
        Ok(target)
    }

    /// Keeps a draft that turned out to be no bundle, for inspection.
    pub fn keep_rejected(
        &self,
        mut draft: NamedTempFile,
        whose: Option<&NodeName>,
    ) -> Result<PathBuf, Failure> {
        let failed = |error: io::Error| Failure::file("reading back", &self.root, &error);
        draft.as_file_mut().rewind().map_err(failed)?;
        let target = self.rejected_file(whose, content_digest(draft.as_file_mut()).map_err(failed)?);
        self.place(draft, &target)?;
        Ok(target)
    }

    /// The folder for files in the making, made if it is not there.
    pub fn drafts(&self) -> Result<PathBuf, Failure> {
        make_folder(&self.drafts)?;
        Ok(self.drafts.clone())
    }

    /// A file in the making. It is removed when it is dropped without having been placed.
    pub fn draft(&self) -> Result<NamedTempFile, Failure> {
        let folder = self.drafts()?;
        let mode = Permissions::from_mode(0o640);
        tempfile::Builder::new()
            .permissions(mode)
            .tempfile_in(&folder)
            .map_err(|error| Failure::file("making a temporary file in", &folder, &error))
    }

    /// Keeps a finished file under its name: synced, renamed without overwriting, folder synced.
    pub fn place(&self, mut draft: NamedTempFile, path: &Path) -> Result<Placed, Failure> {
        let failed = |error: &io::Error| Failure::file("storing", path, error);
        let folder = path.parent().unwrap_or(&self.root);
        make_folder(folder)?;
        halt::after(Step::FileWritten);
        draft.as_file().sync_all().map_err(|error| failed(&error))?;
        halt::after(Step::FileSynced);
        match draft.persist_noclobber(path) {
            Ok(_) => {
                halt::after(Step::FileNamed);
                sync_folder(folder)?;
                Ok(Placed::New)
            }
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                draft = refused.file;
                let same = same_content(draft.as_file_mut(), path).map_err(|error| failed(&error))?;
                // Whoever put it there may have been killed before its name was on disk.
                sync_folder(folder)?;
                Ok(if same { Placed::AlreadyThere } else { Placed::Taken })
            }
            Err(refused) => Err(failed(&refused.error)),
        }
    }

    /// Keeps a finished small file under its name in place of the one that is there.
    pub fn replace(&self, draft: NamedTempFile, path: &Path) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::file("storing", path, error);
        let folder = path.parent().unwrap_or(&self.root);
        make_folder(folder)?;
        halt::after(Step::FileWritten);
        draft.as_file().sync_all().map_err(|error| failed(&error))?;
        halt::after(Step::FileSynced);
        draft.persist(path).map_err(|refused| failed(&refused.error))?;
        halt::after(Step::FileNamed);
        sync_folder(folder)
    }

    /// Removes what a killed process left in the making. The caller holds the lock that says that no
    /// other process is making anything.
    pub fn remove_drafts(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::file("removing unfinished files from", &self.drafts, &error);
        let entries = match fs::read_dir(&self.drafts) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
            halt::after(Step::DraftRemoved);
        }
        Ok(())
    }

    /// Removes the bundles of an epoch that come after `last`: a run that was cut short sealed them,
    /// but its transaction did not commit, so they were never recorded nor sent.
    pub fn discard_after(
        &self,
        branch: &NodeName,
        epoch: Epoch,
        last: Option<Sequence>,
    ) -> Result<u32, Failure> {
        let folder = self.epoch_folder(branch, epoch);
        let failed = |error: io::Error| Failure::file("looking for unrecorded bundles in", &folder, &error);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(failed)?,
        };
        let mut discarded = 0;
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if sequence_of(&path).is_some_and(|sequence| Some(sequence) > last) {
                fs::remove_file(&path)
                    .map_err(|error| Failure::file("discarding the unrecorded bundle", &path, &error))?;
                halt::after(Step::FileDiscarded);
                discarded += 1;
            }
        }
        Ok(discarded)
    }
}

/// What is in a folder, by name; nothing if there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: io::Error| Failure::file("looking into", folder, &error);
    let read = match fs::read_dir(folder) {
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(Vec::new());
        }
        read => read.map_err(failed)?,
    };
    let mut paths =
        read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// The number of the bundle that has this name in its folder.
fn sequence_of(path: &Path) -> Option<Sequence> {
    let stem = path.extension().filter(|end| *end == EXTENSION).and(path.file_stem())?;
    Sequence::new(stem.to_str()?.parse().ok()?)
}
