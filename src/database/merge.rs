//! The set-based statements that bring staged rows into a table.

use std::fmt::Write as _;

use super::catalog::key_order;
use super::load::Target;
use crate::domain::{Column, KeyRange, TableChange, key_columns, quote_identifier, quote_literal};

/// The statements for one table of one bundle. `t` is the target's table, `s` the staged rows.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    change: &'a TableChange,
    table: String,
    /// SQL of the branch in whose name the rows stand, where the table has rows of several.
    branch: Option<String>,
    /// SQL name of the temporary table.
    pub(super) staging: String,
}

impl<'a> Merge<'a> {
    /// For rows that are in the temporary table `staging`.
    pub(super) fn new(change: &'a TableChange, target: Target<'_>, staging: &str) -> Self {
        Self {
            change,
            table: (target.table)(&change.name),
            branch: target.branch.map(quote_literal),
            staging: format!("pg_temp.{}", quote_identifier(staging)),
        }
    }

    /// A temporary table like the target's, without its constraints.
    pub(super) fn create_staging(&self, columns: &[Column]) -> String {
        let names = list(columns.iter(), "");
        format!(
            "CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {names} FROM {} WITH NO DATA",
            self.staging.trim_start_matches("pg_temp."),
            self.table,
        )
    }

    /// Loads the staged rows. `columns` are those of the member.
    pub(super) fn copy_to_staging(&self, columns: &[Column]) -> String {
        format!("COPY {} ({}) FROM STDIN (FORMAT csv)", self.staging, list(columns.iter(), ""))
    }

    /// Loads rows straight into the table; a `branch` column fills itself.
    pub(super) fn copy_to_table(&self) -> String {
        format!("COPY {} ({}) FROM STDIN (FORMAT csv)", self.table, list(self.change.columns.iter(), ""))
    }

    /// One row with the first and the last of the staged rows' keys, as far as their first column goes, as SQL literals. Sorted by what
    /// they are compared with here, which is not an extension's own order.
    pub(super) fn bounds(&self) -> String {
        let key = key_columns(&self.change.columns);
        let name = key.first().map_or_else(|| "NULL".to_owned(), |column| quote_identifier(&column.name));
        let bound = |order: &str| {
            format!(
                "(SELECT quote_literal({name}::text) FROM {} ORDER BY {name} USING OPERATOR(pg_catalog.{order}) LIMIT 1)",
                self.staging
            )
        };
        format!("SELECT {}, {}", bound("<"), bound(">"))
    }

    /// The condition that a row `t` has a staged key, if these are their bounds. Without them the planner could not know that
    /// many keys are all in the same part of the table, and would read all of it.
    fn is_staged(&self, bounds: Option<&(String, String)>) -> String {
        let key = key_columns(&self.change.columns);
        let (Some((first, last)), Some(column)) = (bounds, key.first()) else { return self.same_row() };
        let name = quote_identifier(&column.name);
        format!("{} AND t.{name} >= {first} AND t.{name} <= {last}", self.same_row())
    }

    /// Overwrites the rows that are there.
    pub(super) fn update(&self, bounds: Option<&(String, String)>) -> String {
        let mut assignments = String::new();
        for (index, column) in self.change.columns.iter().enumerate() {
            let name = quote_identifier(&column.name);
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(assignments, "{comma}{name} = s.{name}");
        }
        let (table, staging) = (&self.table, &self.staging);
        format!("UPDATE {table} t SET {assignments} FROM {staging} s WHERE {}", self.is_staged(bounds))
    }

    /// Adds the rows that are not there.
    pub(super) fn insert_missing(&self) -> String {
        let columns = &self.change.columns;
        let (mut names, mut values) = (list(columns.iter(), ""), list(columns.iter(), "s."));
        if let Some(branch) = &self.branch {
            names.insert_str(0, "branch, ");
            values.insert_str(0, &format!("{branch}, "));
        }
        format!(
            "INSERT INTO {table} ({names}) SELECT {values} FROM {staging} s
             WHERE NOT EXISTS (SELECT FROM {table} t WHERE {same_row})",
            table = self.table,
            staging = self.staging,
            same_row = self.same_row(),
        )
    }

    /// Deletes the rows whose keys are staged.
    pub(super) fn delete_staged(&self, bounds: Option<&(String, String)>) -> String {
        format!("DELETE FROM {} t USING {} s WHERE {}", self.table, self.staging, self.is_staged(bounds))
    }

    /// Deletes the rows in the range that are not staged.
    pub(super) fn delete_others(&self, range: &KeyRange) -> String {
        format!(
            "DELETE FROM {} t WHERE {} AND NOT EXISTS (SELECT FROM {} s WHERE {})",
            self.table,
            self.in_range(range),
            self.staging,
            self.same_row(),
        )
    }

    /// One row with true if there are rows in the range.
    pub(super) fn has_rows_in(&self, range: &KeyRange) -> String {
        format!("SELECT EXISTS (SELECT FROM {} t WHERE {})", self.table, self.in_range(range))
    }

    /// The condition that a row `t` is one of those that a bundle may speak of.
    fn is_own(&self) -> String {
        self.branch.as_ref().map_or_else(|| "true".to_owned(), |branch| format!("t.branch = {branch}"))
    }

    fn same_row(&self) -> String {
        let same = |column: &&Column| {
            let name = quote_identifier(&column.name);
            format!("t.{name} = s.{name}")
        };
        let keys: Vec<String> = key_columns(&self.change.columns).iter().map(same).collect();
        format!("{} AND {}", self.is_own(), keys.join(" AND "))
    }

    fn in_range(&self, range: &KeyRange) -> String {
        let key = key_columns(&self.change.columns);
        let order: Vec<String> = key
            .iter()
            .map(|column| key_order(&format!("t.{}", quote_identifier(&column.name)), &column.type_name))
            .collect();
        let bound = |bound: &[String]| {
            let typed = key.iter().zip(bound).map(|(column, text)| {
                key_order(&format!("{}::{}", quote_literal(text), column.type_name), &column.type_name)
            });
            typed.collect::<Vec<_>>().join(", ")
        };
        let mut condition = self.is_own();
        for (operator, keys) in [(">", &range.after), ("<=", &range.through)] {
            if let Some(keys) = keys {
                let _ = write!(condition, " AND ROW({}) {operator} ROW({})", order.join(", "), bound(keys));
            }
        }
        condition
    }
}

fn list<'c>(columns: impl Iterator<Item = &'c Column>, row: &str) -> String {
    columns.map(|column| format!("{row}{}", quote_identifier(&column.name))).collect::<Vec<_>>().join(", ")
}
