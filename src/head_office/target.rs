//! Head office's tables: the branch's columns behind a leading `branch`, which fills itself.

use postgres::Transaction;

use super::refusal::{Refusal, judged, judged_definition};
use crate::domain::{Column, TableChange, TableName, quote_literal};

/// The setting of the transaction that fills the `branch` column, so that a branch's CSV goes into the
/// table as it is.
pub(super) const BRANCH_SETTING: &str = "salesync.branch";
/// The column that head office has more than a branch.
const BRANCH_COLUMN: &str = "branch";

/// No branch writes to what is not its own.
pub(super) fn check_name(change: &TableChange) -> Result<(), Refusal> {
    let name = &change.name;
    if name.schema == "salesync" || name.schema == "information_schema" || name.schema.starts_with("pg_") {
        return Err(Refusal::rejected(format!("{name} is in a schema that no branch may write to")));
    }
    if change.columns.iter().any(|column| column.name == BRANCH_COLUMN) {
        // It would be taken from the bundle, and could name another branch.
        let why = "only head office says whose a row is";
        return Err(Refusal::rejected(format!("table {name}, column {BRANCH_COLUMN:?}: {why}")));
    }
    Ok(())
}

/// The branch whose rows this transaction writes.
pub(super) fn set_branch(transaction: &mut Transaction<'_>, branch: &str) -> Result<(), Refusal> {
    transaction
        .execute("SELECT set_config($1, $2, true)", &[&BRANCH_SETTING, &branch])
        .map(|_| ())
        .map_err(|error| judged("naming the branch", &error))
}

/// The server itself says whether a text is a type: nothing else may get into a definition.
pub(super) fn check_type(
    transaction: &mut Transaction<'_>,
    table: &TableName,
    column: &Column,
) -> Result<(), Refusal> {
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

/// A table that somebody made by hand may lack the default that fills `branch`.
pub(super) fn set_default(transaction: &mut Transaction<'_>, name: &TableName) -> Result<(), Refusal> {
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
    transaction.batch_execute(&sql).map_err(|error| judged_definition(&doing, &error))
}
