//! How a branch's table differs from head office's, and what of it head office mends by itself.
//!
//! | at the branch | head office |
//! |---|---|
//! | a table or a column is new | makes it, or waits for a person, as the policy says |
//! | a column that the branch's earlier bundles had is gone or renamed | waits for a person |
//! | a column is new again, and head office's rows have values of an earlier one | waits until the table travels whole |
//! | changes of a table that head office has had, and has no more | wait until the table is back, or travels whole |
//! | a type that head office's column does not hold | waits until the column is changed |
//! | another primary key | waits until the table is changed |

use postgres::Transaction;

use super::hold::{Hold, HoldKind};
use super::policy::{Policy, SchemaChanges};
use super::refusal::{Refusal, judged, judged_definition};
use super::target::{BRANCH_SETTING, check_name, check_type, set_default};
use crate::database::{TableDescription, describe, lock_definitions};
use crate::domain::{Column, Manifest, Mode, TableChange, key_columns, quote_identifier, quote_literal};

/// One difference between a branch's table and head office's.
enum Difference {
    /// Head office lacks something that this statement makes.
    Missing { what: String, statement: String },
    /// The branch has dropped or renamed columns; head office's stay.
    Gone(String),
    /// Head office's table cannot take the rows.
    Unfit(String),
}

/// Makes head office's tables fit for the rows of this bundle, before any of them is loaded. What needs a
/// person is a hold that names every difference.
pub(super) fn fit_tables(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    policy: Policy,
    is_approved: bool,
) -> Result<(), Refusal> {
    let mut statements = missing(transaction, manifest, policy, is_approved)?;
    if !statements.is_empty() {
        // Another branch's bundle may be making the same.
        lock_definitions(transaction)
            .map_err(|error| judged("waiting for others who change head office's tables", &error))?;
        statements = missing(transaction, manifest, policy, is_approved)?;
    }
    for (what, statement) in statements {
        tracing::info!("making {what}");
        transaction
            .batch_execute(&statement)
            .map_err(|error| judged_definition(&format!("making {what}"), &error))?;
    }
    manifest.tables.iter().try_for_each(|change| set_default(transaction, &change.name))
}

/// What head office lacks, and the statements that make it.
fn missing(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    policy: Policy,
    is_approved: bool,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut statements = Vec::new();
    let mut held = Vec::new();
    for change in &manifest.tables {
        for difference in differences(transaction, manifest, change)? {
            match difference {
                Difference::Missing { what, statement } => {
                    if policy.schema_changes == SchemaChanges::Hold && !is_approved {
                        held.push(format!("{what} is not at head office ({statement})"));
                    }
                    statements.push((what, statement));
                }
                Difference::Gone(_) if is_approved => {}
                Difference::Gone(why) | Difference::Unfit(why) => held.push(why),
            }
        }
    }
    if held.is_empty() {
        return Ok(statements);
    }
    Err(Refusal::Held(Hold::new(HoldKind::Schema, &held.join("; "))))
}

fn differences(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<Vec<Difference>, Refusal> {
    check_name(change)?;
    let known = known_columns(transaction, manifest, change)?;
    let Some(table) = describe(transaction, &change.name)? else {
        if !known.is_empty() && change.range.as_ref().is_none_or(|range| range.after.is_some()) {
            let why =
                format!("table {}: head office has lost it; {}", change.name, everything_anew(manifest));
            return Ok(vec![Difference::Unfit(why)]);
        }
        change.columns.iter().try_for_each(|column| check_type(transaction, &change.name, column))?;
        let (what, statement) = (format!("table {}", change.name), create_table(change));
        return Ok(vec![Difference::Missing { what, statement }]);
    };
    let mut differences = Vec::new();
    differences.extend(gone(change, &known).map(Difference::Gone));
    for column in &change.columns {
        let Column { name, type_name, .. } = column;
        match table.columns.iter().find(|present| present.name == *name) {
            None => {
                check_type(transaction, &change.name, column)?;
                let what = format!("table {}, column {name:?} of type {type_name}", change.name);
                differences.push(Difference::Missing { what, statement: add_column(change, column) });
            }
            Some(present) if !holds_values_of(&present.type_name, type_name) => {
                differences.push(Difference::Unfit(format!(
                    "table {}, column {name:?}: the branch has type {type_name}, head office has {}",
                    change.name, present.type_name
                )));
            }
            Some(_)
                if change.mode != Mode::Range
                    && !known.is_empty()
                    && !known.contains(name)
                    && has_values(transaction, manifest, change, column)? =>
            {
                differences.push(Difference::Unfit(format!(
                    "table {}, column {name:?}: it is new at the branch, and head office's rows have values; {}",
                    change.name,
                    everything_anew(manifest)
                )));
            }
            Some(_) => {}
        }
    }
    differences.extend(other_key(change, &table).map(Difference::Unfit));
    Ok(differences)
}

/// The names of the columns that the table had when it last came from this branch.
fn known_columns(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<Vec<String>, Refusal> {
    let sql = "SELECT c->>'name' FROM salesync.branch_table, jsonb_array_elements(columns) c
               WHERE branch = $1 AND schema_name = $2 AND table_name = $3";
    let rows = transaction
        .query(sql, &[&manifest.branch.as_str(), &change.name.schema, &change.name.table])
        .map_err(|error| judged("looking up the branch's columns", &error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What mends that head office's rows are not those to which the branch's changes belong.
fn everything_anew(manifest: &Manifest) -> String {
    format!("`salesync request {} --full` brings everything anew", manifest.branch)
}

/// Whether head office's rows of the branch have values in this column.
fn has_values(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
    column: &Column,
) -> Result<bool, Refusal> {
    let (table, name) = (change.name.sql(), quote_identifier(&column.name));
    let sql = format!("SELECT EXISTS (SELECT FROM {table} WHERE branch = $1 AND {name} IS NOT NULL)");
    let doing = format!("looking for values in {}, column {:?}", change.name, column.name);
    let row = transaction.query_one(&sql, &[&manifest.branch.as_str()]);
    Ok(row.map_err(|error| judged_definition(&doing, &error))?.get(0))
}

fn gone(change: &TableChange, known: &[String]) -> Option<String> {
    let has = |name: &String| change.columns.iter().any(|column| column.name == *name);
    let gone: Vec<&String> = known.iter().filter(|name| !has(name)).collect();
    let new = change.columns.iter().filter(|column| !known.contains(&column.name));
    let new: Vec<String> =
        new.map(|column| format!("{:?} of type {}", column.name, column.type_name)).collect();
    if gone.is_empty() {
        return None;
    }
    let gone: Vec<String> = gone.iter().map(|name| format!("{name:?}")).collect();
    let beside = if new.is_empty() { String::new() } else { format!(", and has a new {}", new.join(", ")) };
    Some(format!(
        "table {}: the branch has no column {} any more{beside}; head office would keep it, empty in new rows",
        change.name,
        gone.join(", ")
    ))
}

fn other_key(change: &TableChange, table: &TableDescription) -> Option<String> {
    let expected: Vec<&str> = std::iter::once("branch")
        .chain(key_columns(&change.columns).iter().map(|column| column.name.as_str()))
        .collect();
    let found: Vec<&str> = table.key.iter().map(|key| key.name.as_str()).collect();
    (expected != found).then(|| {
        format!(
            "table {}: head office's primary key is ({}), the branch's rows need ({})",
            change.name,
            found.join(", "),
            expected.join(", ")
        )
    })
}

fn create_table(change: &TableChange) -> String {
    let column = |column: &Column| format!("{} {}", quote_identifier(&column.name), column.type_name);
    let columns: Vec<String> = change.columns.iter().map(column).collect();
    let key = key_columns(&change.columns);
    let key: Vec<String> = key.iter().map(|column| quote_identifier(&column.name)).collect();
    format!(
        "CREATE SCHEMA IF NOT EXISTS {}; \
         CREATE TABLE {} (branch text NOT NULL DEFAULT current_setting({}), {}, PRIMARY KEY (branch, {}))",
        quote_identifier(&change.name.schema),
        change.name.sql(),
        quote_literal(BRANCH_SETTING),
        columns.join(", "),
        key.join(", "),
    )
}

fn add_column(change: &TableChange, column: &Column) -> String {
    let name = quote_identifier(&column.name);
    format!("ALTER TABLE {} ADD COLUMN {name} {}", change.name.sql(), column.type_name)
}

/// True if a column of type `wide` holds every value of type `narrow` with the same text. Branches are
/// brought up to date one after the other, so head office's column may be ahead of some.
fn holds_values_of(wide: &str, narrow: &str) -> bool {
    const INTEGERS: [&str; 3] = ["smallint", "integer", "bigint"];
    if wide == narrow || narrow.ends_with("[]") {
        return wide == narrow;
    }
    let place = |name: &str| INTEGERS.iter().position(|integer| *integer == name);
    if let (Some(wide), Some(narrow)) = (place(wide), place(narrow)) {
        return wide >= narrow;
    }
    let sizes = |text: &str, name: &str| -> Option<Vec<u32>> {
        let inside = text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?;
        inside.split(',').map(|size| size.trim().parse().ok()).collect()
    };
    if let Some(narrow) = sizes(narrow, "numeric") {
        let wide_sizes = sizes(wide, "numeric");
        let same_scale = |wide: &[u32]| wide.first() >= narrow.first() && wide.get(1) == narrow.get(1);
        return wide == "numeric" || wide_sizes.is_some_and(|wide| same_scale(&wide));
    }
    if narrow.starts_with("character varying") {
        let is_open = wide == "text" || wide == "character varying";
        let (wide, narrow) = (sizes(wide, "character varying"), sizes(narrow, "character varying"));
        return is_open || narrow.is_some() && wide >= narrow;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_column_holds_the_values_of_a_narrower_one() {
        let holds = [
            ("bigint", "integer"),
            ("integer", "smallint"),
            ("numeric", "numeric(12,2)"),
            ("numeric(14,2)", "numeric(12,2)"),
            ("text", "character varying(10)"),
            ("character varying", "character varying(10)"),
            ("character varying(20)", "character varying(10)"),
            ("character varying(4)[]", "character varying(4)[]"),
        ];
        for (wide, narrow) in holds {
            assert!(holds_values_of(wide, narrow), "{wide} {narrow}");
            assert_eq!(holds_values_of(narrow, wide), wide == narrow, "{narrow} {wide}");
        }
        for (one, other) in [
            ("numeric(14,2)", "numeric(12,3)"),
            ("numeric(14,2)", "integer"),
            ("text", "integer"),
            ("character varying(10)", "character varying"),
            ("numeric(14,2)", "numeric"),
            ("timestamp without time zone", "date"),
            ("character varying", "character varying[]"),
        ] {
            assert!(!holds_values_of(one, other), "{one} {other}");
        }
    }
}
