//! Something that is open, in words: what happened, what it means, what can be done.

use std::fmt::Display;

use super::action::{Action, What};
use crate::domain::{Count, NodeName, Sequence, Wanted, span_in_words};
use crate::head_office::incidents::{Matter, MatterKind, Open, OpenDecision};
use crate::head_office::{HoldKind, OpenRequest};
use crate::web::words::{Moment, grouped};

/// More numbers of bundles are not listed one by one.
const MOST_NUMBERS: usize = 8;

/// Something that is open, as the page shows it.
pub(super) struct MatterView {
    /// Its anchor on the page.
    pub(super) id: String,
    /// The class and the word of its badge.
    pub(super) badge: (&'static str, &'static str),
    pub(super) title: String,
    pub(super) since: Option<Moment>,
    /// The numbers it is about.
    pub(super) figures: Option<String>,
    /// What it means, sentence by sentence.
    pub(super) sentences: Vec<String>,
    /// Why, in the words of who has noted it.
    pub(super) reason: String,
    pub(super) file: Option<String>,
    pub(super) buttons: Vec<Button>,
}

/// Something that can be done about it.
pub(super) struct Button {
    pub(super) label: String,
    pub(super) is_danger: bool,
    /// It leads to a question first.
    pub(super) asks_first: bool,
    pub(super) question: String,
    pub(super) fields: Vec<(&'static str, String)>,
    /// The same on the command line.
    pub(super) command: String,
}

impl Button {
    fn of(action: &Action) -> Self {
        let label = match action.what {
            What::Approve(..) => "Approve…".to_owned(),
            What::Reject(..) => "Reject…".to_owned(),
            What::Retry(_) => "Try again".to_owned(),
            What::Ask(Wanted::Resend { first, last, .. }) if first == last => {
                format!("Ask for bundle {first} again")
            }
            What::Ask(Wanted::Resend { first, last, .. }) => format!("Ask for {first} to {last} again"),
            What::Ask(Wanted::Full) => "Ask for everything…".to_owned(),
            What::Ask(Wanted::Sync) => "Ask for a bundle now".to_owned(),
        };
        Self {
            label,
            is_danger: action.is_grave(),
            asks_first: action.asks_first(),
            question: action.question(),
            fields: action.fields(),
            command: action.command(),
        }
    }
}

impl MatterView {
    pub(super) fn of(matter: &Matter, open: &Open) -> Self {
        let branch = matter.branch.to_string();
        let told = told(matter);
        let actions = actions(matter).into_iter().map(|what| {
            let decision = match what {
                What::Ask(_) => open.newest_request(&matter.branch),
                _ => open.newest_decision(&matter.branch),
            };
            Action { branch: matter.branch.clone(), what, decision: Some(decision) }
        });
        let file = match &matter.kind {
            MatterKind::Rejected { file, .. } => file.clone(),
            _ => None,
        };
        Self {
            id: format!("{branch}-{}", told.anchor),
            badge: told.badge,
            title: format!("{branch}: {}", told.title),
            since: matter.since.map(Moment),
            figures: figures(matter),
            sentences: told.sentences,
            reason: matter.reason.clone(),
            file,
            buttons: actions.map(|action| Button::of(&action)).collect(),
        }
    }
}

struct Told {
    anchor: String,
    badge: (&'static str, &'static str),
    title: String,
    sentences: Vec<String>,
}

fn told(matter: &Matter) -> Told {
    let branch = &matter.branch;
    let (anchor, badge, title, mut sentences) = match &matter.kind {
        MatterKind::Held { sequence, hold, .. } => {
            let title = format!("bundle {sequence} waits for a decision");
            (format!("held-{sequence}"), ("trouble", "held"), title, vec![held_sentence(*hold, branch)])
        }
        MatterKind::Rejected { sequence, incident, times, is_fork, .. } => {
            let title = match sequence {
                Some(sequence) => format!("bundle {sequence} was rejected"),
                None => "a damaged file was rejected".to_owned(),
            };
            let mut sentences = vec![rejected_sentence(*is_fork, sequence.is_some(), branch)];
            if *times > 1 {
                sentences.push(format!("It was rejected {}.", Count(*times, "time")));
            }
            let badge = ("trouble", if *is_fork { "fork" } else { "rejected" });
            (format!("rejected-{incident}"), badge, title, sentences)
        }
        MatterKind::Undone(decision) => {
            let title = format!("a decision could not be carried out: {}", in_words(decision));
            let sentences = vec![format!("{} had decided it. Nothing was changed by it.", decision.by)];
            ("undone".to_owned(), ("trouble", "not done"), title, sentences)
        }
        MatterKind::Gap { missing, asked } => gap(branch, missing, asked.as_ref()),
        MatterKind::Late(late) => {
            let expected = span_in_words(late.expected);
            let came = if late.has_come { "has been applied since" } else { "has ever come" };
            let title = "silent for too long".to_owned();
            let sentences = vec![
                format!("A bundle is expected every {expected}, and none {came}. What was sold there meanwhile is not here."),
                "See whether its line is up and salesync runs there. Asked for a bundle, it answers as soon as it connects."
                    .to_owned(),
            ];
            ("late".to_owned(), ("late", "late"), title, sentences)
        }
        MatterKind::Undecided(decision) => {
            let title = format!("{}, recorded", in_words(decision));
            let sentences = vec![format!(
                "{} has decided it. It is carried out at once, or by the apply that is at work, or by the next.",
                decision.by
            )];
            ("decided".to_owned(), ("waiting", "under way"), title, sentences)
        }
        MatterKind::Asked(request) => {
            let title = format!("asked for {}", wanted(request));
            let sentences = vec![if request.published_at.is_some() {
                format!("{branch} answers when it connects.")
            } else {
                "It is not sent yet: it goes when the broker is there.".to_owned()
            }];
            let anchor = format!("asked-{}", request.requested_at.timestamp_micros());
            (anchor, ("waiting", "asked"), title, sentences)
        }
    };
    if !matter.behind.is_empty() && !matches!(matter.kind, MatterKind::Gap { .. }) {
        let verb = if matter.behind.len() == 1 { "waits" } else { "wait" };
        let behind = numbers(&matter.behind);
        sentences.push(format!("{branch}'s later {behind} {verb} behind it. Other branches go on."));
    }
    Told { anchor, badge, title, sentences }
}

fn figures(matter: &Matter) -> Option<String> {
    let MatterKind::Held { deletion: Some(deletion), .. } = &matter.kind else { return None };
    let (deleted, of) = (grouped(&deletion.deleted), grouped(&deletion.of));
    Some(format!("{deleted} of {of} rows of {} would be deleted.", matter.branch))
}

fn held_sentence(hold: HoldKind, branch: &NodeName) -> String {
    match hold {
        HoldKind::Deletion => format!(
            "Head office's rows stay as they are until somebody decides. If they were meant to go, approve. If a wrong restore \
             or a mistake is behind it, reject: {branch} is told, and has to say everything anew."
        ),
        HoldKind::Schema => format!(
            "The tables of {branch} do not fit head office's. Make them fit and try again, or approve what is said below."
        ),
        HoldKind::Gap => "It waits for an earlier one.".to_owned(),
    }
}

fn rejected_sentence(is_fork: bool, is_readable: bool, branch: &NodeName) -> String {
    match (is_fork, is_readable) {
        (true, _) => format!(
            "Two different bundles claim the same place: {branch} was restored from a backup, or somebody else speaks in its \
             name. Find out which before anything else; then ask it for everything."
        ),
        (false, true) => format!(
            "It is not applied, and kept for inspection. If the cause is at head office, mend it and try again. If the rows are \
             wrong, mend them at {branch}, and ask it for everything."
        ),
        (false, false) => {
            "It cannot be read as a bundle, and is kept for inspection. Ask for the bundle again: a good copy takes its place."
                .to_owned()
        }
    }
}

fn gap(
    branch: &NodeName,
    missing: &[(i64, i64)],
    asked: Option<&OpenRequest>,
) -> (String, (&'static str, &'static str), String, Vec<String>) {
    let ranges: Vec<String> = missing.iter().take(MOST_NUMBERS).map(|range| range_in_words(*range)).collect();
    let more = if missing.len() > MOST_NUMBERS { " and more" } else { "" };
    if missing.is_empty() {
        let sentences = vec![
            "What it waits for is here or was rejected; the next salesync apply goes on, or try again."
                .to_owned(),
        ];
        return (
            "gap".to_owned(),
            ("trouble", "held"),
            "bundles wait for an earlier one".to_owned(),
            sentences,
        );
    }
    let is_one = matches!(missing, [(first, last)] if first == last);
    let (noun, verb) = if is_one { ("bundle", "has") } else { ("the bundles", "have") };
    let title = format!("{noun} {}{more} {verb} not come", ranges.join(", "));
    let mut sentences = vec!["What came after waits for that. Other branches go on.".to_owned()];
    sentences.push(match asked {
        Some(OpenRequest { published_at: Some(at), .. }) => format!(
            "{branch} was asked for it ({}), and answers when it connects. A file on a stick does as well: salesync apply FILE.",
            Moment(*at).clock()
        ),
        Some(_) => "The request is not sent yet: it goes when the broker is there.".to_owned(),
        None => format!("{branch} is asked for it by the next salesync apply."),
    });
    ("gap".to_owned(), ("trouble", "gap"), title, sentences)
}

fn in_words(decision: &OpenDecision) -> String {
    match (decision.verdict.as_str(), decision.sequence) {
        ("approve", Some(sequence)) => format!("bundle {sequence} approved"),
        ("reject", Some(sequence)) => format!("bundle {sequence} rejected"),
        _ => "tried again".to_owned(),
    }
}

/// What was asked for, as the end of a sentence.
pub(super) fn wanted(request: &OpenRequest) -> String {
    wanted_in_words(&request.wanted, request.bundles)
}

/// The same of its parts.
pub(super) fn wanted_in_words(wanted: &str, bundles: Option<(i64, i64)>) -> String {
    match (wanted, bundles) {
        ("full", _) => "everything".to_owned(),
        ("sync", _) => "a bundle now".to_owned(),
        (_, Some((first, last))) if first == last => format!("bundle {first} again"),
        (_, Some(range)) => format!("the bundles {} again", range_in_words(range)),
        (other, None) => other.to_owned(),
    }
}

fn range_in_words((first, last): (i64, i64)) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

pub(super) fn numbers(sequences: &[i64]) -> String {
    let shown: Vec<String> = sequences.iter().take(MOST_NUMBERS).map(i64::to_string).collect();
    let noun: &dyn Display = if sequences.len() == 1 { &"bundle" } else { &"bundles" };
    let more = sequences.len().saturating_sub(MOST_NUMBERS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{noun} {}{more}", shown.join(", "))
}

/// What can be done about it.
fn actions(matter: &Matter) -> Vec<What> {
    let again = |first: i64, last: i64| {
        let (first, last) = (Sequence::from_bigint(first)?, Sequence::from_bigint(last)?);
        Some(What::Ask(Wanted::Resend { epoch: None, first, last }))
    };
    match &matter.kind {
        MatterKind::Held { epoch, sequence, hold, .. } => match Sequence::from_bigint(*sequence) {
            Some(sequence) => vec![
                What::Approve(*epoch, sequence, *hold),
                What::Reject(*epoch, sequence, *hold),
                What::Retry(None),
            ],
            None => Vec::new(),
        },
        MatterKind::Rejected { sequence, incident, is_fork, .. } => {
            let mut actions = vec![What::Retry(Some(*incident))];
            match sequence.and_then(|sequence| again(sequence, sequence)) {
                Some(again) if !is_fork => actions.push(again),
                Some(_) => {}
                None => actions = vec![What::Ask(Wanted::Sync)],
            }
            actions.push(What::Ask(Wanted::Full));
            actions
        }
        MatterKind::Undone(_) => vec![What::Retry(None)],
        MatterKind::Gap { missing, .. } => {
            match missing.first().and_then(|(first, last)| again(*first, *last)) {
                Some(again) => vec![again, What::Ask(Wanted::Full)],
                None => vec![What::Retry(None)],
            }
        }
        MatterKind::Late(_) => vec![What::Ask(Wanted::Sync)],
        MatterKind::Undecided(_) | MatterKind::Asked(_) => Vec::new(),
    }
}
