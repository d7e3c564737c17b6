//! What somebody can do about an incident: as a button, as an address, as a form that comes back.

use serde::Deserialize;

use crate::domain::{Epoch, Failure, Kind, NodeName, Sequence, Wanted};
use crate::head_office::{HoldKind, Ruling, Seen};

/// Where buttons lead.
pub(super) const INCIDENTS: &str = "/incidents";
/// Where those lead that ask first.
const QUESTION: &str = "/incidents/confirm";
/// Characters of a reason, at most.
const LONGEST_REASON: usize = 500;

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// This bundle, held for this, may pass.
    Approve(Epoch, Sequence, HoldKind),
    /// This bundle, held for this, is rejected.
    Reject(Epoch, Sequence, HoldKind),
    /// What comes next is tried again; seen from this incident, if it is one.
    Retry(Option<i64>),
    /// The branch is asked for something.
    Ask(Wanted),
}

/// Something to be done about a branch, by somebody who has seen its newest decision.
#[derive(Debug, Clone)]
pub(super) struct Action {
    pub(super) branch: NodeName,
    pub(super) what: What,
    /// The newest decision of that sort; none if it is yet to be looked up.
    pub(super) decision: Option<i64>,
}

/// The same as fields of a form or an address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    branch: String,
    verdict: String,
    seen: String,
    epoch: String,
    sequence: String,
    hold: String,
    incident: String,
    first: String,
    last: String,
    /// Why.
    reason: String,
    /// It is the answer to the question.
    confirmed: String,
}

impl Fields {
    /// What is to be done.
    pub(super) fn action(&self) -> Result<Action, Failure> {
        let what = match self.verdict.as_str() {
            "approve" => What::Approve(self.epoch()?, self.sequence()?, self.hold()?),
            "reject" => What::Reject(self.epoch()?, self.sequence()?, self.hold()?),
            "retry" => What::Retry(number("the incident", &self.incident)?),
            "resend" => What::Ask(self.bundles()?),
            "full" => What::Ask(Wanted::Full),
            "sync" => What::Ask(Wanted::Sync),
            other => return Err(wrong(format!("nothing is called {other:?} here"))),
        };
        Ok(Action { branch: branch(&self.branch)?, what, decision: number("the last decision", &self.seen)? })
    }

    /// Why, if it is said.
    pub(super) fn reason(&self) -> Result<Option<String>, Failure> {
        let reason = self.reason.trim();
        if reason.chars().count() > LONGEST_REASON {
            return Err(wrong(format!("a reason has {LONGEST_REASON} characters at most")));
        }
        Ok((!reason.is_empty()).then(|| reason.to_owned()))
    }

    /// It is the answer to the question.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed == "yes"
    }

    fn epoch(&self) -> Result<Epoch, Failure> {
        self.epoch.parse().map_err(|_| wrong("this is no epoch".to_owned()))
    }

    fn sequence(&self) -> Result<Sequence, Failure> {
        sequence("the bundle", &self.sequence)
    }

    fn hold(&self) -> Result<HoldKind, Failure> {
        HoldKind::named(&self.hold).ok_or_else(|| wrong("this is nothing that a bundle waits for".to_owned()))
    }

    fn bundles(&self) -> Result<Wanted, Failure> {
        let first = sequence("the first bundle", &self.first)?;
        let last = if self.last.trim().is_empty() { first } else { sequence("the last bundle", &self.last)? };
        if last < first {
            return Err(wrong("the last bundle comes before the first".to_owned()));
        }
        Ok(Wanted::Resend { epoch: None, first, last })
    }
}

/// The branch with this name.
pub(super) fn branch(name: &str) -> Result<NodeName, Failure> {
    name.parse().map_err(|failure: Failure| failure.as_kind(Kind::Usage))
}

fn wrong(why: String) -> Failure {
    Failure::new(Kind::Usage, "reading what is to be done", why)
}

fn sequence(what: &str, text: &str) -> Result<Sequence, Failure> {
    let number = number(what, text)?.and_then(Sequence::from_bigint);
    number.ok_or_else(|| wrong(format!("{what} is missing; it is a number from 1 on")))
}

/// None if there is nothing.
fn number(what: &str, text: &str) -> Result<Option<i64>, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| wrong(format!("{what} must be a number")))
}

impl Action {
    /// It cannot be taken back, so it asks first.
    pub(super) fn asks_first(&self) -> bool {
        matches!(self.what, What::Approve(..) | What::Reject(..) | What::Ask(Wanted::Full))
    }

    /// Rows, or much of the line, are lost by it.
    pub(super) fn is_grave(&self) -> bool {
        matches!(
            self.what,
            What::Approve(_, _, HoldKind::Deletion) | What::Reject(..) | What::Ask(Wanted::Full)
        )
    }

    /// What is decided on bundles; none if something is asked for.
    pub(super) fn ruling(&self) -> Option<Ruling> {
        match self.what {
            What::Approve(_, sequence, _) => Some(Ruling::Approve(sequence)),
            What::Reject(_, sequence, _) => Some(Ruling::Reject(sequence)),
            What::Retry(_) => Some(Ruling::Retry),
            What::Ask(_) => None,
        }
    }

    /// What was before the eyes of who decides.
    pub(super) fn seen(&self) -> Result<Seen, Failure> {
        let decision = self.decision.ok_or_else(|| wrong("it does not say what was seen".to_owned()))?;
        let (held, incident) = match self.what {
            What::Approve(epoch, _, hold) | What::Reject(epoch, _, hold) => (Some((epoch, hold)), None),
            What::Retry(incident) => (None, incident),
            What::Ask(_) => (None, None),
        };
        Ok(Seen { decision, held, incident })
    }

    /// The fields of a form that does this.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("branch", self.branch.to_string())];
        let mut add = |name, value: String| fields.push((name, value));
        match self.what {
            What::Approve(epoch, sequence, hold) | What::Reject(epoch, sequence, hold) => {
                add("epoch", epoch.to_string());
                add("sequence", sequence.to_string());
                add("hold", hold.as_str().to_owned());
            }
            What::Retry(Some(incident)) => add("incident", incident.to_string()),
            What::Ask(Wanted::Resend { first, last, .. }) => {
                add("first", first.to_string());
                add("last", last.to_string());
            }
            What::Retry(None) | What::Ask(_) => {}
        }
        add("verdict", self.verdict().to_owned());
        if let Some(decision) = self.decision {
            add("seen", decision.to_string());
        }
        fields
    }

    /// The page that asks whether it is to be done.
    pub(super) fn question(&self) -> String {
        format!("{QUESTION}?{}", serde_urlencoded::to_string(self.fields()).unwrap_or_default())
    }

    /// The same on the command line.
    pub(super) fn command(&self) -> String {
        let branch = &self.branch;
        match self.what {
            What::Approve(_, sequence, _) => format!("salesync approve {branch} {sequence}"),
            What::Reject(_, sequence, _) => format!("salesync reject {branch} {sequence} --reason '…'"),
            What::Retry(_) => format!("salesync retry {branch}"),
            What::Ask(Wanted::Resend { first, last, .. }) if first == last => {
                format!("salesync request {branch} --resend {first}")
            }
            What::Ask(Wanted::Resend { first, last, .. }) => {
                format!("salesync request {branch} --resend {first}..{last}")
            }
            What::Ask(Wanted::Full) => format!("salesync request {branch} --full"),
            What::Ask(Wanted::Sync) => format!("salesync request {branch} --sync-now"),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.what {
            What::Approve(..) => "approve",
            What::Reject(..) => "reject",
            What::Retry(_) => "retry",
            What::Ask(wanted) => wanted.as_str(),
        }
    }

    /// What is said once it is done.
    pub(super) fn done(&self) -> String {
        let branch = &self.branch;
        match self.what {
            What::Approve(_, sequence, _) => format!("Recorded: bundle {sequence} of {branch} is approved."),
            What::Reject(_, sequence, _) => format!("Recorded: bundle {sequence} of {branch} is rejected."),
            What::Retry(_) => format!("Recorded: what waits of {branch} is tried again."),
            What::Ask(wanted) => {
                format!("Recorded: {branch} is asked for {wanted}. It answers when it connects.")
            }
        }
    }
}
