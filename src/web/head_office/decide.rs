//! Somebody decides on a page: the question that is asked first, and what is done.

use askama::Template;
use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Utc;
use postgres::Client;

use super::action::{Action, Fields, INCIDENTS, What};
use super::incidents::head_office;
use super::matter::numbers;
use crate::domain::{Count, Epoch, Failure, Kind, NodeName, Sequence, Wanted};
use crate::head_office::incidents::{
    BundleSize, FullSize, Matter, MatterKind, bundle_size, full_size, open_matters,
};
use crate::head_office::monitor::Expectations;
use crate::head_office::{Decider, decide, request};
use crate::web::form::{Asked, Posted};
use crate::web::page::{Frame, go_to, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{grouped, size};

/// Where somebody wrote nothing who had to.
const NO_REASON: &str = "Say why: the branch is told, and it stands in the audit trail.";

#[derive(Template)]
#[template(path = "head_office/question.html")]
struct Question {
    frame: Frame,
    /// Where it leads who does not want it.
    back: String,
    fields: Vec<(&'static str, String)>,
    command: String,
    is_danger: bool,
    needs_reason: bool,
    reason: String,
    error: Option<&'static str>,
    words: Words,
}

/// What is asked.
struct Words {
    title: String,
    sentences: Vec<String>,
    /// Why it is held.
    hold: Option<String>,
    /// What stands on the button.
    label: String,
}

/// `GET /incidents/confirm`
pub(super) async fn question(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(fields): Asked<Fields>,
) -> Result<Response, Trouble> {
    if !viewer.may_operate {
        return Err(Failure::new(Kind::Permission, "deciding", "you may look, and change nothing").into());
    }
    ask(&state, viewer, &fields, None).await
}

/// `POST /incidents`
pub(super) async fn act(
    extract::State(state): extract::State<State>,
    Posted { viewer, form }: Posted<Fields>,
) -> Result<Response, Trouble> {
    let site = head_office(&state)?;
    let (action, reason) = (form.action()?, form.reason()?);
    let needs_reason = matches!(action.what, What::Reject(..)) && reason.is_none();
    if action.asks_first() && !form.is_confirmed() || needs_reason {
        let error = (needs_reason && form.is_confirmed()).then_some(NO_REASON);
        let mut asked = ask(&state, viewer, &form, error).await?;
        if error.is_some() {
            *asked.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        return Ok(asked);
    }
    let (back, said) = (back(&action.branch), action.done());
    let (archive, name) = (state.archive.clone(), format!("{} (page)", viewer.name));
    let seen = Some(action.seen()?);
    let record = move |client: &mut Client| {
        let by = Decider { name: &name, reason: reason.as_deref(), seen };
        match (action.ruling(), action.what) {
            (Some(ruling), _) => decide(client, &archive, &action.branch, ruling, by).map(drop),
            (None, What::Ask(wanted)) => request(client, &action.branch, wanted, by).map(drop),
            (None, _) => Ok(()),
        }
    };
    state.databases.write(record).await?;
    site.follow_up.begin(&state);
    Ok(go_to(&back, said))
}

fn back(branch: &NodeName) -> String {
    format!("{INCIDENTS}?branch={branch}")
}

async fn ask(
    state: &State,
    viewer: Viewer,
    fields: &Fields,
    error: Option<&'static str>,
) -> Result<Response, Trouble> {
    let mut action = fields.action()?;
    let known = head_office(state)?.branches();
    let about = action.clone();
    let found = state.databases.read(move |client| Found::by(client, &known.expect_every, &about)).await?;
    let Some(found) = found else { return Err(Trouble::NotFound) };
    action.decision = action.decision.or(Some(found.newest));
    let words = found.words(&action)?;
    render(&Question {
        frame: Frame::new(state, viewer, "Decide", INCIDENTS),
        back: back(&action.branch),
        fields: action.fields(),
        command: action.command(),
        is_danger: action.is_grave(),
        needs_reason: matches!(action.what, What::Reject(..)),
        reason: fields.reason()?.unwrap_or_default(),
        error,
        words,
    })
}

/// What the question needs to know.
struct Found {
    /// The newest decision of the sort that is to be taken.
    newest: i64,
    matters: Vec<Matter>,
    bundle: Option<BundleSize>,
    full: Option<FullSize>,
}

impl Found {
    /// None if there is no such branch.
    fn by(client: &mut Client, expected: &Expectations, action: &Action) -> Result<Option<Self>, Failure> {
        let branch = &action.branch;
        let open = open_matters(client, expected, Some(branch), Utc::now())?;
        if !open.branches.contains(branch) {
            return Ok(None);
        }
        let (bundle, full) = match action.what {
            What::Reject(epoch, sequence, _) => {
                let bundle = bundle_size(client, branch, epoch, sequence.as_bigint())?;
                (bundle, full_size(client, branch)?)
            }
            What::Ask(Wanted::Full) => (None, full_size(client, branch)?),
            _ => (None, None),
        };
        let newest = match action.what {
            What::Ask(_) => open.newest_request(branch),
            _ => open.newest_decision(branch),
        };
        Ok(Some(Self { newest, matters: open.matters, bundle, full }))
    }

    fn words(&self, action: &Action) -> Result<Words, Failure> {
        let branch = &action.branch;
        let plain = |title: String, sentence: String, label: &str| Words {
            title,
            sentences: vec![sentence],
            hold: None,
            label: label.to_owned(),
        };
        Ok(match action.what {
            What::Approve(epoch, sequence, _) => self.approving(branch, epoch, sequence)?,
            What::Reject(epoch, sequence, _) => self.rejecting(branch, epoch, sequence)?,
            What::Retry(_) => plain(
                format!("Try again what waits of {branch}?"),
                "The rejected or held bundle whose turn it is, is tried, and then what waits behind it.".to_owned(),
                "Try again",
            ),
            What::Ask(Wanted::Full) => self.asking_for_all(branch),
            What::Ask(Wanted::Sync) => plain(
                format!("Ask {branch} for a bundle now?"),
                "It answers when it connects, also if nothing was sold.".to_owned(),
                "Ask for a bundle now",
            ),
            What::Ask(wanted) => plain(
                format!("Ask {branch} for {wanted}?"),
                "It publishes the same bytes again when it connects. What is here already is not applied twice.".to_owned(),
                "Ask again",
            ),
        })
    }

    fn held(&self, branch: &NodeName, epoch: Epoch, sequence: Sequence) -> Result<&Matter, Failure> {
        let is_it = |matter: &&Matter| match matter.kind {
            MatterKind::Held { epoch: of, sequence: number, .. } => {
                (of, number) == (epoch, sequence.as_bigint())
            }
            _ => false,
        };
        self.matters.iter().find(is_it).ok_or_else(|| {
            let doing = format!("deciding on bundle {sequence} of {branch}");
            Failure::new(Kind::NeedsPerson, doing, "it is not held any more")
                .hint("nothing was changed; look at the branch as it is now")
        })
    }

    fn approving(&self, branch: &NodeName, epoch: Epoch, sequence: Sequence) -> Result<Words, Failure> {
        let held = self.held(branch, epoch, sequence)?;
        let mut sentences = Vec::new();
        let mut label = format!("Approve bundle {sequence}");
        if let MatterKind::Held { deletion: Some(deletion), .. } = &held.kind {
            let (deleted, of) = (grouped(&deletion.deleted), grouped(&deletion.of));
            sentences
                .push(format!("{deleted} of {of} rows of {branch} in {} will be deleted.", deletion.table));
            label = format!("Approve: delete {deleted} rows");
        }
        sentences.push(
            "All parts of its change set may pass. What is deleted comes back only from the branch."
                .to_owned(),
        );
        if !held.behind.is_empty() {
            sentences.push(format!("It lets in what waits behind it: {}.", numbers(&held.behind)));
        }
        Ok(Words {
            title: format!("Approve bundle {sequence} of {branch}?"),
            sentences,
            hold: Some(held.reason.clone()),
            label,
        })
    }

    fn rejecting(&self, branch: &NodeName, epoch: Epoch, sequence: Sequence) -> Result<Words, Failure> {
        let held = self.held(branch, epoch, sequence)?;
        let mut sentences = Vec::new();
        if let Some(BundleSize { rows, tombstones, bytes }) = self.bundle {
            let (rows, tombstones) = (counted(rows, "row"), counted(tombstones, "tombstone"));
            let size = size(bytes.unsigned_abs());
            sentences.push(format!("Nothing of it is applied: {rows} and {tombstones}, {size}."));
        }
        sentences.push(format!("{branch} is told, and has to send everything again: {}.", self.about_all()));
        if !held.behind.is_empty() {
            sentences.push(format!("What waits behind it is never applied: {}.", numbers(&held.behind)));
        }
        Ok(Words {
            title: format!("Reject bundle {sequence} of {branch}?"),
            sentences,
            hold: Some(held.reason.clone()),
            label: format!("Reject bundle {sequence}"),
        })
    }

    fn asking_for_all(&self, branch: &NodeName) -> Words {
        let mut sentences = vec![
            format!("The branch sends everything again: {}.", self.about_all()),
            "It begins anew with bundle 1 of a new epoch; what waits here of the present one is passed by."
                .to_owned(),
        ];
        if self.matters.iter().any(|matter| matches!(matter.kind, MatterKind::Held { .. })) {
            sentences.push("A bundle that waits for a decision here is passed by too.".to_owned());
        }
        let label = "Ask for everything".to_owned();
        Words { title: format!("Ask {branch} for everything?"), sentences, hold: None, label }
    }

    fn about_all(&self) -> String {
        match self.full {
            Some(FullSize { rows, bytes }) => {
                format!("about {}, {} by its last figures", counted(rows, "row"), size(bytes.unsigned_abs()))
            }
            None => "how much that is, is not known here".to_owned(),
        }
    }
}

fn counted(number: i64, noun: &'static str) -> String {
    let text = Count(number, noun).to_string();
    text.replacen(&number.to_string(), &grouped(&number), 1)
}
