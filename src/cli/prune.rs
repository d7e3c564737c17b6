//! `salesync prune`

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;

use super::args::Prune;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::archive::{Prunable, PruneOptions};
use crate::branch::{Node, prunable_bundles};
use crate::database::{Lock, take_lock};
use crate::domain::{Count, Failure};
use crate::head_office::prunable_files;

#[derive(Debug, Default, Serialize)]
struct Report {
    files: Vec<Line>,
    bytes: u64,
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    file: String,
    bytes: u64,
}

pub(super) fn run(context: &Context, args: &Prune) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    // With so long a time to keep, nothing is old.
    let before = SystemTime::now().checked_sub(args.keep).unwrap_or(SystemTime::UNIX_EPOCH);
    let options = PruneOptions { before, newest_epoch_too: args.newest_epoch_too };
    let mut report = Report { dry_run: args.dry_run, ..Report::default() };
    let outcome = prune(&settings, options, &mut report);
    // What was removed is told also if the rest failed.
    context.print(&report)?;
    outcome.map(|()| Exit::Done)
}

/// The lock is held to the end: nobody else is writing to the archive meanwhile.
fn prune(settings: &Settings, options: PruneOptions, report: &mut Report) -> Result<(), Failure> {
    let mut client = settings.connect_prepared_database("prune")?;
    let prunable = match settings.role {
        Role::Branch => {
            take_lock(&mut client, Lock::Bundle)?;
            let node = Node::load(&mut client, &settings.node, &settings.archive)?;
            prunable_bundles(&mut client, &node, &settings.archive, options)?
        }
        Role::HeadOffice => {
            take_lock(&mut client, Lock::Apply)?;
            prunable_files(&mut client, &settings.archive, options)?
        }
    };
    for file in &prunable {
        if !report.dry_run {
            settings.archive.remove(file)?;
        }
        report.add(file);
    }
    Ok(())
}

impl Report {
    fn add(&mut self, file: &Prunable) {
        self.bytes += file.bytes;
        self.files.push(Line { file: file.path.display().to_string(), bytes: file.bytes });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { file, bytes } in &self.files {
            writeln!(f, "{file}: {bytes} bytes")?;
        }
        let words = if self.dry_run { "would be removed" } else { "removed" };
        writeln!(f, "{} {words}, {}", Count(self.files.len() as u64, "file"), Count(self.bytes, "byte"))
    }
}
