//! Tables in the order of their references: parents before children.

use std::collections::{BTreeMap, BTreeSet};

use postgres::GenericClient;

use super::tracking::TrackedTable;
use crate::database::database_failure;
use crate::domain::{Failure, TableName};

/// The tables, each after those its foreign keys refer to. Where references go in a circle, there is
/// no such order, and the circle's tables stand in the order in which they were tracked.
pub(super) fn parents_first(
    client: &mut impl GenericClient,
    tables: Vec<TrackedTable>,
) -> Result<Vec<TrackedTable>, Failure> {
    let sql = "SELECT cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text
               FROM pg_constraint f
               JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
               JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
               WHERE f.contype = 'f' AND f.conrelid <> f.confrelid";
    let rows =
        client.query(sql, &[]).map_err(|error| database_failure("reading the foreign keys", &error))?;
    let mut parents: BTreeMap<TableName, BTreeSet<TableName>> = BTreeMap::new();
    for row in &rows {
        let child = TableName { schema: row.get(0), table: row.get(1) };
        parents.entry(child).or_default().insert(TableName { schema: row.get(2), table: row.get(3) });
    }
    Ok(sorted(tables, &parents))
}

fn sorted(
    mut tables: Vec<TrackedTable>,
    parents: &BTreeMap<TableName, BTreeSet<TableName>>,
) -> Vec<TrackedTable> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits = |table: &TrackedTable| {
            let parents = parents.get(&table.name);
            parents.is_some_and(|parents| tables.iter().any(|other| parents.contains(&other.name)))
        };
        let next = tables.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(tables.remove(next));
    }
    ordered
}
