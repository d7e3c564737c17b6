//! Files and folders that last, and what is in them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::domain::{Digest, Failure};

/// Makes the folder and those above it that are missing, so that they last: the entry of each is synced.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(missing) = parent.filter(|parent| !parent.is_dir()) {
        make_folder(missing)?;
    }
    match DirBuilder::new().mode(0o750).create(folder) {
        Err(error) if !folder.is_dir() => Err(Failure::file("making the folder", folder, &error)
            .hint("archive.dir must name a folder salesync may write to")),
        _ => parent.map_or(Ok(()), sync_folder),
    }
}

/// When a file of an archive was put there: it has not been written to since.
pub fn arrived_at(path: &Path) -> Result<DateTime<Utc>, Failure> {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.map(DateTime::from).map_err(|error| Failure::file("looking at", path, &error))
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), Failure> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Failure::file("syncing the folder", folder, &error))
}

/// SHA-256 of a whole file.
pub fn digest_of(path: &Path) -> Result<Digest, Failure> {
    let digest = File::open(path).and_then(|mut file| content_digest(&mut file));
    digest.map_err(|error| Failure::file("reading", path, &error))
}

/// SHA-256 of the rest of a file.
pub(super) fn content_digest(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = [0; 8192];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::from_hasher(hasher)),
            count => hasher.update(&buffer[..count]),
        }
    }
}

pub(super) fn same_content(one: &mut File, path: &Path) -> io::Result<bool> {
    let mut other = File::open(path)?;
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    one.seek(SeekFrom::Start(0))?;
    let (mut left, mut right) = ([0; 8192], [0; 8192]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}
