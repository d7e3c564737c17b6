//! `salesync status`

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::args::Status;
use super::context::Context;
use super::count::Count;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::branch_status;
use crate::domain::{Failure, Sequence};
use crate::head_office::{BranchState, branch_states};

pub(super) fn run(context: &Context, args: &Status) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let mut client = settings.connect_prepared_database("status")?;
    let needs_person = match settings.role {
        Role::Branch => {
            let status = branch_status(&mut client)?;
            context.print(&BranchReport { node: settings.node.to_string(), role: "branch", status })?;
            false
        }
        Role::HeadOffice => {
            let report = HeadOfficeReport::new(&settings, &branch_states(&mut client)?);
            context.print(&report)?;
            report.branches.iter().any(BranchLine::needs_person)
        }
    };
    Ok(if args.check && needs_person { Exit::NeedsPerson } else { Exit::Done })
}

#[derive(Debug, Serialize)]
struct BranchReport {
    node: String,
    role: &'static str,
    #[serde(flatten)]
    status: crate::branch::BranchStatus,
}

impl fmt::Display for BranchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |number: Option<i64>| number.map_or_else(|| "none yet".to_owned(), |number| number.to_string());
        writeln!(f, "{}: {} not yet in a bundle", self.node, Count(self.status.unsynced, "changed key"))?;
        writeln!(f, "  sealed, not yet published: {}", self.status.pending)?;
        writeln!(f, "  last bundle published: {}", shown(self.status.last_published))?;
        writeln!(f, "  last bundle proven to be at head office: {}", shown(self.status.last_applied))
    }
}

#[derive(Debug, Serialize)]
struct HeadOfficeReport {
    node: String,
    role: &'static str,
    branches: Vec<BranchLine>,
}

#[derive(Debug, Serialize)]
struct BranchLine {
    branch: String,
    last_sequence: Option<u64>,
    last_applied_at: Option<DateTime<Utc>>,
    held: Vec<i64>,
    missing: Vec<i64>,
    late: bool,
    rejected: i64,
    at_cut: bool,
}

impl HeadOfficeReport {
    fn new(settings: &Settings, states: &[BranchState]) -> Self {
        let line = |state: &BranchState| BranchLine {
            branch: state.name.to_string(),
            last_sequence: state.last_sequence.map(Sequence::get),
            last_applied_at: state.last_applied_at,
            held: state.held.clone(),
            missing: state.missing(),
            late: is_late(settings, state),
            rejected: state.rejected,
            at_cut: state.is_at_cut,
        };
        let branches = states.iter().map(line).collect();
        Self { node: settings.node.to_string(), role: "head-office", branches }
    }
}

/// A branch is late if it has been silent longer than `expect_every`, or for ever.
fn is_late(settings: &Settings, state: &BranchState) -> bool {
    let Some(expected) = settings.branches.get(&state.name).and_then(|branch| branch.expect_every) else {
        return false;
    };
    state
        .last_applied_at
        .is_none_or(|last| (Utc::now() - last).to_std().is_ok_and(|silence| silence > expected))
}

impl BranchLine {
    fn needs_person(&self) -> bool {
        self.late || self.rejected > 0 || !self.held.is_empty()
    }
}

impl fmt::Display for HeadOfficeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, head office of {}",
            self.node,
            self.branches.iter().map(|line| line.branch.as_str()).collect::<Vec<_>>().join(", ")
        )?;
        for line in &self.branches {
            write!(f, "  {}: ", line.branch)?;
            match (line.last_sequence, line.last_applied_at) {
                (Some(sequence), Some(at)) => {
                    write!(
                        f,
                        "bundle {sequence} applied at {}",
                        at.to_rfc3339_opts(SecondsFormat::Secs, true)
                    )?;
                }
                _ => write!(f, "nothing applied yet")?,
            }
            if !line.held.is_empty() {
                write!(f, "; held {:?}, missing {:?}", line.held, line.missing)?;
            }
            if line.rejected > 0 {
                write!(f, "; {} rejected since", line.rejected)?;
            }
            if line.late {
                write!(f, "; LATE")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
