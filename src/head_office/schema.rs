//! How a branch's table differs from head office's, and what of it head office mends by itself.
//!
//! | at the branch | head office |
//! |---|---|
//! | a table or a column is new | makes it, or waits for a person, as the policy says |
//! | a table comes from this branch for the first time | makes a partition for the branch, where it is divided by branch |
//! | a column that the branch's earlier bundles had is gone or renamed | waits for a person |
//! | a column is new again, and head office's rows have values of an earlier one | waits until the table travels whole |
//! | changes of a table that head office has had, and has no more, or not the branch's partition | wait until it is back, or the table travels whole |
//! | a type that head office's column does not hold | waits until the column is changed |
//! | another primary key | waits until the table is changed |

use postgres::Transaction;
use postgres::error::SqlState;

use super::hold::{Hold, HoldKind};
use super::partitions::{create_partition, partition_name};
use super::policy::{Policy, SchemaChanges};
use super::refusal::{Refusal, judged, judged_definition, judged_making};
use super::target::{Fittings, add_column, check_name, check_type, create_table};
use crate::database::{TableDescription, describe, lock_definitions, making_failure, schema_statement};
use crate::domain::{Column, Manifest, Mode, TableChange, TableName, key_columns, quote_identifier};

/// One difference between a branch's table and head office's.
enum Difference {
    /// Head office lacks something that these statements make.
    Missing { what: String, statements: String },
    /// Its table lacks something that is no part of the branch's: nobody is asked.
    Unprepared { what: String, statements: String },
    /// The branch has dropped or renamed columns; head office's stay.
    Gone(String),
    /// Head office's table cannot take the rows.
    Unfit(String),
}

impl Difference {
    /// What is to be made, and how, if it can be mended by that.
    fn made_by(&self) -> Option<(&str, &str)> {
        match self {
            Self::Missing { what, statements } | Self::Unprepared { what, statements } => {
                Some((what, statements))
            }
            Self::Gone(_) | Self::Unfit(_) => None,
        }
    }

    /// Why the bundle has to wait for a person, if so.
    fn holds(&self, policy: Policy, is_approved: bool) -> Option<String> {
        match self {
            Self::Missing { what, statements }
                if policy.schema_changes == SchemaChanges::Hold && !is_approved =>
            {
                Some(format!("{what} is not at head office ({statements})"))
            }
            Self::Gone(why) if !is_approved => Some(why.clone()),
            Self::Unfit(why) => Some(why.clone()),
            _ => None,
        }
    }
}

/// Makes head office's tables fit for the rows of this bundle, before any of them is loaded. What needs a
/// person is a hold that names every difference.
pub(super) fn fit_tables(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    policy: Policy,
    is_approved: bool,
) -> Result<(), Refusal> {
    let mut differences = all_differences(transaction, manifest)?;
    if differences.iter().any(|(_, difference)| difference.made_by().is_some()) {
        lock_definitions(transaction).map_err(|error| judged("waiting for others to make tables", &error))?;
        // Another branch's bundle may have made it meanwhile.
        differences = all_differences(transaction, manifest)?;
    }
    let held: Vec<String> =
        differences.iter().filter_map(|(_, difference)| difference.holds(policy, is_approved)).collect();
    if !held.is_empty() {
        return Err(Refusal::Held(Hold::new(HoldKind::Schema, &held.join("; "))));
    }
    for (table, difference) in &differences {
        if let Some((what, statements)) = difference.made_by() {
            tracing::info!("making {what}");
            make(transaction, table, &format!("making {what}"), statements)?;
        }
    }
    Ok(())
}

/// Whether head office's tables are fit as they are.
pub(super) fn is_fit(transaction: &mut Transaction<'_>, manifest: &Manifest) -> Result<bool, Refusal> {
    Ok(all_differences(transaction, manifest)?.is_empty())
}

/// A right that is missing is head office's own trouble.
fn make(
    transaction: &mut Transaction<'_>,
    table: &TableName,
    doing: &str,
    statements: &str,
) -> Result<(), Refusal> {
    let failed = |error: postgres::Error| judged(doing, &error);
    let mut attempt = transaction.transaction().map_err(failed)?;
    let Err(error) = attempt.batch_execute(statements) else {
        return attempt.commit().map_err(failed);
    };
    attempt.rollback().map_err(failed)?;
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return Err(judged_making(doing, &error));
    }
    Err(Refusal::Failed(making_failure(transaction, doing, &error, table)))
}

/// Each with its table.
fn all_differences<'m>(
    transaction: &mut Transaction<'_>,
    manifest: &'m Manifest,
) -> Result<Vec<(&'m TableName, Difference)>, Refusal> {
    let mut all = Vec::new();
    for change in &manifest.tables {
        let of_table = differences(transaction, manifest, change)?;
        all.extend(of_table.into_iter().map(|difference| (&change.name, difference)));
    }
    Ok(all)
}

fn differences(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<Vec<Difference>, Refusal> {
    check_name(change)?;
    let known = known_columns(transaction, manifest, change)?;
    let needs_earlier_rows =
        !known.is_empty() && change.range.as_ref().is_none_or(|range| range.after.is_some());
    let Some(table) = describe(transaction, &change.name)? else {
        if needs_earlier_rows {
            let why =
                format!("table {}: head office has lost it; {}", change.name, everything_anew(manifest));
            return Ok(vec![Difference::Unfit(why)]);
        }
        return Ok(vec![whole_table(transaction, manifest, change)?]);
    };
    let fittings = Fittings::of(transaction, manifest, change, &table)?;
    if let Some(parent) = fittings.parent {
        let why =
            format!("table {}: at head office this is the name of a partition of {parent}", change.name);
        let other = "give that another name with ALTER TABLE ... RENAME TO";
        return Ok(vec![Difference::Unfit(format!("{why}; {other}"))]);
    }
    let mut differences = Vec::new();
    differences.extend(gone(change, &known).map(Difference::Gone));
    for column in &change.columns {
        differences.extend(column_difference(transaction, manifest, change, (&table, &known), column)?);
    }
    differences.extend(other_key(change, &table).map(Difference::Unfit));
    let unprepared = fittings.lacking.into_iter();
    differences.extend(unprepared.map(|(what, statements)| Difference::Unprepared { what, statements }));
    if fittings.lacks_partition && needs_earlier_rows {
        let why = format!("the partition with the rows of {} is not there any more", manifest.branch);
        let mend = format!("attach it again, or {}", everything_anew(manifest));
        differences.push(Difference::Unfit(format!("table {}: {why}; {mend}", change.name)));
    } else if fittings.lacks_partition {
        differences.push(partition(transaction, manifest, change)?);
    }
    Ok(differences)
}

/// A new table, with all that belongs to it.
fn whole_table(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<Difference, Refusal> {
    change.columns.iter().try_for_each(|column| check_type(transaction, &change.name, column))?;
    let schema = schema_statement(transaction, &change.name.schema);
    let schema = schema.map_err(|error| judged("looking for a schema", &error))?;
    Ok(match partition_name(transaction, &change.name, manifest)? {
        Ok(partition) => Difference::Missing {
            what: format!("table {}", change.name),
            statements: schema + &create_table(change, &partition, manifest),
        },
        Err(why) => Difference::Unfit(why),
    })
}

/// The partition for the rows of the branch.
fn partition(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<Difference, Refusal> {
    Ok(match partition_name(transaction, &change.name, manifest)? {
        Ok(name) => Difference::Unprepared {
            what: format!("table {name}, the partition of {} for {}", change.name, manifest.branch),
            statements: create_partition(&change.name, &name, manifest),
        },
        Err(why) => Difference::Unfit(why),
    })
}

/// How a column of the branch's differs from head office's `table`. `known` are the columns that the table had
/// when it last came.
fn column_difference(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
    (table, known): (&TableDescription, &[String]),
    column: &Column,
) -> Result<Option<Difference>, Refusal> {
    let Column { name, type_name, .. } = column;
    let what = format!("table {}, column {name:?}", change.name);
    let Some(present) = table.columns.iter().find(|present| present.name == *name) else {
        check_type(transaction, &change.name, column)?;
        let what = format!("{what} of type {type_name}");
        return Ok(Some(Difference::Missing { what, statements: add_column(change, column) }));
    };
    if !holds_values_of(&present.type_name, type_name) {
        let why = format!("{what}: the branch has type {type_name}, head office has {}", present.type_name);
        return Ok(Some(Difference::Unfit(why)));
    }
    let is_new = change.mode != Mode::Range && !known.is_empty() && !known.contains(name);
    if is_new && has_values(transaction, manifest, change, column)? {
        let why = "it is new at the branch, and head office's rows have values";
        return Ok(Some(Difference::Unfit(format!("{what}: {why}; {}", everything_anew(manifest)))));
    }
    Ok(None)
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
