//! What bundles there are in a folder.

use std::fs::File;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{EXTENSION, REJECTED};
use crate::bundle::{Bundle, ReadError};
use crate::domain::{Digest, Epoch, Failure, Identities, Kind, NodeName, Sequence};

/// Opens a bundle file, with these keys if it is encrypted, and checks its shape and checksums. Damage is
/// [`Kind::Damaged`], and that there is no key for it never.
pub fn open_bundle(path: &Path, identities: &Identities) -> Result<Bundle<File>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file("opening the bundle", path, &error))?;
    Bundle::open_with(file, identities).map_err(|error| match error {
        ReadError::Io(error) => Failure::file("reading the bundle", path, &error),
        ReadError::Locked(locked) => locked.failure(format!("opening the bundle {}", path.display())),
        ReadError::Defect(defect) => {
            Failure::new(Kind::Damaged, format!("checking the bundle {}", path.display()), defect)
                .hint("get the file again from the branch's archive; nothing of it was used")
        }
    })
}

/// The bundle files at `path`, which is one or a folder of them, in the order of their names.
/// Folders whose names begin with a dot, and rejected bundles below an archive, are passed over.
pub fn find_bundles(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let passed_over = |name: &str| name.starts_with('.') || name == REJECTED;
    let walk = WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !entry.file_name().to_str().is_some_and(passed_over));
    let mut files = Vec::new();
    for entry in walk {
        let entry = entry.map_err(|error| {
            let (doing, found) = ("looking for bundles in", error.path().unwrap_or(path));
            match error.io_error() {
                Some(cause) => Failure::file(doing, found, cause),
                None => Failure::new(Kind::Failed, format!("{doing} {}", found.display()), error),
            }
        })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|end| end == EXTENSION) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// A sound bundle in a folder: what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// The branch.
    pub branch: NodeName,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its number in it.
    pub sequence: Sequence,
    /// SHA-256 of its manifest.
    pub manifest_sha256: Digest,
    /// SHA-256 of the manifest before it.
    pub previous: Option<Digest>,
    /// True if it is the last part of its cut.
    pub is_last_part: bool,
    /// The file.
    pub path: PathBuf,
}

/// The bundles below `folder` in the order in which they were sealed: branch by branch, epoch by epoch, by
/// sequence. Files that are damaged or cannot be read come apart, with what is wrong with them.
pub fn survey(folder: &Path, identities: &Identities) -> Result<(Vec<Filed>, Vec<Failure>), Failure> {
    let mut bundles = Vec::new();
    let mut damaged = Vec::new();
    for path in find_bundles(folder)? {
        match open_bundle(&path, identities) {
            Ok(bundle) => {
                let manifest = bundle.manifest();
                bundles.push(Filed {
                    branch: manifest.branch.clone(),
                    epoch: manifest.epoch,
                    sequence: manifest.sequence,
                    manifest_sha256: bundle.manifest_sha256(),
                    previous: manifest.previous,
                    is_last_part: manifest.cut.last,
                    path,
                });
            }
            Err(failure) => damaged.push(failure),
        }
    }
    let place = |filed: &Filed| (filed.branch.clone(), filed.epoch, filed.sequence, filed.path.clone());
    bundles.sort_by_cached_key(place);
    Ok((bundles, damaged))
}
