//! Head office's table for a branch's table: the same columns behind a leading `branch`.

use postgres::Transaction;

use super::refusal::{Refusal, judged, judged_definition};
use crate::database::{TableDescription, describe};
use crate::domain::{Column, TableChange, TableName, key_columns, quote_identifier, quote_literal};

/// The setting of the transaction that fills the `branch` column, so that a branch's CSV goes into the
/// table as it is.
const BRANCH_SETTING: &str = "salesync.branch";
/// The column that head office has more than a branch.
const BRANCH_COLUMN: &str = "branch";

/// Makes head office's table fit for the rows of this change: creates the table or adds columns where
/// they are missing, and rejects what would need a person.
pub(super) fn prepare(transaction: &mut Transaction<'_>, change: &TableChange) -> Result<(), Refusal> {
    let name = &change.name;
    if name.schema == "salesync" || name.schema == "information_schema" || name.schema.starts_with("pg_") {
        return Err(Refusal::rejected(format!("{name} is in a schema that no branch may write to")));
    }
    if change.columns.iter().any(|column| column.name == BRANCH_COLUMN) {
        // It would be taken from the bundle, and could name another branch.
        let why = "only head office says whose a row is";
        return Err(Refusal::rejected(format!("table {name}, column {BRANCH_COLUMN:?}: {why}")));
    }
    match describe(transaction, name)? {
        None => create(transaction, change),
        Some(table) => {
            add_columns(transaction, change, &table)?;
            check_key(change, &table)?;
            set_default(transaction, name)
        }
    }
}

/// The branch whose rows this transaction writes.
pub(super) fn set_branch(transaction: &mut Transaction<'_>, branch: &str) -> Result<(), Refusal> {
    transaction
        .execute("SELECT set_config($1, $2, true)", &[&BRANCH_SETTING, &branch])
        .map(|_| ())
        .map_err(|error| judged("naming the branch", &error))
}

/// The server itself says whether a text is a type: nothing else may get into a definition.
fn check_type(transaction: &mut Transaction<'_>, table: &TableName, column: &Column) -> Result<(), Refusal> {
    let failed = |error: postgres::Error| judged("looking up a type", &error);
    let mut attempt = transaction.transaction().map_err(failed)?;
    let known = attempt.query_one("SELECT to_regtype($1) IS NOT NULL", &[&column.type_name]);
    attempt.rollback().map_err(failed)?;
    if known.is_ok_and(|row| row.get(0)) {
        return Ok(());
    }
    let Column { name, type_name, .. } = column;
    Err(Refusal::Rejected(format!("table {table}: head office has no type {type_name} for column {name:?}")))
}

fn create(transaction: &mut Transaction<'_>, change: &TableChange) -> Result<(), Refusal> {
    for column in &change.columns {
        check_type(transaction, &change.name, column)?;
    }
    let column = |column: &Column| format!("{} {}", quote_identifier(&column.name), column.type_name);
    let columns: Vec<String> = change.columns.iter().map(column).collect();
    let key = key_columns(&change.columns);
    let key: Vec<String> = key.iter().map(|column| quote_identifier(&column.name)).collect();
    let sql = format!(
        "CREATE SCHEMA IF NOT EXISTS {};
         CREATE TABLE {} (branch text NOT NULL DEFAULT current_setting({}), {}, PRIMARY KEY (branch, {}))",
        quote_identifier(&change.name.schema),
        change.name.sql(),
        quote_literal(BRANCH_SETTING),
        columns.join(", "),
        key.join(", "),
    );
    tracing::info!("creating head office's table {}", change.name);
    execute(transaction, &format!("creating the table {}", change.name), &sql)
}

/// What the branch has and head office does not is added. What head office has more must do without a
/// value: another branch may have it.
fn add_columns(
    transaction: &mut Transaction<'_>,
    change: &TableChange,
    table: &TableDescription,
) -> Result<(), Refusal> {
    for column in &change.columns {
        match table.columns.iter().find(|present| present.name == column.name) {
            None => {
                check_type(transaction, &change.name, column)?;
                let (name, type_name) = (quote_identifier(&column.name), &column.type_name);
                let sql = format!("ALTER TABLE {} ADD COLUMN {name} {type_name}", change.name.sql());
                tracing::info!("adding column {name} {type_name} to {}", change.name);
                execute(transaction, &format!("adding a column to {}", change.name), &sql)?;
            }
            Some(present) if present.type_name != column.type_name => {
                return Err(Refusal::rejected(format!(
                    "table {}, column {:?}: the branch has type {}, head office has {}",
                    change.name, column.name, column.type_name, present.type_name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_key(change: &TableChange, table: &TableDescription) -> Result<(), Refusal> {
    let expected: Vec<&str> = std::iter::once("branch")
        .chain(key_columns(&change.columns).iter().map(|column| column.name.as_str()))
        .collect();
    let found: Vec<&str> = table.key.iter().map(|key| key.name.as_str()).collect();
    if expected == found {
        return Ok(());
    }
    Err(Refusal::rejected(format!(
        "table {}: head office's primary key is ({}), the branch's rows need ({})",
        change.name,
        found.join(", "),
        expected.join(", ")
    )))
}

/// A table that somebody made by hand may lack the default that fills `branch`.
fn set_default(transaction: &mut Transaction<'_>, name: &TableName) -> Result<(), Refusal> {
    let sql = "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
               JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
               WHERE a.attrelid = $1::text::regclass AND a.attname = 'branch'";
    let doing = format!("looking at the branch column of {name}");
    let row = transaction.query_opt(sql, &[&name.sql()]).map_err(|error| judged(&doing, &error))?;
    let default: Option<String> = row.and_then(|row| row.get(0));
    if default.is_some_and(|default| default.contains(BRANCH_SETTING)) {
        return Ok(());
    }
    let setting = quote_literal(BRANCH_SETTING);
    let sql =
        format!("ALTER TABLE {} ALTER COLUMN branch SET DEFAULT current_setting({setting})", name.sql());
    execute(transaction, &doing, &sql)
}

fn execute(transaction: &mut Transaction<'_>, doing: &str, sql: &str) -> Result<(), Refusal> {
    transaction.batch_execute(sql).map_err(|error| judged_definition(doing, &error))
}
