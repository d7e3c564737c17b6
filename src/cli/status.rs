//! `salesync status`

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::args::Status;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::{BranchStatus, branch_status};
use crate::domain::{Count, Failure, KeyStanding, PublicKey, Sequence, TOLERABLE_SKEW_MS};
use crate::head_office::monitor::{Standing, standings};
use crate::head_office::{PresentedKey, presented_keys};

pub(super) fn run(context: &Context, args: &Status) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let mut client = settings.connect_prepared_database("status")?;
    let needs_person = match settings.role {
        Role::Branch => {
            let status = branch_status(&mut client, &settings.amounts)?;
            let needs_person = !status.unapplied.is_empty();
            context.print(&BranchReport { node: settings.node.to_string(), role: "branch", status })?;
            needs_person
        }
        Role::HeadOffice => {
            let standings = standings(&mut client, &settings.expectations(), Utc::now())?;
            let mut keys = presented_keys(&mut client)?;
            let now = Utc::now();
            keys.retain(|shown| {
                settings.enrolment.standing_of(&shown.branch, &shown.key, now) == KeyStanding::Waiting
            });
            context.print(&HeadOfficeReport::new(&settings, &standings, &keys))?;
            standings.iter().any(Standing::needs_person)
        }
    };
    Ok(if args.check && needs_person { Exit::NeedsPerson } else { Exit::Done })
}

#[derive(Debug, Serialize)]
struct BranchReport {
    node: String,
    role: &'static str,
    #[serde(flatten)]
    status: BranchStatus,
}

impl fmt::Display for BranchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = &self.status;
        let shown =
            |number: Option<i64>| number.map_or_else(|| "none yet".to_owned(), |number| number.to_string());
        writeln!(f, "{}: {} not yet in a bundle", self.node, Count(status.unsynced, "changed key"))?;
        writeln!(f, "  sealed, not yet published: {}", status.pending)?;
        writeln!(f, "  last bundle published: {}", shown(status.last_published))?;
        writeln!(f, "  last bundle proven to be at head office: {}", shown(status.last_applied))?;
        match status.proven_through {
            Some(moment) => writeln!(f, "  proven: everything up to {}", time(moment))?,
            None if status.last_applied.is_some() => writeln!(f, "  proven: not every table yet")?,
            None => writeln!(f, "  proven: nothing yet")?,
        }
        for table in &status.unproven {
            let amount =
                table.amount.as_ref().map_or_else(String::new, |amount| format!(", {amount} in all"));
            writeln!(f, "  not proven yet: {} of {}{amount}", Count(table.rows, "row"), table.table)?;
        }
        for bundle in &status.unapplied {
            writeln!(f, "  bundle {} is {}: {}", bundle.sequence, bundle.state, bundle.reason)?;
        }
        match (status.clock.at_least_ms, status.clock.at_most_ms) {
            (Some(least), _) if least > TOLERABLE_SKEW_MS => {
                writeln!(f, "  this clock is behind head office's by {} s or more", least / 1000)
            }
            (_, Some(most)) if most < -TOLERABLE_SKEW_MS => {
                writeln!(f, "  this clock is ahead of head office's by {} s or more", most / -1000)
            }
            _ => Ok(()),
        }
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
    data_as_of: Option<DateTime<Utc>>,
    clock_skew_ms: Option<i64>,
    waiting: Vec<WaitingLine>,
    requests: Vec<RequestLine>,
    keys_waiting: Vec<KeyLine>,
}

/// A key that the branch has shown, and that nobody has confirmed.
#[derive(Debug, Serialize)]
struct KeyLine {
    key_id: String,
    public_key: PublicKey,
    presented_at: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
struct WaitingLine {
    sequence: i64,
    hold: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
struct RequestLine {
    wanted: String,
    first: Option<i64>,
    last: Option<i64>,
    requested_at: DateTime<Utc>,
    sent: bool,
}

impl HeadOfficeReport {
    fn new(settings: &Settings, standings: &[Standing], keys: &[PresentedKey]) -> Self {
        let branches = standings.iter().map(|standing| BranchLine::new(standing, keys)).collect();
        Self { node: settings.node.to_string(), role: "head-office", branches }
    }
}

impl BranchLine {
    fn new(standing: &Standing, keys: &[PresentedKey]) -> Self {
        let state = &standing.state;
        let waiting = state.held.iter().map(|held| WaitingLine {
            sequence: held.sequence,
            hold: held.hold.kind.as_str(),
            reason: held.hold.reason.clone(),
        });
        let requests = state.requests.iter().map(|request| RequestLine {
            wanted: request.wanted.clone(),
            first: request.bundles.map(|(first, _)| first),
            last: request.bundles.map(|(_, last)| last),
            requested_at: request.requested_at,
            sent: request.published_at.is_some(),
        });
        let keys = keys.iter().filter(|shown| shown.branch == state.name).map(|shown| KeyLine {
            key_id: shown.key.id().to_string(),
            public_key: shown.key,
            presented_at: shown.presented_at,
        });
        Self {
            branch: state.name.to_string(),
            last_sequence: state.last_sequence.map(Sequence::get),
            last_applied_at: state.last_applied_at,
            held: state.held.iter().map(|held| held.sequence).collect(),
            missing: state.missing(),
            late: standing.late.is_some(),
            rejected: state.rejected,
            at_cut: state.is_at_cut,
            data_as_of: state.data_as_of,
            clock_skew_ms: state.clock_skew_ms,
            waiting: waiting.collect(),
            requests: requests.collect(),
            keys_waiting: keys.collect(),
        }
    }
}

impl fmt::Display for HeadOfficeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.branches.iter().map(|line| line.branch.as_str()).collect();
        writeln!(f, "{}, head office of {}", self.node, names.join(", "))?;
        self.branches.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

impl fmt::Display for BranchLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: ", self.branch)?;
        match (self.last_sequence, self.last_applied_at) {
            (Some(sequence), Some(at)) => write!(f, "bundle {sequence} applied at {}", time(at))?,
            _ => write!(f, "nothing applied yet")?,
        }
        if !self.held.is_empty() {
            write!(f, "; held {:?}, missing {:?}", self.held, self.missing)?;
        }
        if self.rejected > 0 {
            write!(f, "; {} rejected since", self.rejected)?;
        }
        writeln!(f, "{}", if self.late { "; LATE" } else { "" })?;
        if let Some(ahead) = self.clock_skew_ms.filter(|skew| *skew < -TOLERABLE_SKEW_MS) {
            writeln!(f, "    its clock is ahead by {} s or more", ahead / -1000)?;
        }
        for WaitingLine { sequence, hold, reason } in &self.waiting {
            if *hold != "gap" {
                writeln!(f, "    {sequence} is held: {reason}")?;
            }
        }
        for RequestLine { wanted, first, last, requested_at, sent } in &self.requests {
            let bundles = match (first, last) {
                (Some(first), Some(last)) if first == last => format!(" {first}"),
                (Some(first), Some(last)) => format!(" {first}..{last}"),
                _ => String::new(),
            };
            let sent = if *sent { "" } else { ", not sent yet" };
            writeln!(f, "    asked for {wanted}{bundles} at {}{sent}", time(*requested_at))?;
        }
        if let Some(KeyLine { key_id, public_key, presented_at }) = self.keys_waiting.first() {
            writeln!(
                f,
                "    has shown key {key_id} at {}, not confirmed; once it was compared:",
                time(*presented_at)
            )?;
            writeln!(f, "      salesync enroll {} --confirm {public_key}", self.branch)?;
        }
        Ok(())
    }
}

fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
