//! What must be true of a table for its changes to be captured, and whether it is.

use std::collections::BTreeMap;

use postgres::GenericClient;

use super::capture::Capture;
use super::tracking::TrackedTable;
use crate::database::{KeyColumn, TableDescription, database_failure, describe, is_day};
use crate::domain::{Digest, Failure, Kind, TableName, quote_identifier};

/// The table as it is, if its capture is whole: a primary key, the triggers present and enabled.
pub(super) fn check_capture(
    client: &mut impl GenericClient,
    table: &TrackedTable,
) -> Result<TableDescription, Failure> {
    let doing = format!("checking the capture of {}", table.name);
    let description = capturable(client, &table.name, table.day.as_deref())?;
    if !is_captured(table, &description) {
        return Err(Failure::new(Kind::Failed, doing, "its primary key is not the one that is captured")
            .hint("run `salesync init`; the whole table travels again with the next bundle"));
    }
    let capture = Capture::new(table.id, &table.name, &description, table.day.as_deref());
    let missing = missing_triggers(client, &description, &capture)?;
    if missing.is_empty() {
        return Ok(description);
    }
    let why = format!(
        "trigger {} is missing or disabled, or was changed, so changes may be unrecorded",
        missing.join(", ")
    );
    Err(Failure::new(Kind::Failed, doing, why)
        .hint("run `salesync init`; the whole table travels again with the next bundle"))
}

/// True if the log of the table has the keys that the table, which is `description` now, has.
pub(super) fn is_captured(table: &TrackedTable, description: &TableDescription) -> bool {
    let day = table.day.as_deref();
    capture_digest(&Capture::new(table.id, &table.name, description, day)) == table.capture
}

/// The column with the money of each table that has one must be there.
pub fn check_amounts(
    client: &mut impl GenericClient,
    amounts: &BTreeMap<TableName, String>,
) -> Result<(), Failure> {
    for (table, amount) in amounts {
        let Some(description) = describe(client, table)? else { continue };
        if description.columns.iter().all(|column| column.name != *amount) {
            let why = format!("it has no column {amount:?}, which `amount` names");
            return Err(Failure::new(Kind::Configuration, format!("looking at table {table}"), why)
                .hint("correct `amount` in its [[table]] section"));
        }
    }
    Ok(())
}

/// Of a table that is configured and not captured nothing would travel, and nobody would notice that.
pub(super) fn check_captured(
    tracked: &[TrackedTable],
    configured: &BTreeMap<TableName, Option<String>>,
) -> Result<(), Failure> {
    let is_missing = |name: &&TableName| !tracked.iter().any(|table| table.name == **name);
    let Some(missing) = configured.keys().find(is_missing) else { return Ok(()) };
    let why = format!("{missing} is configured, and not captured yet");
    Err(Failure::new(Kind::Configuration, "cutting", why).hint("run `salesync init`"))
}

/// The log knows of the business day that is configured, and of no other.
pub(super) fn check_day(
    table: &TrackedTable,
    configured: &BTreeMap<TableName, Option<String>>,
) -> Result<(), Failure> {
    let Some(day) = configured.get(&table.name).filter(|day| **day != table.day) else {
        return Ok(());
    };
    let shown = |day: &Option<String>| day.as_ref().map_or("none".to_owned(), |day| format!("{day:?}"));
    let doing = format!("checking the capture of {}", table.name);
    let why =
        format!("its business day is captured as {}, and configured as {}", shown(&table.day), shown(day));
    Err(Failure::new(Kind::Configuration, doing, why)
        .hint("run `salesync init`; the whole table travels again with the next bundle"))
}

/// The table, if its changes can be captured.
pub(super) fn capturable(
    client: &mut impl GenericClient,
    name: &TableName,
    day: Option<&str>,
) -> Result<TableDescription, Failure> {
    let refused = |why: String| Failure::new(Kind::Configuration, format!("looking at table {name}"), why);
    let Some(description) = describe(client, name)? else {
        return Err(refused("there is no such table".into())
            .hint("create it, correct `tables`, or for public.sales run `salesync init --with-sales`"));
    };
    if let Some(what) = &description.uncapturable {
        return Err(refused(format!("it is {what}, whose changes triggers cannot capture completely"))
            .hint("take it off `tables`; only ordinary, logged tables can travel"));
    }
    if description.key.is_empty() {
        return Err(refused("it has no primary key, so its rows cannot be told apart".into())
            .hint(format!("ALTER TABLE {} ADD PRIMARY KEY (…);", name.sql())));
    }
    if description.columns.iter().any(|column| column.name == "branch") {
        return Err(refused(
            "it has a column `branch`, which is what head office calls the origin of a row".into(),
        )
        .hint("rename the column, or take the table off `tables`"));
    }
    let is_day =
        |day: &str| description.columns.iter().any(|column| column.name == day && is_day(&column.type_name));
    if let Some(day) = day.filter(|day| !is_day(day)) {
        return Err(refused(format!("it has no column {day:?} with a date, which `day` names"))
            .hint("correct `day` in its [[table]] section: a column of type date or timestamp"));
    }
    if let Some(why) = description.key.iter().find_map(unsuitable) {
        return Err(refused(format!("its primary key {why}")).hint("give the table a key of another type"));
    }
    Ok(description)
}

/// Why a key of this type would not be the same key at head office, if so.
fn unsuitable(key: &KeyColumn) -> Option<String> {
    let (name, type_name) = (quote_identifier(&key.name), &key.own_type);
    if key.type_name.starts_with("jsonb") {
        return Some(format!(
            "has {name} of type {type_name}, which sorts differently from database to database"
        ));
    }
    if key.has_cast {
        return Some(format!("has {name} of type {type_name}, whose text somebody's own CAST decides"));
    }
    let is_reference = type_name.starts_with("reg");
    is_reference
        .then(|| format!("has {name} of type {type_name}, whose text changes when something is renamed"))
}

/// The triggers that are not there, not enabled, or call something else than they should.
pub(super) fn missing_triggers(
    client: &mut impl GenericClient,
    table: &TableDescription,
    capture: &Capture<'_>,
) -> Result<Vec<&'static str>, Failure> {
    let functions = capture.functions();
    let names: Vec<&str> = functions.iter().map(|function| function.trigger).collect();
    let called: Vec<String> = functions.iter().map(|function| capture.signature(function)).collect();
    let sources: Vec<&str> = functions.iter().map(|function| function.source.as_str()).collect();
    let sql = "SELECT t.tgname::text
               FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
               JOIN unnest($2::text[], $3::text[], $4::text[]) AS f(trigger, called, source)
                 ON t.tgname = f.trigger AND p.oid = to_regprocedure(f.called) AND p.prosrc = f.source
               WHERE t.tgrelid = $1 AND t.tgenabled = 'A' AND p.prosecdef";
    let rows = client
        .query(sql, &[&table.oid, &names, &called, &sources])
        .map_err(|error| database_failure("looking at the capture triggers", &error))?;
    let present: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    Ok(names.into_iter().filter(|name| !present.contains(name)).collect())
}

pub(super) fn capture_digest(capture: &Capture<'_>) -> String {
    Digest::of([capture.log_and_functions(), capture.triggers()].concat().as_bytes()).to_string()
}
