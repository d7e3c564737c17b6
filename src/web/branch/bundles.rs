//! The last bundles, and what head office has said of them.

use askama::Template;
use axum::extract;
use axum::response::Response;
use serde::Deserialize;

use super::proof::Proof;
use super::requests::Wish;
use crate::branch::{RecentBundle, recent_bundles};
use crate::domain::{Epoch, Failure, Kind};
use crate::web::form::Asked;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{Moment, grouped, size};

/// So many bundles are on a page.
const ROWS: usize = 50;

/// Where the page begins: before `epoch,sequence`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    before: Option<String>,
}

#[derive(Template)]
#[template(path = "branch/bundles.html")]
struct Bundles {
    frame: Frame,
    lines: Vec<Line>,
    next: Option<String>,
    is_first_page: bool,
    proof: Proof,
    requests: Vec<Wish>,
}

/// A row of the table.
struct Line(RecentBundle);

impl Line {
    fn state(&self) -> (&'static str, &'static str) {
        state_in_words(&self.0)
    }

    /// Where its life is told.
    fn address(&self) -> String {
        format!("/bundles/{}/{}", self.0.epoch, self.0.sequence)
    }

    /// Rows, tombstones, size, each with its name.
    fn counts(&self) -> [(&'static str, String); 3] {
        let RecentBundle { rows, tombstones, bytes, .. } = &self.0;
        [("Rows", grouped(rows)), ("Removed", grouped(tombstones)), ("Size", size(bytes.unsigned_abs()))]
    }

    /// When it was sealed, sent, applied.
    fn times(&self) -> [(&'static str, Option<Moment>); 3] {
        let RecentBundle { sealed_at, confirmed_at, applied_at, .. } = &self.0;
        let times = [("Sealed", Some(*sealed_at)), ("Sent", *confirmed_at), ("Applied", *applied_at)];
        times.map(|(name, at)| (name, at.map(Moment)))
    }
}

/// Style and word.
pub(super) fn state_in_words(bundle: &RecentBundle) -> (&'static str, &'static str) {
    match bundle.state.as_str() {
        "applied" => ("ok", "at head office"),
        "published" => ("waiting", "sent, not confirmed"),
        "held" => ("trouble", "held"),
        "rejected" => ("trouble", "rejected"),
        _ if !bundle.is_current => ("idle", "given up with its epoch"),
        _ => ("waiting", "waits for the line"),
    }
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(query): Asked<Query>,
) -> Result<Response, Trouble> {
    let before = query.before.as_deref().map(place).transpose()?;
    let proof = Proof::of(&state).await?;
    let count = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let read =
        state.databases.read(move |client| Ok((recent_bundles(client, before, count)?, Wish::all(client)?)));
    let (mut bundles, requests) = read.await?;
    let has_more = bundles.len() > ROWS;
    bundles.truncate(ROWS);
    let last = bundles.last().filter(|_| has_more);
    render(&Bundles {
        frame: Frame::new(&state, viewer, "Bundles", "/bundles"),
        next: last.map(|last| format!("/bundles?before={},{}", last.epoch, last.sequence)),
        lines: bundles.into_iter().map(Line).collect(),
        is_first_page: before.is_none(),
        proof,
        requests,
    })
}

fn place(text: &str) -> Result<(Epoch, i64), Failure> {
    let place = text
        .split_once(',')
        .and_then(|(epoch, sequence)| Some((Epoch(epoch.parse().ok()?), sequence.parse().ok()?)));
    place.ok_or_else(|| {
        Failure::new(Kind::Usage, "looking for bundles", "this is no place in their list")
            .hint("begin again with the newest")
    })
}
