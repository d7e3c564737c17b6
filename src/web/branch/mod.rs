//! A branch's pages.

mod bundle;
mod bundles;
mod clear;
mod edit;
mod proof;
mod requests;
mod sale_form;
mod sales;
mod sync;
mod synchroniser;
mod void;

use axum::Router;
use axum::routing::get;

pub(super) use self::synchroniser::Synchroniser;
use super::page::Section;
use super::server::State;
use super::site::{BranchSite, Role};
use super::trouble::Trouble;
use super::viewer::Viewer;
use crate::domain::{Failure, Kind};

/// A branch's navigation.
pub(super) const SECTIONS: &[Section] = &[
    Section { path: "/", name: "Sales" },
    Section { path: "/sync", name: "Sync" },
    Section { path: "/bundles", name: "Bundles" },
];

/// Its pages.
pub(super) fn pages() -> Router<State> {
    Router::new()
        .route("/", get(sales::page))
        .route("/sales/new", get(edit::blank).post(edit::add))
        .route("/sales/clear", get(clear::ask).post(clear::clear))
        .route("/sales/{id}", get(edit::existing).post(edit::correct))
        .route("/sales/{id}/void", get(void::ask).post(void::void))
        .route("/sync", get(sync::page).post(sync::start))
        .route("/bundles", get(bundles::page))
        .route("/bundles/{epoch}/{sequence}", get(bundle::page))
        .route("/bundles/{epoch}/{sequence}/file", get(bundle::file))
}

/// What only a branch has.
fn site(state: &State) -> Result<&BranchSite, Trouble> {
    match &state.role {
        Role::Branch(site) => Ok(site),
        Role::HeadOffice(_) => Err(Trouble::NotFound),
    }
}

/// A page that is there to change something is for those who may.
fn expect_operator(viewer: &Viewer) -> Result<(), Trouble> {
    if viewer.may_operate {
        return Ok(());
    }
    let failure = Failure::new(Kind::Permission, "opening the form", "you may look, and change nothing");
    Err(failure.hint("ask for the role `operate` in the configuration of this page").into())
}

/// The number of a sale in a path.
fn number(text: &str) -> Result<i64, Trouble> {
    text.parse().map_err(|_| Trouble::NotFound)
}
