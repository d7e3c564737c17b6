//! Looking through the sales, newest day first, a page at a time.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use postgres::{GenericClient, Row};
use rust_decimal::Decimal;

use super::shape::check_sales;
use crate::branch::import::{Field, Sale};
use crate::database::database_failure;
use crate::domain::{Failure, is_day};

/// A sale as it stands in the table, every value as the database prints it; what is NULL is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSale {
    /// Its number.
    pub id: i64,
    /// Changes with every change of the row.
    pub version: String,
    values: [String; Field::ALL.len()],
}

impl SavedSale {
    /// The value of this field.
    pub fn get(&self, field: Field) -> &str {
        &self.values[field as usize]
    }

    /// Whether its values are those of this one.
    pub fn says(&self, sale: &Sale) -> bool {
        let Sale { date, region, product, qty, cost, amt, tax, total } = sale;
        let is = |field, money: &Decimal| {
            Decimal::from_str_exact(self.get(field)).is_ok_and(|found| found == *money)
        };
        self.get(Field::Date) == date.to_string()
            && (self.get(Field::Region), self.get(Field::Product)) == (region, product)
            && self.get(Field::Qty) == qty.to_string()
            && is(Field::Cost, cost)
            && is(Field::Amt, amt)
            && is(Field::Tax, tax)
            && is(Field::Total, total)
    }

    /// Where it stands in the list.
    pub fn place(&self) -> Place {
        Place { date: self.get(Field::Date).to_owned(), id: self.id }
    }
}

/// Which sales are wanted; those that fit everything that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SalesFilter {
    /// Of this business day or a later one.
    pub from: Option<NaiveDate>,
    /// Of this business day or an earlier one.
    pub to: Option<NaiveDate>,
    /// Of this region, whatever the case of its letters.
    pub region: Option<String>,
    /// Of products with this in their name, whatever the case of its letters.
    pub product: Option<String>,
    /// With this number.
    pub id: Option<i64>,
}

/// A place in the list of sales: what comes after it is older. Reads and prints as `2021-04-29,17`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As the database prints it.
    date: String,
    id: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.date, self.id)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (date, id) = text.split_once(',').ok_or(())?;
        if !is_day(date) {
            return Err(());
        }
        Ok(Self { date: date.to_owned(), id: id.parse().map_err(drop)? })
    }
}

/// What is not asked for is NULL, and the planner leaves it out. The comparison of the date alone is what an index
/// on it serves; and the order is that of the columns, which a bare `date` would not be: that is the text of it.
const SALES: &str = "
    SELECT s.id::bigint, s.xmin::text, s.date::text, s.region::text, s.product::text, s.qty::text, s.cost::text,
           s.amt::text, s.tax::text, s.total::text
    FROM public.sales s
    WHERE ($2::date IS NULL OR s.date >= $2) AND ($3::date IS NULL OR s.date <= $3)
      AND ($4::text IS NULL OR lower(s.region) = lower($4))
      AND ($5::text IS NULL OR position(lower($5) IN lower(s.product)) > 0)
      AND ($6::bigint IS NULL OR s.id = $6)
      AND ($7::text IS NULL OR s.date <= $7::date AND (s.date, s.id) < ($7::date, $8::bigint))
    ORDER BY s.date DESC, s.id DESC LIMIT $1";

/// The sales that fit the filter, newest day first, those of a day by descending number: so many of them, from
/// the top or from what comes after a place.
pub fn list_sales(
    client: &mut impl GenericClient,
    filter: &SalesFilter,
    after: Option<&Place>,
    count: i64,
) -> Result<Vec<SavedSale>, Failure> {
    check_sales(client)?;
    let SalesFilter { from, to, region, product, id } = filter;
    let (last_date, last_id) = after.map(|place| (&place.date, place.id)).unzip();
    let rows = client
        .query(SALES, &[&count, from, to, region, product, id, &last_date, &last_id])
        .map_err(|error| database_failure("looking through the sales", &error))?;
    Ok(rows.iter().map(saved).collect())
}

/// The sale with this number, if there is one.
pub fn find_sale(client: &mut impl GenericClient, id: i64) -> Result<Option<SavedSale>, Failure> {
    let filter = SalesFilter { id: Some(id), ..SalesFilter::default() };
    Ok(list_sales(client, &filter, None, 1)?.pop())
}

fn saved(row: &Row) -> SavedSale {
    let value = |place: usize| row.get::<_, Option<String>>(place).unwrap_or_default();
    SavedSale { id: row.get(0), version: value(1), values: std::array::from_fn(|field| value(field + 2)) }
}
