//! The tables with business days, and which of their columns is the money.

use std::collections::{BTreeMap, BTreeSet};

use postgres::GenericClient;

use crate::database::database_failure;
use crate::domain::{Failure, TableName};

/// Columns that are money where nothing is configured.
const USUAL_AMOUNTS: [&str; 2] = ["total", "amount"];

/// The table of `salesync init --with-sales`.
const SALES: &str = "public.sales";

/// A table whose branches state totals per business day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessTable {
    /// Its name.
    pub name: TableName,
    /// The column with the money, if it has one.
    pub amount: Option<String>,
}

/// Every table of which a business day was stated: the sales first, then others with money. `amounts` names the column with the money where
/// it is configured; else it is called `total` or `amount`.
pub fn business_tables(
    client: &mut impl GenericClient,
    amounts: &BTreeMap<TableName, String>,
) -> Result<Vec<BusinessTable>, Failure> {
    let sql = "SELECT t.schema_name, t.table_name, d.summed
               FROM salesync.branch_table t CROSS JOIN LATERAL (
                   SELECT summed FROM salesync.day_total d
                   WHERE d.branch = t.branch AND d.schema_name = t.schema_name AND d.table_name = t.table_name
                   ORDER BY d.day DESC LIMIT 1) d";
    let rows = client
        .query(sql, &[])
        .map_err(|error| database_failure("looking for tables with business days", &error))?;
    let mut summed: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
    for row in &rows {
        let name = TableName { schema: row.get(0), table: row.get(1) };
        summed.entry(name).or_default().extend(row.get::<_, Vec<String>>(2));
    }
    let table = |(name, columns): (TableName, BTreeSet<String>)| {
        let usual = || USUAL_AMOUNTS.into_iter().find(|usual| columns.contains(*usual)).map(str::to_owned);
        let amount =
            amounts.get(&name).filter(|configured| columns.contains(*configured)).cloned().or_else(usual);
        BusinessTable { name, amount }
    };
    let mut tables: Vec<BusinessTable> = summed.into_iter().map(table).collect();
    tables.sort_by_key(|table| (table.amount.is_none(), table.name.to_string() != SALES));
    Ok(tables)
}
