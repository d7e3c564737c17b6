//! What `apply` and `replay` report: the verdict on every bundle.

use std::fmt;

use serde::Serialize;

use super::exit::Exit;
use super::progress::Progress;
use crate::domain::{Count, TableEffect};
use crate::head_office::{CarriedOut, Outcome, Verdict};

/// The verdicts of one run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Verdicts {
    applied: Vec<Applied>,
    duplicates: u64,
    held: u64,
    rejected: Vec<Rejected>,
    /// True if everything was rolled back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    check: bool,
    waiting: Vec<Waiting>,
    /// Who is at work and carries out what was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_to: Option<String>,
    #[serde(skip)]
    left: Option<String>,
    #[serde(skip)]
    is_damaged: bool,
    #[serde(skip)]
    progress: Progress,
}

#[derive(Debug, Serialize)]
struct Waiting {
    branch: String,
    sequence: u64,
    hold: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Applied {
    branch: String,
    sequence: u64,
    bundle_id: String,
    rows: u64,
    tombstones: u64,
    tables: Vec<TableEffect>,
}

#[derive(Debug, Serialize)]
struct Rejected {
    branch: Option<String>,
    sequence: Option<u64>,
    reason: String,
}

impl Verdicts {
    /// Verdicts on bundles that were applied and rolled back.
    pub(super) fn of_rehearsal() -> Self {
        Self { check: true, ..Self::default() }
    }

    /// The same, showing how far it is.
    pub(super) fn shown_by(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Adds what became of some bundles.
    pub(super) fn add(&mut self, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            self.add_one(verdict);
        }
        self.progress.of_count(self.applied.len());
    }

    /// No more will be added. They are told by branch, each branch's as they came.
    pub(super) fn end(&mut self) {
        self.progress.clear();
        self.applied.sort_by(|one, other| one.branch.cmp(&other.branch));
        self.waiting.sort_by(|one, other| one.branch.cmp(&other.branch));
        self.rejected.sort_by(|one, other| one.branch.cmp(&other.branch));
    }

    fn add_one(&mut self, verdict: Verdict) {
        let branch = verdict.branch.map(String::from);
        let sequence = verdict.identity.map(|(sequence, _)| sequence.get());
        match verdict.outcome {
            Outcome::Applied(tables) => self.applied.push(Applied {
                branch: branch.unwrap_or_default(),
                sequence: sequence.unwrap_or_default(),
                bundle_id: verdict.identity.map(|(_, id)| id.to_string()).unwrap_or_default(),
                rows: verdict.rows,
                tombstones: verdict.tombstones,
                tables,
            }),
            Outcome::Duplicate => self.duplicates += 1,
            Outcome::Held(hold) => {
                self.held += 1;
                let (branch, sequence) = (branch.unwrap_or_default(), sequence.unwrap_or_default());
                let (hold, reason) = (hold.kind.as_str(), hold.reason);
                self.waiting.push(Waiting { branch, sequence, hold, reason });
            }
            Outcome::Rejected { reason, is_damaged } => {
                self.is_damaged |= is_damaged;
                self.rejected.push(Rejected { branch, sequence, reason });
            }
        }
    }

    /// Another one carries out what was decided.
    pub(super) fn are_left(&mut self, left: &CarriedOut) {
        if let CarriedOut::LeftTo(who) = left {
            self.left_to = Some(who.clone());
            self.left = Some(left.to_string());
        }
    }

    /// How many bundles were applied.
    pub(super) fn applied(&self) -> usize {
        self.applied.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.held == 0 && self.rejected.is_empty() && self.duplicates == 0
    }

    /// A file that could not be read as a bundle at all.
    pub(super) fn add_damaged(&mut self, reason: String) {
        self.is_damaged = true;
        self.rejected.push(Rejected { branch: None, sequence: None, reason });
    }

    /// The exit status these verdicts call for. Files are named by a person who can get them again, so
    /// damage has a status of its own there.
    pub(super) fn exit(&self, are_files: bool) -> Exit {
        if self.is_damaged && are_files {
            Exit::Damaged
        } else if self.rejected.is_empty() && self.held == 0 {
            Exit::Done
        } else {
            Exit::NeedsPerson
        }
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.check { "could be applied" } else { "applied" };
        for Applied { branch, sequence, rows, tombstones, tables, .. } in &self.applied {
            let (rows, tombstones) = (Count(*rows, "row"), Count(*tombstones, "tombstone"));
            writeln!(f, "{branch} {sequence}: {word}, {rows}, {tombstones}")?;
            for table in tables.iter().filter(|table| self.check || table.divergences > 0) {
                let TableEffect { table, inserted, updated, deleted, divergences, .. } = table;
                let found = Count(*divergences, "row");
                writeln!(
                    f,
                    "  {table}: {inserted} inserted, {updated} updated, {deleted} deleted; {found} not as the branch took them to be"
                )?;
            }
        }
        for Waiting { branch, sequence, reason, .. } in &self.waiting {
            writeln!(f, "{branch} {sequence}: held, {reason}")?;
        }
        for Rejected { branch, sequence, reason } in &self.rejected {
            let branch = branch.as_deref().unwrap_or("unknown branch");
            let sequence = sequence.map(|sequence| format!(" {sequence}")).unwrap_or_default();
            writeln!(f, "{branch}{sequence}: rejected, {reason}")?;
        }
        if self.duplicates > 0 {
            writeln!(f, "{} applied before, nothing changed", self.duplicates)?;
        }
        match &self.left {
            Some(words) => writeln!(f, "{words}")?,
            None if self.is_empty() => writeln!(f, "nothing has arrived")?,
            None => {}
        }
        Ok(())
    }
}
