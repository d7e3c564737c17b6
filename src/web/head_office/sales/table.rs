//! The list of sales, as the page shows it.

use super::ask::{Asking, place_of, sort_place_of};
use super::show::{Link, PATH};
use crate::head_office::sales::{Position, SORT_LIMIT, Sale, SalesPage, SortColumn, SortPosition, Towards};
use crate::web::words::grouped;

/// The sales themselves.
pub(super) struct List {
    pub(super) page: SalesPage,
    /// There were too many to be sorted.
    pub(super) is_too_much: bool,
}

pub(super) struct TableView {
    pub(super) heads: Vec<Head>,
    pub(super) sales: Vec<Row>,
    pub(super) newer: Option<String>,
    pub(super) older: Option<Link>,
    pub(super) looked_to: Option<String>,
    pub(super) too_many: Option<String>,
}

pub(super) struct Head {
    pub(super) words: &'static str,
    pub(super) address: String,
    pub(super) is_number: bool,
    /// For `aria-sort`; empty if it is not sorted by this one.
    pub(super) order: &'static str,
}

pub(super) struct Row {
    pub(super) branch: String,
    pub(super) id: String,
    pub(super) cells: [Cell; 8],
}

/// What stands in one of the columns behind the number.
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) label: &'static str,
    /// Where it stands, also on a phone.
    pub(super) class: &'static str,
}

impl TableView {
    pub(super) fn of(asking: &Asking, list: List) -> Self {
        let SalesPage { sales, has_more, looked_to } = list.page;
        let place = |sale: &Sale| match asking.sort {
            None => place_of(&Position {
                day: sale.date.clone().unwrap_or_default(),
                branch: sale.branch.clone(),
                id: Some(sale.id),
            }),
            Some(column) => sort_place_of(&SortPosition {
                value: column.value_of(sale),
                branch: sale.branch.clone(),
                id: sale.id,
            }),
        };
        // What lies in the direction of reading is known; on the side where one came from there is something.
        let (has_before, has_behind) =
            if asking.is_back { (has_more, true) } else { (asking.after.is_some(), has_more) };
        let first = sales.first().map(&place);
        let behind = looked_to.as_ref().map(place_of).or_else(|| sales.last().map(&place));
        let newer = first.filter(|_| has_before && asking.id.is_none());
        let older = behind.filter(|_| has_behind && asking.id.is_none());
        let further = if looked_to.is_some() { "Look further" } else { "Next" };
        Self {
            heads: heads(asking),
            newer: newer.map(|place| asking.address(PATH, &[("after", &place), ("back", "1")])),
            older: older.map(|place| Link {
                words: further.to_owned(),
                address: asking.address(PATH, &[("after", &place)]),
                is_here: false,
            }),
            looked_to: looked_to.map(|place| place.day),
            too_many: list.is_too_much.then(|| {
                format!(
                    "More than {} sales are not sorted by anything but their days. Choose a shorter period, or a branch.",
                    grouped(&SORT_LIMIT)
                )
            }),
            sales: sales.iter().map(Row::of).collect(),
        }
    }
}

fn heads(asking: &Asking) -> Vec<Head> {
    let columns = SortColumn::ALL.map(Some).into_iter();
    let mut all: Vec<Option<SortColumn>> = columns.collect();
    // After the branch, the number, by which nothing is sorted.
    all.insert(1, None);
    let head = |column: Option<SortColumn>| {
        let name = column.map_or("date", SortColumn::as_str);
        let is_here = asking.sort == column;
        let is_down = asking.towards == Towards::Older;
        let order = match (is_here, is_down) {
            (false, _) => "",
            (true, true) => "descending",
            (true, false) => "ascending",
        };
        let next = if is_here && is_down { "up" } else { "" };
        Head {
            words: words_of(column),
            address: asking
                .address(PATH, &[("sort", if name == "date" { "" } else { name }), ("direction", next)]),
            is_number: column.is_some_and(SortColumn::is_number),
            order,
        }
    };
    all.into_iter().map(head).collect()
}

pub(super) fn words_of(column: Option<SortColumn>) -> &'static str {
    match column {
        None => "Date",
        Some(SortColumn::Branch) => "Branch",
        Some(SortColumn::Region) => "Region",
        Some(SortColumn::Product) => "Product",
        Some(SortColumn::Qty) => "Qty",
        Some(SortColumn::Cost) => "Price",
        Some(SortColumn::Amt) => "Amount",
        Some(SortColumn::Tax) => "Tax",
        Some(SortColumn::Total) => "Total",
    }
}

impl Row {
    fn of(sale: &Sale) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let number = |value: &Option<String>| value.as_ref().map(grouped).unwrap_or_default();
        Self {
            branch: sale.branch.clone(),
            id: sale.id.to_string(),
            cells: [
                (text(&sale.date), None, "bare"),
                (text(&sale.region), Some(SortColumn::Region), "bare"),
                (text(&sale.product), Some(SortColumn::Product), "first"),
                (number(&sale.qty), Some(SortColumn::Qty), "num"),
                (number(&sale.cost), Some(SortColumn::Cost), "num"),
                // It is the total less the tax.
                (number(&sale.amt), Some(SortColumn::Amt), "num not-on-phone"),
                (number(&sale.tax), Some(SortColumn::Tax), "num"),
                (number(&sale.total), Some(SortColumn::Total), "num end"),
            ]
            .map(|(text, column, class)| Cell { text, label: words_of(column), class }),
        }
    }
}
