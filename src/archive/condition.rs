//! What can be told of an archive before it is needed. Nothing stays that is written here.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use rustix::fs::{StatVfs, statvfs};

use super::{Archive, entries};
use crate::domain::{Check, Failure, Finding, Kind};

/// Less room than this is worth a warning, whatever the bundles are like.
const LITTLE: u64 = 64 << 20;
/// So many times what the next bundle needs should be free.
const COMFORT: u64 = 10;

const MAKE_ROOM: &str = "make room on that disk; `salesync prune` removes old bundles that are proven";

impl Archive {
    /// Whether files can be written to it, and moved from where they are made to where they belong.
    pub fn look_at_folder(&self) -> Result<Vec<Finding>, Failure> {
        let folder = self.nearest();
        let shown = self.root.display();
        // It has no name, and is gone when it is closed.
        if let Err(error) = tempfile::tempfile_in(&folder) {
            let failure = Failure::file("trying to write to", &folder, &error);
            let kind = if failure.kind() == Kind::Permission { Kind::Permission } else { Kind::Failed };
            let cure = failure
                .advice()
                .unwrap_or("archive.dir must name a folder salesync may write to; see what the disk says");
            return Ok(vec![Finding::failed(Check::Archive, kind, failure.to_string(), cure)]);
        }
        if folder != self.root {
            return Ok(vec![Finding::ok(Check::Archive, format!("{shown} is made with the first bundle"))]);
        }
        Ok(vec![match self
            .on_another_disk()
            .map_err(|error| Failure::file("looking at", &self.root, &error))?
        {
            Some(apart) => {
                let what = format!("{} is on another disk than {shown}", apart.display());
                let cure = "a bundle is finished by renaming it, which works on one disk only: mount the whole archive.dir";
                Finding::failed(Check::Archive, Kind::Configuration, what, cure)
            }
            None => Finding::ok(Check::Archive, format!("{shown} can be written to")),
        }])
    }

    /// Whether its disk has room.
    pub fn look_at_space(&self) -> Result<Vec<Finding>, Failure> {
        let disk = self.disk()?;
        let (free, shown) = (free_bytes(&disk), self.root.display());
        let told = format!("{} free for {shown}", in_words(free));
        Ok(vec![if free == 0 || disk.f_files > 0 && disk.f_favail == 0 {
            let what =
                if free == 0 { told } else { format!("no more files can be made on the disk of {shown}") };
            Finding::failed(Check::Space, Kind::Failed, what, MAKE_ROOM)
        } else if free < LITTLE {
            Finding::warning(Check::Space, told, MAKE_ROOM)
        } else {
            Finding::ok(Check::Space, told)
        }])
    }

    /// Whether there is room for so many bytes, which `what` is about to need.
    pub fn look_at_room(&self, needed: u64, what: &str) -> Result<Finding, Failure> {
        let free = free_bytes(&self.disk()?);
        let told = format!("{what} about {}, and {} are free", in_words(needed), in_words(free));
        Ok(if free < needed {
            Finding::failed(Check::NextBundle, Kind::Failed, told, MAKE_ROOM)
        } else if free / COMFORT < needed {
            Finding::warning(Check::NextBundle, told, MAKE_ROOM)
        } else {
            Finding::ok(Check::NextBundle, told)
        })
    }

    fn disk(&self) -> Result<StatVfs, Failure> {
        let folder = self.nearest();
        statvfs(&folder)
            .map_err(|error| Failure::file("measuring the disk of", &folder, &io::Error::from(error)))
    }

    /// The folder, or where it will be made.
    fn nearest(&self) -> PathBuf {
        let there = self.root.ancestors().find(|folder| folder.is_dir());
        there.map_or_else(|| self.root.clone(), Path::to_owned)
    }

    /// What is in it on a disk of its own, if anything is.
    fn on_another_disk(&self) -> io::Result<Option<PathBuf>> {
        let disk = fs::metadata(&self.root)?.dev();
        let folders = entries(&self.root).unwrap_or_default();
        Ok(folders
            .into_iter()
            .find(|path| fs::metadata(path).is_ok_and(|there| there.is_dir() && there.dev() != disk)))
    }
}

fn free_bytes(disk: &StatVfs) -> u64 {
    disk.f_bavail.saturating_mul(disk.f_frsize)
}

fn in_words(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}
