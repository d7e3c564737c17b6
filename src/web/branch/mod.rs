//! A branch's pages.

mod sales;

use axum::Router;
use axum::routing::get;

use super::page::Section;
use super::server::State;

/// A branch's navigation.
pub(super) const SECTIONS: &[Section] =
    &[Section { path: "/", name: "Sales" }, Section { path: "/bundles", name: "Bundles" }];

/// Its pages.
pub(super) fn pages() -> Router<State> {
    Router::new().route("/", get(sales::page))
}
