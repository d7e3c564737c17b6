//! The totals, as the page shows them.

use chrono::{Datelike as _, NaiveDate};

use super::ask::Asking;
use super::chart::{Chart, bars, chart};
use super::name::{MISSING, as_written};
use super::show::PATH;
use crate::head_office::sales::{Figures, LIVE_LIMIT, SalesTotals, Share, Shares};
use crate::web::words::grouped;

/// So many columns have their names below them, a week's.
const FEW: usize = 7;
/// A drawing has no room for more columns.
const MOST_PLACES: usize = 400;

pub(super) struct TotalsView {
    pub(super) stats: Vec<(&'static str, String)>,
    /// What is not in the figures.
    pub(super) behind: Option<String>,
    pub(super) days: Option<DaysView>,
    pub(super) lists: Vec<ListView>,
    /// Which lists there are none of, and why.
    pub(super) without: Option<String>,
}

pub(super) struct DaysView {
    pub(super) heading: &'static str,
    pub(super) unit: &'static str,
    pub(super) chart: Chart,
    /// What stands below the columns: what each place is of if they are few, else the first and the last.
    pub(super) labels: Vec<String>,
    pub(super) is_each_told: bool,
    pub(super) lines: Vec<Line>,
    /// How many earlier ones there are.
    pub(super) others: Option<String>,
}

pub(super) struct ListView {
    pub(super) heading: &'static str,
    pub(super) unit: &'static str,
    pub(super) lines: Vec<Line>,
    pub(super) others: Option<String>,
}

pub(super) struct Line {
    pub(super) name: String,
    /// None if no address can say it.
    pub(super) address: Option<String>,
    pub(super) rows: String,
    pub(super) qty: String,
    pub(super) total: String,
    pub(super) bar: String,
}

impl TotalsView {
    pub(super) fn of(asking: &Asking, totals: SalesTotals) -> Self {
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
        let places = places(shares, by_month).unwrap_or_else(|| (0..shares.len()).collect());
        let count = places.last().map_or(0, |last| last + 1);
        let is_each_told = count <= FEW;
        let told_at = |place: usize| {
            let share = shares.iter().zip(&places).find(|(_, of_share)| **of_share == place);
            share.map(|(share, _)| name_of(share)).unwrap_or_default()
        };
        let labels = if is_each_told {
            (0..count).map(told_at).collect()
        } else {
            [shares.first(), shares.last()].into_iter().flatten().map(name_of).collect()
        };
        let tell = |share: &Share| {
            (format!("{}: {}", name_of(share), grouped(&share.figures.total)), address(share))
        };
        let lines = shares.iter().map(|share| Line::of(share, Some(address(share)), String::new())).collect();
        Self {
            heading,
            unit,
            chart: chart(shares, &places, tell),
            labels,
            is_each_told,
            lines,
            others: (earlier > 0).then(|| format!("and {} earlier ones: choose a period", grouped(&earlier))),
        }
    }
}

/// Where on the chart each day or month stands, so that one on which nothing was sold is seen as that. None if it would
/// be too wide, or one is on no calendar.
fn places(shares: &[Share], by_month: bool) -> Option<Vec<usize>> {
    let number = |share: &Share| {
        let name = share.name.as_deref()?;
        let first = if by_month { format!("{name}-01") } else { name.to_owned() };
        let day = NaiveDate::parse_from_str(&first, "%Y-%m-%d").ok()?;
        let month = day.month0().try_into().ok().map(|month: i32| day.year() * 12 + month);
        if by_month { month } else { Some(day.num_days_from_ce()) }
    };
    let numbers = shares.iter().map(number).collect::<Option<Vec<i32>>>()?;
    let first = *numbers.first()?;
    let place = |number: i32| usize::try_from(number.checked_sub(first)?).ok();
    let places = numbers.into_iter().map(place).collect::<Option<Vec<usize>>>()?;
    (places.is_sorted() && *places.last()? < MOST_PLACES).then_some(places)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_without_sales_have_their_place_on_the_chart() {
        let of = |names: &[&str], by_month| {
            let share = |name: &&str| Share { name: Some((*name).to_owned()), figures: Figures::default() };
            places(&names.iter().map(share).collect::<Vec<_>>(), by_month)
        };
        assert_eq!(of(&["2026-02-27", "2026-03-01", "2026-03-02"], false), Some(vec![0, 2, 3]));
        assert_eq!(of(&["2025-11", "2026-01"], true), Some(vec![0, 2]));
        assert_eq!(of(&["2026-01-01"], false), Some(vec![0]));
        // Too far apart, or on no calendar: one beside the other.
        assert_eq!(of(&["0001-01-01", "9999-12-31"], false), None);
        assert_eq!(of(&["2026-01-01", "infinity"], false), None);
        assert_eq!(of(&[], false), None);
    }
}
