//! The application's own tables: made where they are missing, checked where they are there, and filled all at
//! once.

use postgres::Transaction;
use postgres::error::SqlState;

use super::DOING;
use super::chain::Chain;
use super::scratch::{definition, scratch_table};
use crate::branch::captured::capturable;
use crate::database::{TableDescription, database_failure, describe, schema_statement};
use crate::domain::{Column, Failure, Kind, TableName, key_columns, quote_identifier};

/// A table of the application that is to be filled.
pub(super) struct LiveTable<'a> {
    pub(super) name: &'a TableName,
    /// Its columns in the bundles.
    pub(super) columns: &'a [Column],
    pub(super) was_created: bool,
    pub(super) oid: u32,
    /// The triggers that sleep meanwhile, and the word with which each is woken.
    triggers: Vec<(String, String)>,
}

impl<'a> LiveTable<'a> {
    /// Makes the table if it is missing. It must be empty, and have the bundles' columns and key. The
    /// application's triggers sleep: the rows are no news, and what triggers would add is in the bundles.
    pub(super) fn prepare(
        transaction: &mut Transaction<'_>,
        name: &'a TableName,
        columns: &'a [Column],
        day: Option<&str>,
    ) -> Result<Self, Failure> {
        let was_created = describe(transaction, name)?.is_none();
        if was_created {
            create(transaction, name, columns)?;
        }
        let description = capturable(transaction, name, day)?;
        check_columns(name, columns, &description)?;
        let mut table = Self { name, columns, was_created, oid: description.oid, triggers: Vec::new() };
        table.put_triggers_to_sleep(transaction)?;
        table.refuse_rows(transaction)?;
        Ok(table)
    }

    fn put_triggers_to_sleep(&mut self, transaction: &mut Transaction<'_>) -> Result<(), Failure> {
        let failed = |error: postgres::Error| {
            database_failure(format!("disabling the triggers of {}", self.name), &error)
        };
        let name = self.name.sql();
        // Nobody else writes from here on.
        transaction
            .batch_execute(&format!("LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
            .map_err(failed)?;
        let sql =
            "SELECT tgname::text, CASE tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' ELSE '' END
                   FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D'";
        let rows = transaction.query(sql, &[&self.oid]).map_err(failed)?;
        transaction.batch_execute(&format!("ALTER TABLE {name} DISABLE TRIGGER USER")).map_err(failed)?;
        self.triggers = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        Ok(())
    }

    /// The triggers are as they were.
    pub(super) fn wake_triggers(&self, transaction: &mut Transaction<'_>) -> Result<(), Failure> {
        for (trigger, how) in &self.triggers {
            let trigger = quote_identifier(trigger);
            let sql = format!("ALTER TABLE {} ENABLE {how}TRIGGER {trigger}", self.name.sql());
            transaction.batch_execute(&sql).map_err(|error| {
                database_failure(format!("enabling the triggers of {}", self.name), &error)
            })?;
        }
        Ok(())
    }

    fn refuse_rows(&self, transaction: &mut Transaction<'_>) -> Result<(), Failure> {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", self.name.sql());
        let row = transaction.query_one(&sql, &[]).map_err(|error| database_failure(DOING, &error))?;
        if !row.get::<_, bool>(0) {
            return Ok(());
        }
        Err(Failure::new(Kind::Usage, DOING, format!("table {} has rows already", self.name))
            .hint("a branch is rebuilt into empty tables only; nothing was changed"))
    }

    /// The statement that moves the rows over. Values of generated columns come of themselves.
    fn insert(&self, transaction: &mut Transaction<'_>) -> Result<String, Failure> {
        let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
                   WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''";
        let rows = transaction.query(sql, &[&self.oid]).map_err(|error| database_failure(DOING, &error))?;
        let own_type = |column: &Column| {
            let row = rows.iter().find(|row| row.get::<_, &str>(0) == column.name)?;
            Some((quote_identifier(&column.name), row.get::<_, &str>(1)))
        };
        let written: Vec<(String, &str)> = self.columns.iter().filter_map(own_type).collect();
        let names: Vec<&str> = written.iter().map(|(name, _)| &**name).collect();
        let values: Vec<String> = written.iter().map(|(name, own)| format!("s.{name}::{own}")).collect();
        Ok(format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} s",
            self.name.sql(),
            names.join(", "),
            values.join(", "),
            scratch_table(self.name),
        ))
    }

    /// How many rows there are in both tables, which must be the same to the last byte of every value.
    fn compare(&self, transaction: &mut Transaction<'_>) -> Result<u64, Failure> {
        let names: Vec<String> =
            self.columns.iter().map(|column| format!("r.{}", quote_identifier(&column.name))).collect();
        let digest = |table: &str| {
            format!(
                "SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)), 0)::text FROM {table} r",
                names.join(", ")
            )
        };
        let doing = format!("comparing table {} with the bundles", self.name);
        let mut read = |table: &str| {
            let row = transaction.query_one(&digest(table), &[]);
            row.map(|row| (row.get::<_, i64>(0).unsigned_abs(), row.get::<_, String>(1)))
                .map_err(|error| database_failure(doing.clone(), &error))
        };
        let (expected, found) = (read(&scratch_table(self.name))?, read(&self.name.sql())?);
        if expected == found {
            return Ok(found.0);
        }
        let why = format!(
            "the bundles have {} rows, the table has {}, or others: it changes what is written to it",
            expected.0, found.0
        );
        Err(Failure::new(Kind::Failed, doing, why)
            .hint("look for rules and generated columns of the table; nothing was changed"))
    }
}

/// Moves all rows over and returns how many each table has. One statement for all tables: what the tables ask
/// of each other is asked when it has ended, so that their order does not matter.
pub(super) fn fill(
    transaction: &mut Transaction<'_>,
    tables: &[LiveTable<'_>],
    chain: &Chain,
) -> Result<Vec<u64>, Failure> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let inserts = tables
        .iter()
        .enumerate()
        .map(|(place, table)| Ok(format!("moved_{place} AS ({})", table.insert(transaction)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let sql = format!("WITH {} SELECT", inserts.join(", "));
    transaction
        .batch_execute(&sql)
        .and_then(|()| transaction.batch_execute("SET CONSTRAINTS ALL IMMEDIATE"))
        .map_err(|error| refused(&error, chain))?;
    tables.iter().map(|table| table.compare(transaction)).collect()
}

fn refused(error: &postgres::Error, chain: &Chain) -> Failure {
    let failure = database_failure("filling the tables with the bundles' rows", error);
    match (error.code(), chain.last_cut()) {
        (Some(&SqlState::FOREIGN_KEY_VIOLATION), _) => {
            failure.hint("fill the tables that do not travel first; those that do must all be in the bundles")
        }
        (Some(code), Some(cut)) if code.code().starts_with("23") && !chain.is_at_cut() => {
            failure.hint(format!(
                "the last bundles are only a part of their cut; `--to {cut}` stops at the last whole one"
            ))
        }
        _ => failure,
    }
}

fn create(transaction: &mut Transaction<'_>, name: &TableName, columns: &[Column]) -> Result<(), Failure> {
    let failed = |error: postgres::Error| database_failure(format!("creating the table {name}"), &error);
    let (columns, key) = definition(columns);
    let schema = schema_statement(transaction, &name.schema).map_err(failed)?;
    let sql = format!("{schema}CREATE TABLE {} ({columns}, PRIMARY KEY ({key}))", name.sql());
    transaction.batch_execute(&sql).map_err(failed)
}

/// What the bundles have, the table must have alike. What it has more must do without a value.
fn check_columns(name: &TableName, columns: &[Column], table: &TableDescription) -> Result<(), Failure> {
    let wrong = |why: String| {
        Failure::new(Kind::Configuration, format!("looking at table {name}"), why).hint(
            "make the table as it was when its last bundle was sealed, or drop it: it is then made with columns, \
             types and key only",
        )
    };
    for column in columns {
        let shown = quote_identifier(&column.name);
        match table.columns.iter().find(|present| present.name == column.name) {
            None => return Err(wrong(format!("it has no column {shown}, which the bundles have"))),
            Some(present) if present.type_name != column.type_name => {
                let (here, there) = (&present.type_name, &column.type_name);
                return Err(wrong(format!("its column {shown} has type {here}, in the bundles {there}")));
            }
            Some(_) => {}
        }
    }
    let expected: Vec<&str> = key_columns(columns).iter().map(|column| column.name.as_str()).collect();
    let found: Vec<&str> = table.key.iter().map(|key| key.name.as_str()).collect();
    if expected == found {
        return Ok(());
    }
    Err(wrong(format!("its key is ({}), in the bundles ({})", found.join(", "), expected.join(", "))))
}
