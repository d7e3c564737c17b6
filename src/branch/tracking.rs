//! Which tables are tracked: installing, checking and removing their capture.

use std::collections::BTreeMap;

use postgres::error::SqlState;
use postgres::{Client, GenericClient, Transaction};

use super::capture::Capture;
use crate::database::{
    KeyColumn, Lock, Role, TableDescription, database_failure, describe, is_day, make_readable, migrate,
    schema_owner, take_lock,
};
use crate::domain::{Digest, Epoch, Failure, Kind, NodeName, TableName, quote_identifier};

/// A tracked table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedTable {
    /// Its number; the log is `salesync.log_<number>`.
    pub id: i32,
    /// Its name.
    pub name: TableName,
    /// True once its whole content has been in a cut.
    pub is_complete: bool,
    /// Its business-day column, which its capture knows of.
    pub day: Option<String>,
    /// Its columns when it last travelled, as [`TableDescription::shape`] tells them; none if not known.
    pub(super) shape: Option<Vec<String>>,
    /// The last bundle of the cut in which it last travelled whole: its log reaches back no further.
    pub(super) whole_in: i64,
    /// SHA-256 of the statements that installed its capture.
    capture: String,
}

impl TrackedTable {
    /// True if it has travelled whole with the cut whose last bundle this is, or before it: the log has what
    /// came after that cut.
    pub(super) fn has_travelled_by(&self, sequence: i64) -> bool {
        self.is_complete && self.whole_in <= sequence
    }
}

/// What `init` did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct InitReport {
    /// Migrations that were run.
    pub migrations: usize,
    /// Tables whose capture was installed or renewed.
    pub tracked: Vec<TableName>,
    /// Tables that were already captured as they should be.
    pub unchanged: Vec<TableName>,
    /// Tables whose capture was removed.
    pub untracked: Vec<TableName>,
}

/// Makes this database the branch `node` and captures exactly these tables, each with its business-day
/// column if it has one. Doing it again changes nothing.
pub fn init_branch(
    client: &mut Client,
    node: &NodeName,
    tables: &BTreeMap<TableName, Option<String>>,
) -> Result<InitReport, Failure> {
    take_lock(client, Lock::Init)?;
    take_lock(client, Lock::Bundle)?;
    let migrations = migrate(client, node, Role::Branch)?;
    let failed = |error: postgres::Error| database_failure("installing capture", &error);
    let mut transaction = client.transaction().map_err(failed)?;
    let report = install(&mut transaction, node, tables)?;
    transaction.commit().map_err(failed)?;
    Ok(InitReport { migrations, ..report })
}

/// The same in a transaction, in a database that has been migrated.
pub(super) fn install(
    transaction: &mut Transaction<'_>,
    node: &NodeName,
    tables: &BTreeMap<TableName, Option<String>>,
) -> Result<InitReport, Failure> {
    register(transaction, node).map_err(|error| database_failure("installing capture", &error))?;
    let mut report = InitReport::default();
    let before = tracked_tables(transaction)?;
    for old in before.iter().filter(|old| !tables.contains_key(&old.name)) {
        untrack(transaction, old)?;
        report.untracked.push(old.name.clone());
    }
    let owner = schema_owner(transaction)?;
    for (name, day) in tables {
        let known = before.iter().find(|old| old.name == *name);
        let changed = track(transaction, (name, day.as_deref()), known, &owner)?;
        let list = if changed { &mut report.tracked } else { &mut report.unchanged };
        list.push(name.clone());
    }
    Ok(report)
}

/// The tracked tables, oldest first.
pub fn tracked_tables(client: &mut impl GenericClient) -> Result<Vec<TrackedTable>, Failure> {
    let sql = "SELECT table_id, schema_name, table_name, is_complete, capture, shape, whole_in, day_column
               FROM salesync.tracked_table ORDER BY table_id";
    let rows =
        client.query(sql, &[]).map_err(|error| database_failure("reading the tracked tables", &error))?;
    let table = |row: &postgres::Row| TrackedTable {
        id: row.get(0),
        name: TableName { schema: row.get(1), table: row.get(2) },
        is_complete: row.get(3),
        capture: row.get(4),
        shape: row.get(5),
        whole_in: row.get(6),
        day: row.get(7),
    };
    Ok(rows.iter().map(table).collect())
}

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

fn register(transaction: &mut Transaction<'_>, node: &NodeName) -> Result<(), postgres::Error> {
    transaction.execute(
        "INSERT INTO salesync.node (name, role, epoch, system_identifier, database_oid)
         SELECT $1, 'branch', $2, system_identifier, d.oid
         FROM pg_control_system(), pg_database d WHERE d.datname = current_database()
         ON CONFLICT DO NOTHING",
        &[&node.as_str(), &Epoch::generate().0],
    )?;
    Ok(())
}

/// Installs capture of a table, with its business day, if it is not there as it should be. The log and the functions
/// are the schema owner's, who must be able to read the table. True if anything was changed.
fn track(
    transaction: &mut Transaction<'_>,
    (name, day): (&TableName, Option<&str>),
    known: Option<&TrackedTable>,
    owner: &str,
) -> Result<bool, Failure> {
    let failed = |error: postgres::Error| uncaptured(name, &error);
    let description = capturable(transaction, name, day)?;
    make_readable(transaction, name, owner)?;
    if let Some(known) = known {
        let capture = Capture::new(known.id, name, &description, day);
        let intact = missing_triggers(transaction, &description, &capture)?.is_empty();
        if intact && capture_digest(&capture) == known.capture {
            return Ok(false);
        }
        untrack(transaction, known)?;
    }
    let sql = "INSERT INTO salesync.tracked_table (schema_name, table_name, capture, day_column)
               VALUES ($1, $2, '', $3) RETURNING table_id";
    let id: i32 = transaction.query_one(sql, &[&name.schema, &name.table, &day]).map_err(failed)?.get(0);
    let capture = Capture::new(id, name, &description, day);
    let (log, triggers) = (capture.log_and_functions(), capture.triggers());
    let install = format!("SET LOCAL ROLE {owner}; {log} RESET ROLE; {triggers}");
    transaction.batch_execute(&install).map_err(failed)?;
    let sql = "UPDATE salesync.tracked_table SET capture = $2 WHERE table_id = $1";
    transaction.execute(sql, &[&id, &capture_digest(&capture)]).map_err(failed)?;
    Ok(true)
}

/// What stands in the way of making or removing triggers. Only the owner of a table may enable one always.
fn uncaptured(name: &TableName, error: &postgres::Error) -> Failure {
    let failure = database_failure(format!("capturing {name}"), error);
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return failure;
    }
    failure.hint(
        "run `salesync init` as a member of the role that owns the table (GRANT its owner TO the role in database.url), \
         or as a superuser; `bundle` then needs no more than to read it",
    )
}

pub(super) fn untrack(transaction: &mut Transaction<'_>, table: &TrackedTable) -> Result<(), Failure> {
    let failed = |error: postgres::Error| uncaptured(&table.name, &error);
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let exists: bool = transaction.query_one(sql, &[&table.name.sql()]).map_err(failed)?.get(0);
    transaction.batch_execute(&Capture::remove(table.id, &table.name, exists)).map_err(failed)?;
    let sql = "DELETE FROM salesync.tracked_table WHERE table_id = $1";
    transaction.execute(sql, &[&table.id]).map_err(failed)?;
    Ok(())
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
fn missing_triggers(
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

fn capture_digest(capture: &Capture<'_>) -> String {
    Digest::of([capture.log_and_functions(), capture.triggers()].concat().as_bytes()).to_string()
}
