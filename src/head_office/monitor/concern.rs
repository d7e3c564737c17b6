//! What is the matter with a branch, and what to do about it, in a sentence each.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{Count, TOLERABLE_SKEW_MS, span_in_words};
use crate::head_office::branches::{BranchState, HeldBundle};

/// More of a reason than fits a line is on the page of the bundle.
const LONGEST_REASON: usize = 300;

/// How heavy it weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Remark,
    /// Somebody has to do something.
    NeedsPerson,
}

/// Something that is the matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// How heavy it weighs.
    pub weight: Weight,
    /// What it is, in a word or two.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub what: String,
    /// What to do about it, in a sentence.
    pub cure: &'static str,
    /// The command that does it, if there is one.
    pub command: Option<String>,
}

impl Concern {
    fn remark(name: &'static str, what: String, cure: &'static str) -> Self {
        Self { weight: Weight::Remark, name, what, cure, command: None }
    }

    fn needs_person(name: &'static str, what: String, cure: &'static str, command: String) -> Self {
        Self { weight: Weight::NeedsPerson, name, what, cure, command: Some(command) }
    }
}

/// Everything that is the matter with a branch, the heaviest first.
pub(super) fn concerns(state: &BranchState, late: Option<Lateness>) -> Vec<Concern> {
    let name = state.name.as_str();
    let mut concerns = Vec::new();
    concerns.extend(rejected(state));
    concerns.extend(
        state.held.iter().find(|held| held.hold.kind.needs_person()).map(|held| undecided(name, held)),
    );
    concerns.extend(gap(state));
    if concerns.is_empty() {
        concerns.extend(state.held.first().map(|held| waiting(name, held)));
    }
    concerns.extend(late.map(|late| silent(name, late)));
    concerns.extend(remarks(state, late.is_some()));
    concerns
}

/// How late a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// For how long nothing of it was applied, while something could have been expected.
    silence: Duration,
    /// Whether anything ever was.
    pub has_come: bool,
    /// How long it may be silent.
    pub expected: Duration,
    /// When that was over; none if no calendar has that moment.
    pub due: Option<DateTime<Utc>>,
}

impl Lateness {
    /// How late it is, if it is. Its silence begins with what was applied last, and not before head office knew it.
    pub(super) fn of(state: &BranchState, expected: Duration, now: DateTime<Utc>) -> Option<Self> {
        let begin = state.last_applied_at.map_or(state.known_since, |last| last.max(state.known_since));
        // A moment to come is now.
        let silence = (now - begin).to_std().unwrap_or_default();
        let due = TimeDelta::from_std(expected).ok().and_then(|expected| begin.checked_add_signed(expected));
        let has_come = state.last_applied_at.is_some();
        (silence > expected).then_some(Self { silence, has_come, expected, due })
    }
}

fn rejected(state: &BranchState) -> Option<Concern> {
    let verb = if state.rejected == 1 { "was" } else { "were" };
    (state.rejected > 0).then(|| {
        Concern::needs_person(
            "Rejected",
            format!(
                "{} {verb} rejected since the last one that was applied.",
                Count(state.rejected, "bundle")
            ),
            "See why; when the cause is mended, have it tried again, or ask the branch for everything anew.",
            format!("salesync retry {}", state.name),
        )
    })
}

fn undecided(branch: &str, held: &HeldBundle) -> Concern {
    Concern::needs_person(
        "Decide",
        format!("Bundle {} waits for your decision: {}.", held.sequence, shortened(&held.hold.reason)),
        "Approve it, or reject it with a reason.",
        format!("salesync approve {branch} {}", held.sequence),
    )
}

fn shortened(reason: &str) -> String {
    let shown = &reason[..reason.floor_char_boundary(LONGEST_REASON)];
    if shown.len() < reason.len() { format!("{shown} …") } else { shown.to_owned() }
}

/// What it waits for is here, but was rejected, or is not known any more.
fn waiting(branch: &str, held: &HeldBundle) -> Concern {
    Concern::needs_person(
        "Held",
        format!("Bundle {} waits: {}.", held.sequence, shortened(&held.hold.reason)),
        "See what became of the one before it; when the cause is mended, have it tried again.",
        format!("salesync retry {branch}"),
    )
}

fn gap(state: &BranchState) -> Option<Concern> {
    let missing = state.missing();
    let (first, last) = (missing.first()?, missing.last()?);
    let waiting = Count(state.held.len(), "bundle");
    let asked = state.requests.iter().rev().find(|request| request.wanted == "resend");
    let asked = asked.map_or("", |request| match request.published_at {
        Some(_) => " The branch was asked for it.",
        None => " The branch will be asked for it when the broker is there.",
    });
    let (what, range) = match missing.len() {
        1 => (format!("Bundle {first} has not come"), first.to_string()),
        count => (
            format!("{} of {first} to {last} have not come", Count(count, "bundle")),
            format!("{first}..{last}"),
        ),
    };
    let verb = if state.held.len() == 1 { "waits" } else { "wait" };
    Some(Concern::needs_person(
        "Gap",
        format!("{what}, and {waiting} behind {verb} for that.{asked}"),
        "It comes when the branch connects. Bring the file, or ask again.",
        format!("salesync request {} --resend {range}", state.name),
    ))
}

fn silent(branch: &str, late: Lateness) -> Concern {
    let [silence, expected] = [late.silence, late.expected].map(span_in_words);
    let what = if late.has_come {
        format!("Silent for {silence}; expected every {expected}.")
    } else {
        format!("Nothing has ever come from it, known for {silence}; expected every {expected}.")
    };
    Concern::needs_person(
        "Late",
        what,
        "See whether its line is up and salesync runs there. Ask it for a bundle as soon as it connects.",
        format!("salesync request {branch} --sync-now"),
    )
}

fn remarks(state: &BranchState, is_late: bool) -> Vec<Concern> {
    let mut remarks = Vec::new();
    if state.last_sequence.is_none() && state.held.is_empty() && !is_late {
        let what = "Nothing has come from it yet.".to_owned();
        remarks.push(Concern::remark("New", what, "Its first `salesync bundle` brings the whole table."));
    }
    if state.last_sequence.is_some() && !state.is_at_cut {
        let what =
            "A part of its last change set has yet to come: until then nothing is compared.".to_owned();
        remarks.push(Concern::remark("In the middle", what, "It comes with its next bundles."));
    }
    if let Some(ahead) = state.clock_skew_ms.filter(|skew| *skew < -TOLERABLE_SKEW_MS) {
        let what = format!(
            "Its clock is ahead by {} or more.",
            span_in_words(Duration::from_millis(ahead.unsigned_abs()))
        );
        remarks.push(Concern::remark(
            "Clock",
            what,
            "Set the clock there. No bundle depends on it, but its times do.",
        ));
    }
    remarks
}
