//! Totals of the sales: by day or month, region, product, branch.

use std::collections::BTreeMap;

use postgres::{Client, Row, Transaction};

use super::filter::{SalesFilter, all, literal};
use super::known::{Backlog, backlog, is_complete, table_by};
use super::shape::FROM;
use super::sorted::count_up_to;
use super::statement::{begin, by_days, failed};
use crate::domain::Failure;

/// So many sales are added up while somebody waits; of more the summary is shown.
pub const LIVE_LIMIT: i64 = 30_000;
/// A period of more days is told by months.
const MOST_DAYS: i64 = 92;
/// Of more months the latest are told: those of twenty years.
const MOST_STEPS: usize = 240;
/// Regions, products and branches of which is told; the others are a number.
const MOST_NAMES: usize = 10;

/// Exact sums, as PostgreSQL writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sales.
    pub rows: i64,
    /// Pieces.
    pub qty: String,
    /// Amounts without tax.
    pub amt: String,
    /// Taxes.
    pub tax: String,
    /// Amounts with tax.
    pub total: String,
}

/// The figures of one day or month, region, product or branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which; none where it is NULL.
    pub name: Option<String>,
    /// Its figures.
    pub figures: Figures,
}

/// The figures of some, and how many others there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    /// Those that are told.
    pub told: Vec<Share>,
    /// How many are not.
    pub others: i64,
}

/// The totals of a filter's sales. What is none cannot be told of so many.
#[derive(Debug, Clone, Default)]
pub struct SalesTotals {
    /// Of all of them.
    pub all: Option<Figures>,
    /// By business day, or by month where [`by_month`](Self::by_month) says so; the latest, in their order.
    pub by_day: Option<Shares>,
    /// Whether `by_day` has months.
    pub by_month: bool,
    /// By region, the greatest total first.
    pub by_region: Option<Shares>,
    /// By product, the same.
    pub by_product: Option<Shares>,
    /// By branch, the same.
    pub by_branch: Option<Shares>,
    /// What is not in these figures yet; none if they were added up just now.
    pub backlog: Option<Backlog>,
}

/// Adds up the filter's sales, or takes them from the summary where there are many.
pub fn sales_totals(client: &mut Client, filter: &SalesFilter) -> Result<SalesTotals, Failure> {
    let mut transaction = begin(client)?;
    let stated = count_up_to(&mut transaction, filter, LIVE_LIMIT)?;
    let by_month = days_of(&mut transaction, filter)? > MOST_DAYS;
    // What it cannot tell of a branch, or of a region or product, is added up if that is possible.
    let is_of_all = !filter.is_of_some() && filter.branch.is_none();
    let is_known = is_of_all && is_complete(&mut transaction, filter)?;
    let mut totals = if !is_known && stated <= LIVE_LIMIT {
        live(&mut transaction, filter, by_month)?
    } else {
        summed_up(&mut transaction, filter, by_month)?
    };
    totals.by_month = by_month;
    Ok(totals)
}

/// From the first day with sales in the period to the last.
fn days_of(transaction: &mut Transaction<'_>, filter: &SalesFilter) -> Result<i64, Failure> {
    let bound = |function: &str| {
        // An index has them at its ends.
        let direction = if function == "first" { "ASC" } else { "DESC" };
        format!(
            "(SELECT d.day FROM salesync.day_total d WHERE {} AND isfinite(d.day) ORDER BY d.day {direction} LIMIT 1)",
            filter.stated()
        )
    };
    let sql = format!("SELECT coalesce(({} - {})::bigint, 0)", bound("last"), bound("first"));
    Ok(transaction.query_one(&sql, &[]).map_err(|error| failed(&error))?.get(0))
}

const SUMS: &str =
    "count(*), coalesce(sum(t.qty), 0)::text, coalesce(sum(t.amt), 0)::text, coalesce(sum(t.tax), 0)::text,
                    coalesce(sum(t.total), 0)::text";

/// The same of rows that are sums already.
const SUMS_OF_SUMS: &str = "coalesce(sum(t.row_count), 0)::bigint, coalesce(sum(t.qty), 0)::text, \
                            coalesce(sum(t.amt), 0)::text, coalesce(sum(t.tax), 0)::text, coalesce(sum(t.total), 0)::text";

/// Reads the table itself, once.
fn live(
    transaction: &mut Transaction<'_>,
    filter: &SalesFilter,
    by_month: bool,
) -> Result<SalesTotals, Failure> {
    let sql = format!(
        "SELECT grouping(day, region, product, branch), CASE grouping(day, region, product, branch)
                    WHEN 7 THEN day WHEN 11 THEN region WHEN 13 THEN product WHEN 14 THEN branch END, {SUMS}
         FROM (SELECT {} AS day, t.region::text, t.product::text, t.branch::text, t.qty, t.amt, t.tax, t.total
               FROM {FROM} WHERE {}) t
         GROUP BY GROUPING SETS ((day), (region), (product), (branch), ()) ORDER BY sum(t.total) DESC NULLS LAST, 2",
        day_or_month("t.date", by_month),
        filter.condition(),
    );
    let rows = by_days(transaction, &sql)?;
    let mut kinds: BTreeMap<i32, Vec<Share>> = BTreeMap::new();
    for row in &rows {
        kinds.entry(row.get(0)).or_default().push(share(row, 1));
    }
    let mut take = |kind| Some(kinds.remove(&kind).unwrap_or_default());
    let all = take(15).and_then(|shares| shares.into_iter().next());
    Ok(SalesTotals {
        all: all.map(|share| share.figures),
        by_day: take(7).map(in_order).map(the_latest),
        by_region: take(11).map(the_first),
        by_product: take(13).map(the_first),
        by_branch: take(14).map(the_first),
        ..SalesTotals::default()
    })
}

/// Takes them from the summary, which has days and months by branch, and by region and product.
fn summed_up(
    transaction: &mut Transaction<'_>,
    filter: &SalesFilter,
    by_month: bool,
) -> Result<SalesTotals, Failure> {
    let mut totals = SalesTotals { backlog: Some(backlog(transaction, filter)?), ..SalesTotals::default() };
    let mut conditions = filter.names();
    let (of_names, of_branch) = (filter.is_of_some(), filter.branch.is_some());
    if of_branch && of_names {
        return Ok(totals);
    }
    conditions.extend(filter.branch.as_ref().map(|name| format!("t.branch = {}", literal(name.as_str()))));
    let mut read = |(table, name): (&str, &str), period: &str, (order, most): (&str, usize)| {
        let sql = format!(
            "SELECT {name}, {SUMS_OF_SUMS}, count(*) OVER () FROM {table} t WHERE {} AND {period} GROUP BY 1
             ORDER BY {order} LIMIT {most}",
            all(&conditions)
        );
        let rows = transaction.query(&sql, &[]).map_err(|error| failed(&error))?;
        let told: Vec<_> = rows.iter().map(|row| share(row, 0)).collect();
        let found: i64 = rows.first().map_or(0, |row| row.get(6));
        let others = found.saturating_sub_unsigned(told.len() as u64);
        Ok::<_, Failure>(Shares { told, others })
    };
    let (region, product) = (filter.region.is_some(), filter.product.is_some());
    let (source, pieces) = (table_by(region, product), in_pieces(filter));
    let greatest = ("sum(t.total) DESC NULLS LAST, 1", MOST_NAMES);
    let whole = read((source, "'all'"), &pieces, greatest)?;
    totals.all = whole.told.into_iter().next().map(|share| share.figures);
    let days = || all(&[vec!["NOT t.is_month".to_owned()], filter.days("t.first_day")].concat());
    let steps = if by_month { pieces.clone() } else { days() };
    let step = day_or_month("t.first_day", by_month);
    let by_day = read((source, &step), &steps, ("1 DESC", MOST_STEPS))?;
    totals.by_day = Some(Shares { told: in_order(by_day.told), ..by_day });
    if !of_branch {
        totals.by_region = Some(read((table_by(true, product), "t.region"), &pieces, greatest)?);
        totals.by_product = Some(read((table_by(region, true), "t.product"), &pieces, greatest)?);
    }
    if !of_names {
        totals.by_branch = Some(read((source, "t.branch"), &pieces, greatest)?);
    }
    Ok(totals)
}

/// The period as whole months, and the days before and behind them.
fn in_pieces(filter: &SalesFilter) -> String {
    let begin = filter.from.map(|day| {
        format!("date_trunc('month', {} + interval '1 month' - interval '1 day')::date", date(day))
    });
    let end = filter.to.map(|day| format!("date_trunc('month', {} + interval '1 day')::date", date(day)));
    let mut months = vec!["t.is_month".to_owned()];
    let mut days = Vec::new();
    if let Some(begin) = &begin {
        months.push(format!("t.first_day >= {begin}"));
        days.push(format!("t.first_day < {begin}"));
    }
    if let Some(end) = &end {
        months.push(format!("t.first_day < {end}"));
        days.push(format!("t.first_day >= {end}"));
    }
    if days.is_empty() {
        return all(&months);
    }
    let mut edges = vec!["NOT t.is_month".to_owned(), format!("({})", days.join(" OR "))];
    edges.extend(filter.days("t.first_day"));
    format!("(({}) OR ({}))", all(&months), all(&edges))
}

fn date(day: chrono::NaiveDate) -> String {
    format!("{}::date", literal(&day.to_string()))
}

fn day_or_month(day: &str, by_month: bool) -> String {
    if by_month { format!("to_char({day}, 'YYYY-MM')") } else { format!("{day}::text") }
}

fn in_order(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_by(|one, other| one.name.cmp(&other.name));
    shares
}

fn the_latest(mut shares: Vec<Share>) -> Shares {
    let others = shares.len().saturating_sub(MOST_STEPS);
    shares.drain(..others);
    Shares { told: shares, others: i64::try_from(others).unwrap_or(i64::MAX) }
}

fn the_first(mut shares: Vec<Share>) -> Shares {
    let others = shares.len().saturating_sub(MOST_NAMES);
    shares.truncate(MOST_NAMES);
    Shares { told: shares, others: i64::try_from(others).unwrap_or(i64::MAX) }
}

fn share(row: &Row, at: usize) -> Share {
    let text = |index: usize| row.get(at + index);
    let figures = Figures { rows: row.get(at + 1), qty: text(2), amt: text(3), tax: text(4), total: text(5) };
    Share { name: row.get(at), figures }
}
