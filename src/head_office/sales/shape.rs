//! Whether head office has the table of sales, and in the form that the page knows.

use postgres::GenericClient;

use crate::database::{TableDescription, describe};
use crate::domain::{Failure, TableName, is_summed, orders_as_text};

/// Where the sales are.
pub(super) const SCHEMA: &str = "public";
pub(super) const TABLE: &str = "sales";
/// The same for SQL, under the name by which the conditions call a row.
pub(super) const FROM: &str = "public.sales t";

/// The columns whose sums are exact.
const AMOUNTS: [&str; 5] = ["qty", "cost", "amt", "tax", "total"];

/// What head office has of `public.sales`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SalesTable {
    /// The table as `salesync init --with-sales` makes it at a branch, with the branch in front.
    Fit,
    /// None; no bundle has brought it.
    Missing,
    /// One in another form: why it cannot be shown.
    Other(String),
}

/// Looks at head office's table.
pub fn sales_table(client: &mut impl GenericClient) -> Result<SalesTable, Failure> {
    let name = TableName { schema: SCHEMA.to_owned(), table: TABLE.to_owned() };
    let Some(table) = describe(client, &name)? else { return Ok(SalesTable::Missing) };
    Ok(difference(&table).map_or(SalesTable::Fit, SalesTable::Other))
}

/// The first thing that is not as the page needs it.
fn difference(table: &TableDescription) -> Option<String> {
    let is_number = |name: &str| is_summed(name);
    let is_whole = |name: &str| matches!(name, "smallint" | "integer" | "bigint");
    let is_date = |name: &str| name == "date";
    let texts = ["branch", "region", "product"].map(|name| (name, &orders_as_text as &dyn Fn(&str) -> bool));
    let amounts = AMOUNTS.map(|name| (name, &is_number as &dyn Fn(&str) -> bool));
    let others = [("id", &is_whole as &dyn Fn(&str) -> bool), ("date", &is_date)];
    let wanted = texts.into_iter().chain(others).chain(amounts);
    let of_column = |(name, is_fit): (&str, &dyn Fn(&str) -> bool)| {
        let found = table.columns.iter().find(|column| column.name == name);
        match found {
            None => Some(format!("it has no column {name:?}")),
            Some(column) if is_fit(&column.type_name) => None,
            Some(column) => Some(format!("its column {name:?} is of the type {}", column.type_name)),
        }
    };
    let mut key: Vec<&str> = table.key.iter().map(|column| &*column.name).collect();
    key.sort_unstable();
    let other_key = || (key != ["branch", "id"]).then(|| "its primary key is not (branch, id)".to_owned());
    wanted.into_iter().find_map(of_column).or_else(other_key)
}
