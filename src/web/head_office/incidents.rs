//! What is open and what was: incidents, decisions, requests.

use askama::Template;
use axum::extract;
use axum::response::Response;
use chrono::Utc;

use super::history::{ENTRIES, EntryView, Query, entries};
use super::matter::MatterView;
use crate::head_office::incidents::{EntryKind, open_matters, trail};
use crate::web::form::Asked;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::site::{HeadOfficeSite, Role};
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

/// More of what is open is counted only.
const MOST_OPEN: usize = 100;

#[derive(Template)]
#[template(path = "head_office/incidents.html")]
struct Incidents {
    frame: Frame,
    query: Query,
    branches: Vec<String>,
    kinds: [EntryKind; 7],
    matters: Vec<MatterView>,
    /// What is open besides.
    more: usize,
    /// What stands in the way of what was decided.
    news: Option<String>,
    entries: Vec<EntryView>,
    /// Where older entries are.
    older: Option<String>,
}

/// `GET /incidents`
pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(query): Asked<Query>,
) -> Result<Response, Trouble> {
    let site = head_office(&state)?;
    let (filter, known) = (query.filter()?, site.branches());
    let read = move |client: &mut postgres::Client| {
        let open = open_matters(client, &known.expect_every, filter.branch.as_ref(), Utc::now())?;
        let is_known = filter.branch.as_ref().is_none_or(|branch| open.branches.contains(branch));
        Ok((open, trail(client, &filter, ENTRIES)?, is_known))
    };
    let (open, trail, is_known) = state.databases.read(read).await?;
    if !is_known {
        return Err(Trouble::NotFound);
    }
    let matters = open.matters.iter().take(MOST_OPEN).map(|matter| MatterView::of(matter, &open)).collect();
    render(&Incidents {
        frame: Frame::new(&state, viewer, "Incidents", "/incidents"),
        branches: open.branches.iter().map(ToString::to_string).collect(),
        kinds: EntryKind::ALL,
        matters,
        more: open.matters.len().saturating_sub(MOST_OPEN),
        news: site.follow_up.news(),
        entries: entries(&trail),
        older: trail.next.as_ref().map(|next| query.older(next)),
        query,
    })
}

/// What only head office has.
pub(super) fn head_office(state: &State) -> Result<&HeadOfficeSite, Trouble> {
    match &state.role {
        Role::HeadOffice(site) => Ok(site),
        Role::Branch(_) => Err(Trouble::NotFound),
    }
}
