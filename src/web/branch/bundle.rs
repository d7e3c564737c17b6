//! `/bundles/{epoch}/{sequence}`: the life of a bundle, as its branch knows it.

use askama::Template;
use axum::extract;
use axum::response::Response;

use super::bundles::state_in_words;
use crate::archive::{Examined, Glimpse, examine};
use crate::branch::{BundleBiography, ReceiptTaken, bundle_biography};
use crate::domain::{Epoch, Receipt, Sequence};
use crate::web::bundle::{
    Compared, Effect, PreviewView, Station, compared, cut_in_words, days_counted, effect_in_words, effects,
    facts_of_file, file_name, legible_json, place, sealed_in_words, send,
};
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::thread::in_thread;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::Moment;

const HERE: &str = "the clock here";
const THERE: &str = "head office's clock";
const NOT_YET: &str = "not yet";

#[derive(Template)]
#[template(path = "branch/bundle.html")]
struct Bundle {
    frame: Frame,
    sequence: String,
    state: (&'static str, &'static str),
    reason: Option<String>,
    warning: Option<&'static str>,
    previous: Option<String>,
    next: Option<String>,
    facts: Vec<(&'static str, String)>,
    stations: Vec<Station>,
    compared: Vec<Compared>,
    days: Option<String>,
    effects: Vec<Effect>,
    receipts: Vec<ReceiptView>,
    file: String,
    unseen: Option<String>,
    previews: Vec<PreviewView>,
}

struct ReceiptView {
    outcome: String,
    came: Moment,
    is_signed: bool,
    refusal: Option<String>,
    body: String,
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    extract::Path(address): extract::Path<(String, String)>,
) -> Result<Response, Trouble> {
    let (epoch, sequence) = place(&address.0, &address.1)?;
    let known = find(&state, epoch, sequence).await?;
    let archive = state.archive.clone();
    let path = archive.file(&state.node, epoch, sequence);
    let examined = in_thread("looking into the file", move || examine(&archive, &path)).await?;
    let frame = Frame::new(&state, viewer, "Bundle", "/bundles");
    render(&Bundle::of(frame, epoch, known, examined))
}

pub(super) async fn file(
    extract::State(state): extract::State<State>,
    extract::Path(address): extract::Path<(String, String)>,
) -> Result<Response, Trouble> {
    let (epoch, sequence) = place(&address.0, &address.1)?;
    find(&state, epoch, sequence).await?;
    send(state.archive.file(&state.node, epoch, sequence), &file_name(&state.node, epoch, sequence)).await
}

async fn find(state: &State, epoch: Epoch, sequence: Sequence) -> Result<BundleBiography, Trouble> {
    let number = sequence.as_bigint();
    let found = state.databases.read(move |client| bundle_biography(client, epoch, number)).await?;
    found.ok_or(Trouble::NotFound)
}

impl Bundle {
    fn of(frame: Frame, epoch: Epoch, known: BundleBiography, examined: Examined) -> Self {
        let (glimpse, unseen) = match examined {
            Examined::Whole(glimpse) => (Some(*glimpse), None),
            Examined::Not(why) => (None, Some(why)),
        };
        let receipt =
            answer(&known, "applied").and_then(|kept| Receipt::from_bytes(kept.body.as_bytes()).ok());
        let is_another = |glimpse: &Glimpse| glimpse.manifest_sha256.to_string() != known.manifest_sha256;
        let number = known.bundle.sequence;
        let path = |number: i64| format!("/bundles/{epoch}/{number}");
        Self {
            frame,
            sequence: number.to_string(),
            state: state_in_words(&known.bundle),
            reason: known.bundle.reason.clone(),
            warning: glimpse.as_ref().filter(|glimpse| is_another(glimpse)).map(|_| {
                "The file in the archive is another bundle than the one that was sealed. What follows of its content is \
                 the file's."
            }),
            previous: known.previous_sha256.as_ref().map(|_| path(number - 1)),
            next: known.has_next.then(|| path(number + 1)),
            facts: facts(epoch, &known, glimpse.as_ref()),
            stations: stations(&known, receipt.as_ref()),
            compared: compared(glimpse.as_ref().map(|glimpse| &glimpse.manifest), receipt.as_ref()),
            days: receipt.as_ref().and_then(days_counted),
            effects: effects(receipt.as_ref()),
            file: format!("{}/file", path(number)),
            unseen,
            previews: glimpse.into_iter().flat_map(|glimpse| glimpse.previews).map(PreviewView::of).collect(),
            receipts: known.receipts.into_iter().map(ReceiptView::of).collect(),
        }
    }
}

impl ReceiptView {
    fn of(kept: ReceiptTaken) -> Self {
        let ReceiptTaken { outcome, body, is_signed, refusal, received_at } = kept;
        Self { outcome, came: Moment(received_at), is_signed, refusal, body: legible_json(&body) }
    }
}

/// The last answer of this outcome that was believed.
fn answer<'k>(known: &'k BundleBiography, outcome: &str) -> Option<&'k ReceiptTaken> {
    known.receipts.iter().rev().find(|kept| kept.refusal.is_none() && kept.outcome == outcome)
}

fn facts(epoch: Epoch, known: &BundleBiography, glimpse: Option<&Glimpse>) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Epoch", epoch.to_string()),
        ("Bundle", known.bundle_id.to_string()),
        ("Manifest (SHA-256)", known.manifest_sha256.clone()),
    ];
    facts.extend(known.previous_sha256.clone().map(|hash| ("Follows (SHA-256)", hash)));
    facts.extend(facts_of_file(glimpse));
    facts
}

fn stations(known: &BundleBiography, receipt: Option<&Receipt>) -> Vec<Station> {
    let bundle = &known.bundle;
    let station = |name, when: Option<_>, clock, words: String| {
        let when = when.map(Moment);
        Station { name, clock: if when.is_some() { clock } else { NOT_YET }, when, words }
    };
    let confirmed = if bundle.confirmed_at.is_some() { "A broker has it on disk." } else { "" };
    let applied = receipt.map(effect_in_words).or_else(|| bundle.reason.clone()).unwrap_or_default();
    let last =
        answer(known, "applied").or_else(|| known.receipts.iter().rev().find(|kept| kept.refusal.is_none()));
    let answered = last.map_or(String::new(), |kept| {
        format!(
            "Head office's answer came: {}{}.",
            kept.outcome,
            if kept.is_signed { ", signed" } else { "" }
        )
    });
    vec![
        station(
            "Cut",
            Some(known.cut_at),
            HERE,
            cut_in_words(known.part, known.is_last_part, &known.watermark),
        ),
        station(
            "Sealed",
            Some(bundle.sealed_at),
            HERE,
            sealed_in_words(bundle.rows, bundle.tombstones, bundle.bytes),
        ),
        station("Published", bundle.published_at, HERE, String::new()),
        station("Confirmed", bundle.confirmed_at, HERE, confirmed.to_owned()),
        station("Applied", bundle.applied_at, THERE, applied),
        station("Receipted", last.map(|kept| kept.received_at), HERE, answered),
    ]
}
