//! Head office's pages.

mod action;
mod branch_day;
mod bundles;
mod days;
mod days_csv;
mod decide;
mod follow_up;
mod history;
mod incidents;
mod matter;
mod overview;
mod queues;
mod sales;
mod summary;

use axum::Router;
use axum::routing::get;

pub(super) use self::follow_up::FollowUp;
pub(super) use self::queues::{QueueWatch, watch_queues};
pub(super) use self::summary::keep_summary;
use super::page::Section;
use super::server::State;

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
        .route("/days", get(days::page))
        .route("/days.csv", get(days_csv::file))
        .route("/days/{branch}/{day}", get(branch_day::page))
        .route("/incidents", get(incidents::page).post(decide::act))
        .route("/incidents/confirm", get(decide::question))
}
