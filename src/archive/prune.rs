//! Bundles that nobody needs any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Archive, EXTENSION, REJECTED, entries, sequence_of};
use crate::domain::{Epoch, Failure, NodeName, Sequence};
use crate::halt::{self, Step};

/// What is proven to be in head office's database of one branch.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    /// The newest epoch.
    pub epoch: Epoch,
    /// True if its first cut, in which every table travels whole, is applied to its last part: nothing
    /// of an earlier epoch matters any more.
    pub is_whole: bool,
    /// The last bundle of it that is applied.
    pub applied_through: Option<Sequence>,
}

/// Which of the proven bundles to remove.
#[derive(Debug, Clone, Copy)]
pub struct PruneOptions {
    /// Those put into the archive before this.
    pub before: SystemTime,
    /// Also those of the newest epoch, without which the archive rebuilds nothing.
    pub newest_epoch_too: bool,
}

/// A file that may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prunable {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A file of the archive.
struct Stored {
    sequence: Sequence,
    file: Prunable,
    modified: SystemTime,
}

impl Archive {
    /// The bundles of a branch that may go. What stays of an epoch has no gap, and the last bundle of the
    /// newest epoch always stays.
    pub fn prunable(
        &self,
        branch: &NodeName,
        proof: &Proof,
        options: PruneOptions,
    ) -> Result<Vec<Prunable>, Failure> {
        let mut prunable = Vec::new();
        for epoch in self.epochs(branch)? {
            let stored = bundles_in(&self.epoch_folder(branch, epoch))?;
            let last = stored.last().map(|last| last.sequence);
            let is_proven = |sequence| {
                if epoch == proof.epoch {
                    options.newest_epoch_too
                        && Some(sequence) <= proof.applied_through
                        && Some(sequence) < last
                } else {
                    epoch < proof.epoch && proof.is_whole
                }
            };
            let old = stored
                .into_iter()
                .take_while(|stored| is_proven(stored.sequence) && stored.modified < options.before);
            prunable.extend(old.map(|stored| stored.file));
        }
        Ok(prunable)
    }

    /// The rejected bundles that were put aside before this.
    pub fn prunable_rejected(&self, before: SystemTime) -> Result<Vec<Prunable>, Failure> {
        let mut prunable = Vec::new();
        for folder in entries(&self.root.join(REJECTED))? {
            for path in entries(&folder)? {
                let is_bundle = path.extension().is_some_and(|end| end == EXTENSION);
                if let (true, (file, modified)) = (is_bundle, file_at(path)?)
                    && modified < before
                {
                    prunable.push(file);
                }
            }
        }
        Ok(prunable)
    }

    /// Removes a file, and the folder of its epoch if that is empty then. One that is gone is no failure.
    pub fn remove(&self, file: &Prunable) -> Result<(), Failure> {
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::file("removing", &file.path, &error));
            }
            _ => {}
        }
        halt::after(Step::FilePruned);
        if let Some(folder) = file.path.parent() {
            // It is refused as long as anything is in it.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

fn bundles_in(folder: &Path) -> Result<Vec<Stored>, Failure> {
    let mut stored = Vec::new();
    for path in entries(folder)? {
        if let Some(sequence) = sequence_of(&path) {
            let (file, modified) = file_at(path)?;
            stored.push(Stored { sequence, file, modified });
        }
    }
    stored.sort_by_key(|stored| stored.sequence);
    Ok(stored)
}

fn file_at(path: PathBuf) -> Result<(Prunable, SystemTime), Failure> {
    let failed = |error: io::Error| Failure::file("looking at", &path, &error);
    let metadata = fs::metadata(&path).map_err(failed)?;
    let modified = metadata.modified().map_err(failed)?;
    Ok((Prunable { bytes: metadata.len(), path }, modified))
}
