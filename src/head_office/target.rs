//! Head office's tables: the branch's columns behind a leading `branch`, which fills itself, with an index of the
//! business days, divided by branch.

use postgres::Transaction;

use super::partitions::{BY_BRANCH, create_partition};
use super::refusal::{Refusal, judged};
use crate::database::TableDescription;
use crate::domain::{Column, Manifest, TableChange, TableName, key_columns, quote_identifier, quote_literal};

/// The setting of the transaction that fills the `branch` column, so that a branch's CSV goes into the
/// table as it is.
pub(super) const BRANCH_SETTING: &str = "salesync.branch";
/// The column that head office has more than a branch.
const BRANCH_COLUMN: &str = "branch";

/// The only duplicates in a key's index are versions of one row. Where many rows are updated at once, PostgreSQL would look for
/// them each time a page of it is full: a quarter of the update's work, for an index of the same size.
const NO_DUPLICATES: &str = "deduplicate_items = off";

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

/// The statements that make head office's table, with the partition for the bundle's branch.
pub(super) fn create_table(change: &TableChange, partition: &TableName, manifest: &Manifest) -> String {
    let column = |column: &Column| format!("{} {}", quote_identifier(&column.name), column.type_name);
    let columns: Vec<String> = change.columns.iter().map(column).collect();
    let key = key_columns(&change.columns);
    let key: Vec<String> = key.iter().map(|column| quote_identifier(&column.name)).collect();
    let mut statements = format!(
        "CREATE TABLE {} (branch text NOT NULL DEFAULT {}, {}, PRIMARY KEY (branch, {}) WITH ({NO_DUPLICATES})) {BY_BRANCH}; ",
        change.name.sql(),
        branch_default(),
        columns.join(", "),
        key.join(", "),
    );
    if let Some(day) = indexed_day(change) {
        statements.push_str(&create_index(change, day));
        statements.push_str("; ");
    }
    statements + &create_partition(&change.name, partition, manifest)
}

/// The statement that adds a column.
pub(super) fn add_column(change: &TableChange, column: &Column) -> String {
    let name = quote_identifier(&column.name);
    format!("ALTER TABLE {} ADD COLUMN {name} {}", change.name.sql(), column.type_name)
}

fn branch_default() -> String {
    format!("current_setting({})", quote_literal(BRANCH_SETTING))
}

/// Rows arrive nearly in the order of their days, so a BRIN index finds a day and costs inserts next
/// to nothing. With ranges of 32 pages a branch's day is a few hundred kilobytes to read, not two megabytes.
fn create_index(change: &TableChange, day: &str) -> String {
    let (table, day) = (change.name.sql(), quote_identifier(day));
    format!("CREATE INDEX ON {table} USING brin ({day}) WITH (autosummarize = on, pages_per_range = 32)")
}

/// The column of business days, if an index of it finds them.
fn indexed_day(change: &TableChange) -> Option<&str> {
    let day = &*change.day_totals.as_ref()?.column;
    change.columns.iter().any(|column| column.name == day && column.type_name == "date").then_some(day)
}

/// What a table of head office's has besides the branch's columns. One that somebody made by hand may lack some of it.
pub(super) struct Fittings {
    /// What it lacks, in words, and the statement that makes it.
    pub(super) lacking: Vec<(String, String)>,
    /// True if it is divided by branch, and has no place for this branch's rows.
    pub(super) lacks_partition: bool,
    /// The table that is divided by branch of which it is a partition.
    pub(super) parent: Option<String>,
}

/// Only tables that are divided by the column `branch` and nothing else are in `divided`: what others do with a
/// branch's rows is for those who made them. The names of branches need no quoting.
const FITTINGS: &str = "
WITH divided AS (
    SELECT p.partrelid AS oid, p.partdefid <> 0 AS takes_all
    FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partstrat = 'l' AND p.partnatts = 1 AND a.attname = 'branch'
)
SELECT EXISTS (SELECT FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
               WHERE a.attrelid = $1 AND a.attname = 'branch' AND strpos(pg_get_expr(d.adbin, d.adrelid), $2) > 0),
       $3::text IS NULL
       OR EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                  WHERE i.indrelid = $1 AND a.attname = $3),
       EXISTS (SELECT FROM divided WHERE oid = $1 AND NOT takes_all) AND NOT EXISTS (
           SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
           WHERE i.inhparent = $1 AND pg_get_expr(c.relpartbound, c.oid) ~ format('[( ]''%s''[,)]', $4::text)),
       (SELECT oid::regclass::text FROM divided JOIN pg_inherits ON inhparent = oid WHERE inhrelid = $1)";

impl Fittings {
    /// Those of the table that takes the rows of `change`.
    pub(super) fn of(
        transaction: &mut Transaction<'_>,
        manifest: &Manifest,
        change: &TableChange,
        table: &TableDescription,
    ) -> Result<Self, Refusal> {
        let (name, day) = (&change.name, indexed_day(change));
        let row = transaction
            .query_one(FITTINGS, &[&table.oid, &BRANCH_SETTING, &day, &manifest.branch.as_str()])
            .map_err(|error| judged(&format!("looking at how {name} is made"), &error))?;
        let mut lacking = Vec::new();
        if !row.get::<_, bool>(0) {
            let what = format!("the default of table {name}, column branch");
            let default = branch_default();
            lacking.push((
                what,
                format!("ALTER TABLE {} ALTER COLUMN branch SET DEFAULT {default}", name.sql()),
            ));
        }
        if let Some(day) = day.filter(|_| !row.get::<_, bool>(1)) {
            lacking.push((format!("an index of the days of {name}"), create_index(change, day)));
        }
        Ok(Self { lacking, lacks_partition: row.get(2), parent: row.get(3) })
    }
}
