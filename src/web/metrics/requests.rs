//! What is counted of the page itself: requests, how long they take, what goes wrong.

use std::time::Instant;

use axum::extract;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::sheet::{Labels, Sheet};
use crate::domain::Kind;
use crate::web::server::State;
use crate::web::trouble::Trouble;

/// In seconds.
const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The counts. Their labels are routes and kinds, never what was asked for.
pub(super) struct Requests {
    answered: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram>,
    errors: Family<Labels<1>, Counter>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            errors: Family::default(),
        }
    }
}

impl Requests {
    pub(super) fn write(&self, sheet: &mut Sheet) {
        sheet.add(
            "page_requests",
            "Requests to the page by route and class of status",
            self.answered.clone(),
        );
        let help = "How long the page took until it began to answer, by route";
        sheet.add("page_request_duration_seconds", help, self.durations.clone());
        sheet.add("page_errors", "Requests that failed, by kind of failure", self.errors.clone());
    }
}

/// Counts a request.
pub(in crate::web) async fn watch(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let answer = next.run(request).await;
    let Requests { answered, durations, errors } = &state.metrics.requests;
    let class = format!("{}xx", answer.status().as_u16() / 100);
    answered.get_or_create(&[("route", route.clone()), ("status", class)]).inc();
    durations.get_or_create(&[("route", route)]).observe(began.elapsed().as_secs_f64());
    if let Some(Trouble::Failed(failure)) = answer.extensions().get() {
        errors.get_or_create(&[("kind", word(failure.kind()).to_owned())]).inc();
    }
    answer
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Failed => "failed",
        Kind::Usage => "usage",
        Kind::NeedsPerson => "needs-person",
        Kind::Damaged => "damaged",
        Kind::Unreachable => "unreachable",
        Kind::Postponed => "postponed",
        Kind::Permission => "permission",
        Kind::Configuration => "configuration",
    }
}
