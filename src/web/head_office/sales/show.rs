//! The page's words and figures.

use askama::Template;

use super::ask::{Asking, Period, SalesQuery};
use super::figures::TotalsView;
use super::table::{List, TableView, words_of};
use crate::head_office::sales::{SalesFilter, SalesTable, SalesTotals, SortColumn};
use crate::web::page::Frame;

pub(super) const PATH: &str = "/sales";

/// What was found.
pub(super) struct Shown {
    pub(super) branches: Vec<String>,
    pub(super) list: Option<List>,
    pub(super) totals: Option<SalesTotals>,
    /// Whether there is a table that can be shown.
    pub(super) state: SalesTable,
}

/// The page.
#[derive(Template)]
#[template(path = "head_office/sales.html")]
pub(super) struct SalesView {
    frame: Frame,
    query: SalesQuery,
    branches: Vec<String>,
    periods: Vec<Link>,
    state: SalesTable,
    totals: Option<TotalsView>,
    table: Option<TableView>,
    is_filtered: bool,
    is_first: bool,
    file: String,
    exact_file: String,
}

/// An address with its words.
pub(super) struct Link {
    pub(super) words: String,
    pub(super) address: String,
    pub(super) is_here: bool,
}

impl SalesView {
    pub(super) fn of(frame: Frame, asking: &Asking, shown: Shown) -> Self {
        let Shown { branches, list, totals, state } = shown;
        let query = asking.query.clone();
        let is_filtered = asking.filter != SalesFilter::default() || asking.id.is_some();
        Self {
            frame,
            branches,
            periods: periods(asking),
            state,
            totals: totals.map(|totals| TotalsView::of(asking, totals)),
            table: list.map(|list| TableView::of(asking, list)),
            is_filtered,
            is_first: asking.after.is_none(),
            file: asking.address("/sales.csv", &UNSORTED),
            exact_file: asking.address("/sales.csv", &[&UNSORTED[..], &[("texts", "exact")]].concat()),
            query,
        }
    }

    /// What sales can be sorted by: for the address, and in words.
    fn orders() -> impl Iterator<Item = (&'static str, &'static str)> {
        let columns = SortColumn::ALL.into_iter().map(|column| (column.as_str(), words_of(Some(column))));
        std::iter::once(("", words_of(None))).chain(columns)
    }
}

const UNSORTED: [(&str, &str); 2] = [("sort", ""), ("direction", "")];

fn periods(asking: &Asking) -> Vec<Link> {
    let names = [
        ("week", Period::Week, "This week"),
        ("month", Period::Month, "This month"),
        ("", Period::All, "All"),
    ];
    let link = |(value, period, words): (&str, Period, &str)| Link {
        words: words.to_owned(),
        address: asking.address(PATH, &[("period", value), ("from", ""), ("to", "")]),
        is_here: asking.period == period,
    };
    names.map(link).into()
}
