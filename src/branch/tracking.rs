//! Which tables are tracked: installing and removing their capture.

use std::collections::BTreeMap;

use postgres::error::SqlState;
use postgres::{Client, GenericClient, Transaction};

use super::capture::Capture;
use super::captured::{capturable, capture_digest, missing_triggers};
use crate::database::{Lock, Role, database_failure, make_readable, migrate, schema_owner, take_lock};
use crate::domain::{Epoch, Failure, NodeName, TableName};

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
    pub(super) capture: String,
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
