//! Clearing: all sales, or those of a period, after naming how many they are.

use askama::Template;
use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::expect_operator;
use crate::branch::{ClearedSales, SalesPeriod, clear_sales, count_sales};
use crate::domain::Failure;
use crate::head_office::Policy;
use crate::web::field::day;
use crate::web::form::{Asked, Posted};
use crate::web::page::{Frame, go_to, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::grouped;

/// The period as it was written. That it is there at all says that it is to be counted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Period {
    from: Option<String>,
    to: Option<String>,
}

/// What was confirmed.
#[derive(Debug, Deserialize)]
pub(super) struct Confirmed {
    from: String,
    to: String,
    count: i64,
    total: String,
}

#[derive(Template)]
#[template(path = "branch/clear.html")]
struct Clear {
    frame: Frame,
    from: String,
    to: String,
    errors: [Option<&'static str>; 2],
    found: Option<Found>,
    is_changed: bool,
    failure: Option<Failure>,
}

/// What would go.
struct Found {
    sales: ClearedSales,
    period: SalesPeriod,
    /// Head office would wait for a person.
    is_large: bool,
}

impl Found {
    fn count(&self) -> String {
        let ending = if self.sales.count == 1 { "" } else { "s" };
        format!("{} sale{ending}", grouped(&self.sales.count))
    }

    fn words(&self) -> String {
        in_words(&self.sales, self.period)
    }
}

fn in_words(sales: &ClearedSales, period: SalesPeriod) -> String {
    let ending = if sales.count == 1 { "" } else { "s" };
    let days = match (period.from, period.to) {
        (None, None) => "all there are".to_owned(),
        (Some(from), None) => format!("from {from} on"),
        (None, Some(to)) => format!("up to {to}"),
        (Some(from), Some(to)) if from == to => format!("of {from}"),
        (Some(from), Some(to)) => format!("from {from} to {to}"),
    };
    format!("{} sale{ending}, {days}, total {}", grouped(&sales.count), grouped(&sales.total))
}

impl Clear {
    fn new(state: &State, viewer: Viewer, from: String, to: String) -> Self {
        let frame = Frame::new(state, viewer, "Clear sales", "/");
        Self { frame, from, to, errors: [None; 2], found: None, is_changed: false, failure: None }
    }

    /// The fields: name, label, value, what is wrong.
    fn inputs(&self) -> [(&'static str, &'static str, &str, Option<&'static str>); 2] {
        [("from", "First day", &self.from, self.errors[0]), ("to", "Last day", &self.to, self.errors[1])]
    }

    /// The period, if it is one.
    fn period(&mut self) -> Option<SalesPeriod> {
        let (from, to) = (day(&self.from), day(&self.to));
        self.errors = [from.err(), to.err()];
        let (from, to) = (from.ok()?, to.ok()?);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            self.errors[1] = Some("is before the first day");
            return None;
        }
        Some(SalesPeriod { from, to })
    }

    fn answer(&self) -> Result<Response, Trouble> {
        let status = match &self.failure {
            Some(failure) => Trouble::from(failure.clone()).status(),
            None if self.is_changed => StatusCode::CONFLICT,
            None if self.errors.iter().any(Option::is_some) => StatusCode::UNPROCESSABLE_ENTITY,
            None => StatusCode::OK,
        };
        let mut answer = render(self)?;
        *answer.status_mut() = status;
        Ok(answer)
    }
}

pub(super) async fn ask(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(asked): Asked<Period>,
) -> Result<Response, Trouble> {
    expect_operator(&viewer)?;
    let is_asked = asked.from.is_some() || asked.to.is_some();
    let mut page = Clear::new(&state, viewer, asked.from.unwrap_or_default(), asked.to.unwrap_or_default());
    if is_asked && let Some(period) = page.period() {
        page.found = Some(count(&state, period).await?);
    }
    page.answer()
}

pub(super) async fn clear(
    extract::State(state): extract::State<State>,
    Posted { viewer, form }: Posted<Confirmed>,
) -> Result<Response, Trouble> {
    let Confirmed { from, to, count: number, total } = form;
    let seen = ClearedSales { count: number, total };
    let mut page = Clear::new(&state, viewer, from, to);
    let Some(period) = page.period() else { return page.answer() };
    let words = in_words(&seen, period);
    match state.databases.write(move |client| clear_sales(client, period, &seen)).await {
        Ok(Ok(())) => return Ok(go_to("/", format!("Cleared: {words}."))),
        Ok(Err(_)) => page.is_changed = true,
        Err(failure) => page.failure = Some(failure),
    }
    page.found = count(&state, period).await.ok();
    page.answer()
}

async fn count(state: &State, period: SalesPeriod) -> Result<Found, Failure> {
    let counted = state.databases.read(move |client| {
        let all = count_sales(client, SalesPeriod::default())?;
        Ok((count_sales(client, period)?, all.count))
    });
    let (sales, all) = counted.await?;
    let is_large = Policy::default().holds_deletion(sales.count.unsigned_abs(), all.unsigned_abs());
    Ok(Found { sales, period, is_large })
}
