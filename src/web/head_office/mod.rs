//! Head office's pages.

mod bundles;
mod overview;
mod sales;
mod summary;

use axum::Router;
use axum::routing::get;

use super::page::Section;
use super::server::State;

pub(super) use self::summary::keep_summary;

/// Head office's navigation.
pub(super) const SECTIONS: &[Section] = &[
    Section { path: "/", name: "Overview" },
    Section { path: "/days", name: "Days" },
    Section { path: "/sales", name: "Sales" },
    Section { path: "/bundles", name: "Bundles" },
    Section { path: "/incidents", name: "Incidents" },
];

/// Its pages.
pub(super) fn pages() -> Router<State> {
    Router::new()
        .route("/", get(overview::page))
        .route("/bundles", get(bundles::list))
        .route("/bundles/{branch}/{epoch}/{sequence}", get(bundles::bundle))
        .route("/bundles/{branch}/{epoch}/{sequence}/file", get(bundles::file))
        .route("/bundles/_rejected/{incident}", get(bundles::rejected))
        .route("/bundles/_rejected/{incident}/file", get(bundles::rejected_file))
        .route("/sales", get(sales::page))
        .route("/sales.csv", get(sales::file))
}
