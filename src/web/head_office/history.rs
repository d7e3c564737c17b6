//! The audit trail: which part of it is asked for, and its entries in words.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

use super::action::branch;
use super::matter::wanted_in_words;
use crate::domain::{Failure, Kind};
use crate::head_office::incidents::{Entry, EntryKind, Position, Trail, TrailFilter};
use crate::web::field::{self, given};
use crate::web::words::Moment;

/// Entries on a page.
pub(super) const ENTRIES: usize = 50;
/// Characters of a name that is looked for, at most.
const LONGEST_NAME: usize = 100;

/// What the address asks for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Query {
    pub(super) branch: String,
    pub(super) kind: String,
    pub(super) person: String,
    pub(super) from: String,
    pub(super) until: String,
    pub(super) before: String,
}

impl Query {
    /// The filter; an error says what cannot be read.
    pub(super) fn filter(&self) -> Result<TrailFilter, Failure> {
        let person = self.person.trim();
        if person.chars().count() > LONGEST_NAME {
            return Err(wrong(format!("a name has {LONGEST_NAME} characters at most")));
        }
        let day = |text| field::day(text).map_err(|why| wrong(why.to_owned()));
        let until = day(&self.until)?.map(|day| day.checked_add_days(Days::new(1)).unwrap_or(day));
        Ok(TrailFilter {
            branch: given(&self.branch).map(branch).transpose()?,
            kind: given(&self.kind).map(str::parse).transpose()?,
            person: given(person).map(str::to_owned),
            from: day(&self.from)?.map(midnight),
            until: until.map(midnight),
            after: given(&self.before).map(str::parse).transpose()?,
        })
    }

    /// Something else is asked for than all of it.
    pub(super) fn is_narrow(&self) -> bool {
        let fields = [&self.branch, &self.kind, &self.person, &self.from, &self.until, &self.before];
        fields.into_iter().any(|field| !field.trim().is_empty())
    }

    /// The address of the page that begins here.
    pub(super) fn older(&self, position: &Position) -> String {
        let query = Self { before: position.to_string(), ..self.clone() };
        format!("/incidents?{}#history", serde_urlencoded::to_string(query).unwrap_or_default())
    }

    /// The address of the first page.
    pub(super) fn newest(&self) -> String {
        let query = Self { before: String::new(), ..self.clone() };
        format!("/incidents?{}#history", serde_urlencoded::to_string(query).unwrap_or_default())
    }
}

fn wrong(why: String) -> Failure {
    Failure::new(Kind::Usage, "reading the filter", why)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// An entry as the page shows it.
pub(super) struct EntryView {
    pub(super) at: Moment,
    pub(super) branch: String,
    pub(super) what: String,
    pub(super) by: String,
    pub(super) reason: String,
    /// The class and the words of its badge.
    pub(super) badge: (&'static str, &'static str),
    pub(super) settled_at: Option<Moment>,
    /// Who decided it, and why.
    pub(super) decision: String,
}

/// The entries of a page.
pub(super) fn entries(trail: &Trail) -> Vec<EntryView> {
    trail.entries.iter().map(EntryView::of).collect()
}

impl EntryView {
    fn of(entry: &Entry) -> Self {
        let decision = entry.decision.as_ref().map(|(by, verdict, reason)| {
            let why = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{by}, {verdict}{why}")
        });
        let trouble = entry.trouble.as_deref().map(|trouble| format!("{trouble} ")).unwrap_or_default();
        let by_itself = if entry.kind == EntryKind::Request { "head office itself" } else { "" };
        Self {
            at: Moment(entry.at),
            branch: entry.branch.clone().unwrap_or_else(|| "unknown".to_owned()),
            what: what(entry),
            by: entry.by.clone().unwrap_or_else(|| by_itself.to_owned()),
            reason: format!("{trouble}{}", entry.reason),
            badge: badge(&entry.state),
            settled_at: entry.settled_at.filter(|at| *at != entry.at).map(Moment),
            decision: decision.unwrap_or_default(),
        }
    }
}

fn what(entry: &Entry) -> String {
    let bundle = entry.sequence.map_or_else(|| "a file".to_owned(), |sequence| format!("bundle {sequence}"));
    match entry.kind {
        EntryKind::Rejected => format!("{bundle} was rejected"),
        EntryKind::Held => format!("{bundle} was held for a decision"),
        EntryKind::Divergence => format!("{bundle} found other rows than expected"),
        EntryKind::Approve => format!("{bundle} approved"),
        EntryKind::Reject => format!("{bundle} rejected"),
        EntryKind::Retry => "tried again".to_owned(),
        EntryKind::Request => {
            let wanted = entry.wanted.as_deref().unwrap_or_default();
            format!("asked for {}", wanted_in_words(wanted, entry.sequence.zip(entry.last)))
        }
    }
}

fn badge(state: &str) -> (&'static str, &'static str) {
    match state {
        "open" => ("trouble", "open"),
        "applied" => ("ok", "applied"),
        "put right" => ("ok", "put right"),
        "done" => ("ok", "carried out"),
        "answered" => ("ok", "answered"),
        "waiting" => ("waiting", "under way"),
        "sent" => ("waiting", "sent"),
        "unsent" => ("waiting", "not sent yet"),
        "undone" => ("trouble", "not done"),
        _ => ("idle", "passed by"),
    }
}
