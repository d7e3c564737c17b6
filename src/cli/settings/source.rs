//! The files that the settings were read from, and whether they are still the same.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Role, Settings, branches};

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

    /// The settings, if a file has come, gone or changed since the last time and they can be read. Of those that cannot
    /// it is told once.
    pub(in crate::cli) fn renewed(&mut self, role: Role) -> Option<Settings> {
        if stamps(&self.file) == self.stamps {
            return None;
        }
        *self = Self::of(&self.file);
        let read = Settings::load(Some(&self.file));
        match read.and_then(|settings| settings.require(role).map(|()| settings)) {
            Ok(settings) => {
                tracing::info!("the configuration has changed, and is read again");
                Some(settings)
            }
            Err(failure) => {
                tracing::warn!("{failure}; it goes on with the configuration that it had");
                None
            }
        }
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
