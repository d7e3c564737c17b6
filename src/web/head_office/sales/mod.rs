//! The sales of all branches: what they add up to, and each of them.

mod ask;
mod chart;
mod figures;
mod file;
mod name;
mod show;
mod table;

use axum::extract;
use axum::response::Response;

use self::ask::{After, Asking, SalesQuery};
use self::show::{SalesView, Shown};
use self::table::List;
use crate::domain::Failure;
use crate::head_office::branch_names;
use crate::head_office::sales::{
    SalesPage, SalesTable, Sorted, find_sale, sales_table, sales_totals, sorted_sales, walk_sales,
};
use crate::web::form::Asked;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

pub(super) use self::file::file;

/// Sales on a page.
const PAGE: usize = 50;

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(query): Asked<SalesQuery>,
) -> Result<Response, Trouble> {
    let asking = Asking::try_from(query)?;
    let asked = asking.clone();
    let shown = state.databases.read(move |client| look(client, &asked)).await?;
    let frame = Frame::new(&state, viewer, "Sales", "/sales");
    render(&SalesView::of(frame, &asking, shown))
}

fn look(client: &mut postgres::Client, asking: &Asking) -> Result<Shown, Failure> {
    let branches = branch_names(client)?;
    let state = sales_table(client)?;
    if state != SalesTable::Fit {
        return Ok(Shown { branches, list: None, totals: None, state });
    }
    let list = list(client, asking)?;
    // Whoever goes on to the next page has seen them.
    let totals = if asking.id.is_none() && asking.after.is_none() {
        Some(sales_totals(client, &asking.filter)?)
    } else {
        None
    };
    Ok(Shown { branches, list: Some(list), totals, state })
}

fn list(client: &mut postgres::Client, asking: &Asking) -> Result<List, Failure> {
    let Asking { filter, id, sort, after, is_back, .. } = asking;
    if let Some(id) = id {
        return Ok(List { page: find_sale(client, filter, *id)?, is_too_much: false });
    }
    let (mut page, mut is_too_much) = (SalesPage::default(), false);
    match (sort, after) {
        (Some(column), after) => {
            let after = match after {
                Some(After::Value(place)) => Some(place),
                _ => None,
            };
            match sorted_sales(client, filter, *column, asking.reading(), after, PAGE)? {
                Sorted::Page(sorted) => page = sorted,
                Sorted::TooMany => is_too_much = true,
            }
        }
        (None, after) => {
            let after = match after {
                Some(After::Day(place)) => Some(place.clone()),
                _ => None,
            };
            page = walk_sales(client, filter, asking.reading(), after, PAGE)?;
        }
    }
    if *is_back {
        page.sales.reverse();
    }
    Ok(List { page, is_too_much })
}
