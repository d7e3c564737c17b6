//! `/bundles/{branch}/{epoch}/{sequence}`: the life of a bundle.

use askama::Template;
use axum::extract;
use axum::response::Response;

use super::ask::whose;
use super::life::stations;
use super::list::{badge, way};
use crate::archive::{Examined, Glimpse, examine};
use crate::domain::Receipt;
use crate::head_office::history::{Biography, biography};
use crate::web::bundle::{
    Compared, Effect, PreviewView, Station, compared, days_counted, effects, facts_of_file, legible_json,
};
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::thread::in_thread;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::Moment;

#[derive(Template)]
#[template(path = "head_office/bundle.html")]
struct BundleView {
    frame: Frame,
    branch: String,
    sequence: String,
    state: (&'static str, String),
    reason: Option<String>,
    /// What the file in the archive does not agree with.
    warning: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    facts: Vec<(&'static str, String)>,
    chain: Option<(String, Option<String>, &'static str)>,
    stations: Vec<Station>,
    compared: Vec<Compared>,
    days: Option<String>,
    effects: Vec<Effect>,
    deliveries: Vec<Delivery>,
    incidents: Vec<Incident>,
    decisions: Vec<Decision>,
    receipts: Vec<(String, Moment, Option<Moment>, String)>,
    file: Option<String>,
    unseen: Option<String>,
    previews: Vec<PreviewView>,
}

struct Delivery {
    came: Moment,
    source: &'static str,
    outcome: String,
    badge: &'static str,
    hash: String,
    reason: String,
}

struct Incident {
    kind: String,
    detail: String,
    happened: Moment,
    resolved: Option<Moment>,
    file: Option<String>,
}

struct Decision {
    verdict: String,
    decided_by: String,
    decided: Moment,
    reason: String,
    carried_out: Option<Moment>,
    trouble: Option<String>,
}

pub(in crate::web::head_office) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    extract::Path(address): extract::Path<(String, String, String)>,
) -> Result<Response, Trouble> {
    let (branch, epoch, sequence) = whose(&address)?;
    let name = branch.clone();
    let known = state.databases.read(move |client| biography(client, &name, epoch, sequence)).await?;
    let known = known.ok_or(Trouble::NotFound)?;
    let mut glimpse = None;
    let mut unseen = None;
    if known.recorded.is_some() {
        let archive = state.archive.clone();
        let path = archive.file(&branch, epoch, sequence);
        match in_thread("looking into the file", move || examine(&archive, &path)).await? {
            Examined::Whole(whole) => glimpse = Some(*whole),
            Examined::Not(why) => unseen = Some(why),
        }
    }
    let frame = Frame::new(&state, viewer, "Bundle", "/bundles");
    let path = |number: i64| format!("/bundles/{branch}/{epoch}/{number}");
    let number = sequence.as_bigint();
    let mut view = view(frame, known, glimpse);
    view.branch = branch.to_string();
    view.sequence = sequence.to_string();
    view.facts.insert(0, ("Epoch", epoch.to_string()));
    view.previous = view.previous.map(|_| path(number - 1));
    view.next = view.next.map(|_| path(number + 1));
    view.file = view.file.map(|_| format!("{}/file", path(number)));
    view.unseen = unseen;
    render(&view)
}

fn view(frame: Frame, known: Biography, glimpse: Option<Glimpse>) -> BundleView {
    let decided = known.receipts.iter().rev().find(|receipt| receipt.outcome == "applied");
    let receipt = decided.and_then(|receipt| Receipt::from_bytes(receipt.body.as_bytes()).ok());
    let recorded = known.recorded.as_ref();
    let is_same = |glimpse: &Glimpse| {
        recorded.is_some_and(|recorded| recorded.manifest_sha256 == glimpse.manifest_sha256.to_string())
    };
    let warning = glimpse.as_ref().filter(|glimpse| !is_same(glimpse)).map(|_| {
        "The file in the archive is another bundle than the one that the ledger knows. What follows of its content is \
         the file's."
            .to_owned()
    });
    let manifest = glimpse.as_ref().map(|glimpse| &glimpse.manifest);
    let last = known.deliveries.iter().rev().find(|delivery| delivery.outcome != "duplicate");
    let outcome = recorded.map(|recorded| &recorded.state).or(last.map(|last| &last.outcome));
    let outcome = outcome.cloned().unwrap_or_else(|| "unknown".to_owned());
    BundleView {
        frame,
        branch: String::new(),
        sequence: String::new(),
        reason: recorded
            .map_or_else(|| last.and_then(|last| last.reason.clone()), |recorded| recorded.reason.clone()),
        state: (badge(&outcome), outcome),
        warning,
        previous: known.previous_sha256.clone(),
        next: known.has_next.then(String::new),
        facts: facts(&known, glimpse.as_ref()),
        chain: manifest.map(|manifest| match &manifest.previous {
            None => ("none: the first bundle of its epoch".to_owned(), None, ""),
            Some(previous) => {
                let found = known.previous_sha256.clone();
                let is_equal = found.as_ref() == Some(&previous.to_string());
                (previous.to_string(), found, if is_equal { "equal" } else { "different" })
            }
        }),
        stations: stations(&known, manifest, receipt.as_ref()),
        compared: compared(manifest, receipt.as_ref()),
        days: receipt.as_ref().and_then(days_counted),
        effects: effects(receipt.as_ref()),
        file: recorded.map(|_| String::new()),
        unseen: None,
        previews: glimpse.into_iter().flat_map(|glimpse| glimpse.previews).map(PreviewView::of).collect(),
        deliveries: known.deliveries.iter().map(delivery).collect(),
        incidents: known.incidents.iter().map(incident).collect(),
        decisions: known.decisions.iter().map(decision).collect(),
        receipts: known
            .receipts
            .into_iter()
            .map(|receipt| {
                let published = receipt.published_at.map(Moment);
                (receipt.outcome, Moment(receipt.created_at), published, legible_json(&receipt.body))
            })
            .collect(),
    }
}

fn facts(known: &Biography, glimpse: Option<&Glimpse>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(recorded) = &known.recorded {
        facts.push(("Bundle", recorded.bundle_id.to_string()));
        facts.push(("Manifest (SHA-256)", recorded.manifest_sha256.clone()));
    }
    facts.extend(facts_of_file(glimpse));
    facts
}

fn delivery(delivery: &crate::head_office::history::Delivered) -> Delivery {
    Delivery {
        came: Moment(delivery.received_at),
        source: way(&delivery.source),
        badge: badge(&delivery.outcome),
        outcome: delivery.outcome.clone(),
        hash: delivery.manifest_sha256.iter().flat_map(|hash| hash.chars().take(12)).collect(),
        reason: delivery.reason.clone().unwrap_or_default(),
    }
}

fn incident(incident: &crate::head_office::history::IncidentNoted) -> Incident {
    let has_file = incident.has_file && incident.kind == "rejected";
    Incident {
        kind: incident.kind.clone(),
        detail: incident.detail.clone(),
        happened: Moment(incident.happened_at),
        resolved: incident.resolved_at.map(Moment),
        file: has_file.then(|| format!("/bundles/_rejected/{}", incident.incident_id)),
    }
}

fn decision(decision: &crate::head_office::history::DecisionTaken) -> Decision {
    Decision {
        verdict: decision.verdict.clone(),
        decided_by: decision.decided_by.clone(),
        decided: Moment(decision.decided_at),
        reason: decision.reason.clone().unwrap_or_default(),
        carried_out: decision.carried_out_at.map(Moment),
        trouble: decision.trouble.clone(),
    }
}
