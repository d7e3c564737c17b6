//! The page's words and figures.

use askama::Template;

use super::ask::{Asking, Period, SalesQuery, place_of, sort_place_of};
use super::chart::{Chart, bars, chart};
use super::name::{MISSING, as_written};
use crate::head_office::sales::{
    Figures, LIVE_LIMIT, Position, SORT_LIMIT, Sale, SalesFilter, SalesPage, SalesTable, SalesTotals, Share,
    Shares, SortColumn, SortPosition, Towards,
};
use crate::web::page::Frame;
use crate::web::words::grouped;

const PATH: &str = "/sales";
/// So many columns have their names below them, a week's.
const FEW: usize = 7;

/// What was found.
pub(super) struct Shown {
    pub(super) branches: Vec<String>,
    pub(super) list: Option<List>,
    pub(super) totals: Option<SalesTotals>,
    /// Whether there is a table that can be shown.
    pub(super) state: SalesTable,
}

/// The sales themselves.
pub(super) struct List {
    pub(super) page: SalesPage,
    /// There were too many to be sorted.
    pub(super) is_too_much: bool,
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

pub(super) struct TotalsView {
    stats: Vec<(&'static str, String)>,
    /// What is not in the figures.
    behind: Option<String>,
    days: Option<DaysView>,
    lists: Vec<ListView>,
    /// Which lists there are none of, and why.
    without: Option<String>,
}

struct DaysView {
    heading: &'static str,
    unit: &'static str,
    chart: Chart,
    /// What stands below the columns: what each is of if they are few, else the first and the last.
    labels: Vec<String>,
    lines: Vec<Line>,
    /// How many earlier ones there are.
    others: Option<String>,
}

struct ListView {
    heading: &'static str,
    unit: &'static str,
    lines: Vec<Line>,
    others: Option<String>,
}

struct Line {
    name: String,
    /// None if no address can say it.
    address: Option<String>,
    rows: String,
    qty: String,
    total: String,
    bar: String,
}

pub(super) struct TableView {
    heads: Vec<Head>,
    sales: Vec<Row>,
    newer: Option<String>,
    older: Option<Link>,
    looked_to: Option<String>,
    too_many: Option<String>,
}

struct Head {
    words: &'static str,
    address: String,
    is_number: bool,
    /// For `aria-sort`; empty if it is not sorted by this one.
    order: &'static str,
}

struct Row {
    branch: String,
    id: String,
    cells: [Cell; 8],
}

/// What stands in one of the columns behind the number.
struct Cell {
    text: String,
    label: &'static str,
    /// Where it stands, also on a phone.
    class: &'static str,
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
}

impl SalesView {
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

impl TotalsView {
    fn of(asking: &Asking, totals: SalesTotals) -> Self {
        let Figures { rows, qty, amt, tax, total } = totals.all.unwrap_or_default();
        let stats = if qty.is_empty() {
            Vec::new()
        } else {
            vec![
                ("Sales", grouped(&rows)),
                ("Pieces", grouped(&qty)),
                ("Without tax", grouped(&amt)),
                ("Tax", grouped(&tax)),
                ("Total", grouped(&total)),
            ]
        };
        let lists = [
            ("By region", "Region", "region", totals.by_region),
            ("By product", "Product", "product", totals.by_product),
            ("By branch", "Branch", "branch", totals.by_branch),
        ];
        let lacking: Vec<&str> =
            lists.iter().filter(|(.., shares)| shares.is_none()).map(|(_, unit, ..)| *unit).collect();
        let without = (!lacking.is_empty()).then(|| {
            format!(
                "Totals by {} with this filter are added up for at most {} sales: choose a shorter period.",
                lacking.join(" and ").to_lowercase(),
                grouped(&LIVE_LIMIT)
            )
        });
        let lists = lists.into_iter().filter_map(|(heading, unit, field, shares)| {
            Some(ListView::of(asking, heading, unit, field, &shares?))
        });
        Self {
            stats,
            behind: totals.backlog.filter(|backlog| !backlog.is_empty()).map(|backlog| {
                let days = grouped(&backlog.days);
                match &backlog.branches[..] {
                    [] => format!("These figures are being brought up to date: {days} business days are still as they were before the last bundles."),
                    branches => format!(
                        "These figures are being brought up to date: what has come of {} is not in them yet, and {days} other business days are still as they were.",
                        few(branches)
                    ),
                }
            }),
            days: totals.by_day.map(|shares| DaysView::of(asking, &shares, totals.by_month)),
            lists: lists.collect(),
            without,
        }
    }
}

impl DaysView {
    fn of(asking: &Asking, shares: &Shares, by_month: bool) -> Self {
        let (shares, earlier) = (&shares.told[..], shares.others);
        let (heading, unit) = if by_month { ("By month", "Month") } else { ("By day", "Day") };
        let address = |share: &Share| {
            let name = share.name.as_deref().unwrap_or_default();
            let (from, to) = if by_month { month(name) } else { (name.to_owned(), name.to_owned()) };
            asking.address(PATH, &[("period", ""), ("from", &from), ("to", &to)])
        };
        let labels: Vec<&Share> = match shares {
            [first, .., last] if shares.len() > FEW => vec![first, last],
            few => few.iter().collect(),
        };
        let tell = |share: &Share| {
            (format!("{}: {}", name_of(share), grouped(&share.figures.total)), address(share))
        };
        let lines = shares.iter().map(|share| Line::of(share, Some(address(share)), String::new())).collect();
        Self {
            heading,
            unit,
            chart: chart(shares, tell),
            labels: labels.into_iter().map(name_of).collect(),
            lines,
            others: (earlier > 0).then(|| format!("and {} earlier ones: choose a period", grouped(&earlier))),
        }
    }
}

/// First and last day of a month, as its name says it.
fn month(name: &str) -> (String, String) {
    let first = chrono::NaiveDate::parse_from_str(&format!("{name}-01"), "%Y-%m-%d").ok();
    let next = first.and_then(|first| first.checked_add_months(chrono::Months::new(1)));
    let text = |day: Option<chrono::NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    (text(first), text(next.and_then(|day| day.pred_opt())))
}

impl ListView {
    fn of(asking: &Asking, heading: &'static str, unit: &'static str, field: &str, shares: &Shares) -> Self {
        let Shares { told, others } = shares;
        let line = |(share, bar): (&Share, String)| {
            let name = as_written(share.name.as_deref());
            Line::of(share, name.map(|name| asking.address(PATH, &[(field, &name)])), bar)
        };
        Self {
            heading,
            unit,
            lines: told.iter().zip(bars(told)).map(line).collect(),
            others: (*others > 0).then(|| format!("and {} more with less", grouped(others))),
        }
    }
}

impl Line {
    fn of(share: &Share, address: Option<String>, bar: String) -> Self {
        let Figures { rows, qty, total, .. } = &share.figures;
        Self {
            name: name_of(share),
            address,
            rows: grouped(&rows),
            qty: grouped(&qty),
            total: grouped(&total),
            bar,
        }
    }
}

/// The first of them, and how many others there are.
fn few(branches: &[String]) -> String {
    let named = branches.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match branches.len().saturating_sub(3) {
        0 => named,
        others => format!("{named} and {others} others"),
    }
}

fn name_of(share: &Share) -> String {
    match share.name.as_deref() {
        None => MISSING.to_owned(),
        // What cannot be seen is told like this.
        Some(name) if name.trim().is_empty() => format!("\"{name}\""),
        Some(name) => name.to_owned(),
    }
}

impl TableView {
    fn of(asking: &Asking, list: List) -> Self {
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

fn words_of(column: Option<SortColumn>) -> &'static str {
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
