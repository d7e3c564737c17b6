//! `/bundles`: what has come, newest first.

use askama::Template;
use axum::extract;
use axum::response::Response;

use super::ask::BundlesQuery;
use crate::head_office::branch_names;
use crate::head_office::history::{ArrivalFilter, ArrivalTurn, Arrived, ArrivedAs, arrivals};
use crate::web::form::Asked;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{Moment, grouped, size};

/// Lines of a page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "head_office/bundles.html")]
struct BundlesView {
    frame: Frame,
    query: BundlesQuery,
    branches: Vec<String>,
    outcomes: [ArrivedAs; 4],
    lines: Vec<Line>,
    newer: Option<String>,
    older: Option<String>,
    is_filtered: bool,
    is_first: bool,
}

struct Line {
    branch: String,
    sequence: String,
    address: String,
    outcome: String,
    badge: &'static str,
    came: Moment,
    source: &'static str,
    rows: String,
    tombstones: String,
    size: String,
    hash: String,
    reason: String,
}

pub(in crate::web::head_office) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(query): Asked<BundlesQuery>,
) -> Result<Response, Trouble> {
    let (filter, turn) = (query.filter()?, query.turn()?);
    let asked = filter.clone();
    let found = state.databases.read(move |client| {
        let branches: Vec<String> = branch_names(client)?;
        Ok((branches, arrivals(client, &asked, turn, PAGE)?))
    });
    let (branches, page) = found.await?;
    let is_back = matches!(turn, ArrivalTurn::After(_));
    let (has_newer, has_older) =
        if is_back { (page.has_more, true) } else { (turn != ArrivalTurn::Newest, page.has_more) };
    let newer = page.lines.first().filter(|_| has_newer).map(|line| query.address("after", line.delivery_id));
    let older = page.lines.last().filter(|_| has_older).map(|line| query.address("before", line.delivery_id));
    render(&BundlesView {
        frame: Frame::new(&state, viewer, "Bundles", "/bundles"),
        branches,
        outcomes: ArrivedAs::ALL,
        lines: page.lines.into_iter().map(Line::of).collect(),
        newer,
        older,
        is_filtered: filter != ArrivalFilter::default(),
        is_first: turn == ArrivalTurn::Newest,
        query,
    })
}

/// The class of a badge for an outcome.
pub(super) fn badge(outcome: &str) -> &'static str {
    match outcome {
        "applied" => "ok",
        "held" => "waiting",
        "rejected" => "trouble",
        _ => "idle",
    }
}

/// How it came, in words.
pub(super) fn way(source: &str) -> &'static str {
    match source {
        "queue" => "queue",
        "file" => "file",
        _ => "archive",
    }
}

impl Line {
    fn of(line: Arrived) -> Self {
        let (rows, tombstones, bytes) =
            line.size.map_or_else(Default::default, |(rows, tombstones, bytes)| {
                (grouped(&rows), grouped(&tombstones), size(bytes.unsigned_abs()))
            });
        let bundle = line.branch.as_deref().zip(line.place);
        let of_bundle =
            bundle.map(|(branch, (epoch, sequence))| format!("/bundles/{branch}/{epoch}/{sequence}"));
        let of_file = line.incident_id.map(|id| format!("/bundles/_rejected/{id}"));
        Self {
            branch: line.branch.unwrap_or_else(|| "unknown".to_owned()),
            sequence: line
                .place
                .map_or_else(|| "unreadable".to_owned(), |(_, sequence)| sequence.to_string()),
            address: of_bundle.or(of_file).unwrap_or_default(),
            badge: badge(&line.outcome),
            outcome: line.outcome,
            came: Moment(line.received_at),
            source: way(&line.source),
            rows,
            tombstones,
            size: bytes,
            hash: line.manifest_sha256.map(|hash| hash.chars().take(12).collect()).unwrap_or_default(),
            reason: line.reason.unwrap_or_default(),
        }
    }
}
