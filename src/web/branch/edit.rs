//! Adding a sale, and correcting one.

use axum::extract;
use axum::response::Response;
use chrono::Local;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sale_form::{Remarks, Typed, show};
use super::{expect_operator, number, site};
use crate::branch::import::{Field, Sale};
use crate::branch::{Added, Changed, SavedSale, add_sale, correct_sale, find_sale};
use crate::domain::{Failure, Kind};
use crate::web::form::{Asked, Posted};
use crate::web::page::go_to;
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::grouped;

/// What the next sale has in common with the last one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    date: String,
    region: String,
}

pub(super) async fn blank(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(next): Asked<Next>,
) -> Result<Response, Trouble> {
    expect_operator(&viewer)?;
    let today = || Local::now().date_naive().to_string();
    let date = if next.date.is_empty() { today() } else { next.date };
    let typed = Typed::of_day(date, next.region);
    show(&state, viewer, None, typed, Remarks::default())
}

pub(super) async fn add(
    extract::State(state): extract::State<State>,
    Posted { viewer, form: typed }: Posted<Typed>,
) -> Result<Response, Trouble> {
    let form = typed.form.parse::<Uuid>().map_err(|_| no_form())?;
    let sale = match typed.check(&site(&state)?.rules) {
        Ok(sale) => sale,
        Err(problems) => {
            return show(&state, viewer, None, typed, Remarks { problems, ..Remarks::default() });
        }
    };
    let wanted = sale.clone();
    let added = state.databases.write(move |client| match add_sale(client, form, &wanted)? {
        Added::Saved(id) => Ok((id, true)),
        Added::SavedBefore(id) => Ok((id, find_sale(client, id)?.is_some_and(|saved| saved.says(&wanted)))),
    });
    match added.await {
        Ok((id, true)) => Ok(go_to(&next(&sale), format!("Saved: sale {id}, {}.", in_words(&sale)))),
        Ok((id, false)) => {
            let warning = format!(
                "This form has added sale {id} before, with other values. If this is another sale, save it now; \
                 if it is a correction, correct sale {id} instead."
            );
            show(
                &state,
                viewer,
                None,
                typed.on_new_form(),
                Remarks { warning: Some(warning), ..Remarks::default() },
            )
        }
        Err(failure) => {
            show(&state, viewer, None, typed, Remarks { failure: Some(failure), ..Remarks::default() })
        }
    }
}

pub(super) async fn existing(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    viewer: Viewer,
) -> Result<Response, Trouble> {
    expect_operator(&viewer)?;
    let id = number(&id)?;
    let sale = saved(&state, id).await?;
    show(&state, viewer, Some(id), Typed::from(&sale), Remarks::default())
}

pub(super) async fn correct(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    Posted { viewer, form: typed }: Posted<Typed>,
) -> Result<Response, Trouble> {
    let id = number(&id)?;
    let sale = match typed.check(&site(&state)?.rules) {
        Ok(sale) => sale,
        Err(problems) => {
            return show(&state, viewer, Some(id), typed, Remarks { problems, ..Remarks::default() });
        }
    };
    let (wanted, version) = (sale.clone(), typed.version.clone());
    let corrected = state.databases.write(move |client| correct_sale(client, id, &version, &wanted)).await;
    match corrected {
        Ok(Changed::Done) => Ok(go_to("/", format!("Corrected: sale {id} is now {}.", in_words(&sale)))),
        Ok(Changed::Gone) => Err(gone(id)),
        Ok(Changed::ChangedMeanwhile) => {
            let now = saved(&state, id).await?;
            let typed = typed.of_version(now.version.clone());
            show(&state, viewer, Some(id), typed, Remarks { now: Some(now), ..Remarks::default() })
        }
        Err(failure) => {
            show(&state, viewer, Some(id), typed, Remarks { failure: Some(failure), ..Remarks::default() })
        }
    }
}

/// The sale as it stands.
pub(super) async fn saved(state: &State, id: i64) -> Result<SavedSale, Trouble> {
    let found = state.databases.read(move |client| find_sale(client, id)).await?;
    found.ok_or_else(|| gone(id))
}

pub(super) fn gone(id: i64) -> Trouble {
    Failure::new(
        Kind::NeedsPerson,
        format!("looking for sale {id}"),
        "it is not there any more, or never was",
    )
    .hint("nothing was changed; look at the list of sales again")
    .into()
}

fn no_form() -> Trouble {
    Failure::new(Kind::Usage, "saving the sale", "the form has no number of its own")
        .hint("go back, load the page again, and send the form from there")
        .into()
}

/// Where the next sale is typed.
fn next(sale: &Sale) -> String {
    let next = Next { date: sale.date.to_string(), region: sale.region.clone() };
    serde_urlencoded::to_string(next).map_or("/sales/new".to_owned(), |query| format!("/sales/new?{query}"))
}

fn in_words(sale: &Sale) -> String {
    let Sale { date, region, product, qty, cost, total, .. } = sale;
    format!("{qty} {product} at {}, {region}, {date}, total {}", grouped(cost), grouped(total))
}

/// The same of one that is in the table.
pub(super) fn saved_in_words(sale: &SavedSale) -> String {
    let get = |field| sale.get(field);
    format!(
        "{} {} at {}, {}, {}, total {}",
        get(Field::Qty),
        get(Field::Product),
        grouped(get(Field::Cost)),
        get(Field::Region),
        get(Field::Date),
        grouped(get(Field::Total))
    )
}
