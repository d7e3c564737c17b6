//! The sales of a period in another order than that of their days.

use postgres::{Client, Transaction};

use super::filter::{SalesFilter, all, literal};
use super::shape::FROM;
use super::statement::{Sale, begin, by_days, failed, first_of};
use super::walk::{SalesPage, Towards};
use crate::domain::Failure;

/// So many sales are sorted for a page, and no more: they are read for each.
pub const SORT_LIMIT: i64 = 30_000;

/// What sales can be sorted by, besides their days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortColumn {
    /// The branch.
    Branch,
    /// The region.
    Region,
    /// The product.
    Product,
    /// Pieces.
    Qty,
    /// The price of one.
    Cost,
    /// The amount without tax.
    Amt,
    /// The tax.
    Tax,
    /// The amount with tax.
    Total,
}

/// A place in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortPosition {
    /// The value that is sorted by.
    pub value: String,
    /// The branch.
    pub branch: String,
    /// The number.
    pub id: i64,
}

/// What became of a wish to sort.
#[derive(Debug, Clone)]
pub enum Sorted {
    /// Done.
    Page(SalesPage),
    /// There are more than [`SORT_LIMIT`] in the period.
    TooMany,
}

impl SortColumn {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Branch, Self::Region, Self::Product, Self::Qty, Self::Cost, Self::Amt, Self::Tax, Self::Total];

    /// The column's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Region => "region",
            Self::Product => "product",
            Self::Qty => "qty",
            Self::Cost => "cost",
            Self::Amt => "amt",
            Self::Tax => "tax",
            Self::Total => "total",
        }
    }

    /// Whether its values are numbers.
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Branch | Self::Region | Self::Product)
    }

    /// The value of a sale, as it is compared.
    pub fn value_of(self, sale: &Sale) -> String {
        let value = match self {
            Self::Branch => Some(&sale.branch),
            Self::Region => sale.region.as_ref(),
            Self::Product => sale.product.as_ref(),
            Self::Qty => sale.qty.as_ref(),
            Self::Cost => sale.cost.as_ref(),
            Self::Amt => sale.amt.as_ref(),
            Self::Tax => sale.tax.as_ref(),
            Self::Total => sale.total.as_ref(),
        };
        value.cloned().unwrap_or_else(|| self.in_place_of_null().to_owned())
    }

    fn in_place_of_null(self) -> &'static str {
        if self.is_number() { "NaN" } else { "" }
    }

    /// What is compared: nothing is NULL, or a place could not be told from another.
    fn sql(self) -> String {
        let (name, none) = (self.as_str(), self.in_place_of_null());
        let type_name = if self.is_number() { "numeric" } else { "text" };
        format!("coalesce(t.{name}::{type_name}, '{none}')")
    }
}

/// The next `limit` sales in the order of `column`, the greatest first if `towards` older.
pub fn sorted_sales(
    client: &mut Client,
    filter: &SalesFilter,
    column: SortColumn,
    towards: Towards,
    after: Option<&SortPosition>,
    limit: usize,
) -> Result<Sorted, Failure> {
    let mut transaction = begin(client)?;
    let count = count_up_to(&mut transaction, filter, SORT_LIMIT)?;
    if count > SORT_LIMIT {
        return Ok(Sorted::TooMany);
    }
    let (operator, direction) = if towards == Towards::Older { ("<", "DESC") } else { (">", "ASC") };
    let value = column.sql();
    let mut conditions = vec![filter.condition()];
    conditions.extend(after.map(|SortPosition { value: last, branch, id }| {
        format!("({value}, t.branch, t.id) {operator} ({}, {}, {id})", literal(last), literal(branch))
    }));
    let order = format!("{value} {direction}, t.branch {direction}, t.id {direction}");
    let sql = first_of(&all(&conditions), &order, limit + 1);
    let rows = by_days(&mut transaction, &sql)?;
    let sales = rows.iter().take(limit).map(Sale::of).collect();
    Ok(Sorted::Page(SalesPage { sales, has_more: rows.len() > limit, looked_to: None }))
}

/// Branches' days that are counted first, and then, before all are: mostly they are more than enough.
const FIRST_DAYS: [i64; 2] = [500, 5000];

/// How many sales the filter's days and branch have, as the branches have stated it; if that is more than `limit`,
/// some number that is. Where they have stated nothing, counted.
pub(super) fn count_up_to(
    transaction: &mut Transaction<'_>,
    filter: &SalesFilter,
    limit: i64,
) -> Result<i64, Failure> {
    for days in FIRST_DAYS.into_iter().chain([i64::MAX]) {
        let stated = format!(
            "SELECT coalesce(sum(row_count), 0)::bigint, count(*) FROM (
                 SELECT d.row_count FROM salesync.day_total d WHERE {} LIMIT {days}) d",
            filter.stated()
        );
        let row = transaction.query_one(&stated, &[]).map_err(|error| failed(&error))?;
        let (rows, found): (i64, i64) = (row.get(0), row.get(1));
        if rows > limit || rows > 0 && found < days {
            return Ok(rows);
        }
    }
    let of_all = SalesFilter { region: None, product: None, ..filter.clone() };
    let counted = format!(
        "SELECT count(*) FROM (SELECT FROM {FROM} WHERE {} LIMIT {}) t",
        of_all.condition(),
        limit + 1
    );
    let rows = by_days(transaction, &counted)?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}
