//! The files that the settings were read from, and whether they are still the same.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::branches;

/// The files, as they were.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Source {
    file: PathBuf,
    stamps: Vec<Stamp>,
}

/// A file, and what tells it from another in its place: inode, length, and time of the last change.
type Stamp = (PathBuf, Option<(u64, u64, i64, i64)>);

impl Source {
    /// The configuration in `file`, as it is now: to be called before it is read.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), stamps: stamps(file) }
    }

    /// The configuration file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The same, as they are now.
    pub(in crate::cli) fn renewed(&self) -> Self {
        Self::of(&self.file)
    }

    /// Whether one has come, gone or changed since.
    pub(in crate::cli) fn has_changed(&self) -> bool {
        stamps(&self.file) != self.stamps
    }
}

/// What cannot be looked at is told by whoever reads it.
fn stamps(file: &Path) -> Vec<Stamp> {
    let folder = branches::folder(file.parent().unwrap_or(Path::new(".")));
    let stamp = |path: PathBuf| {
        let metadata = fs::metadata(&path).ok();
        let marks = metadata.map(|it| (it.ino(), it.len(), it.mtime(), it.mtime_nsec()));
        (path, marks)
    };
    let all = branches::files(&folder).unwrap_or_default();
    [file.to_owned()].into_iter().chain(all).map(stamp).collect()
}
