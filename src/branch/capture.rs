//! The statements that make a table write its change log.
//!
//! The log holds keys only: `(k1 … kn, op, xid)`, with the types of the table's own key, no index, no
//! sequence, no row content. Statement triggers with transition tables write it, so that a bulk load
//! pays per statement and not per row; a row trigger adds the old and the new key where an update
//! changes the key itself. Where the table has a business day, the log also says which day every entry
//! touches: the one a row has come to or is on, or has left by being deleted or moved. The days whose
//! totals have changed are then known from the log alone.
//!
//! The functions run as their owner: the application needs no rights on the schema. Nor can it put anything
//! else in the log's place. The three that run for every statement have one command each, for an operation
//! of their own, and name everything in full: they call no operator, and what a bare name means there,
//! `changed_rows`, is settled before any search path is asked. The others have a fixed search path, which
//! would cost each statement a quarter of what capture does.

use crate::database::{KeyColumn, TableDescription, day_expression};
use crate::domain::{Column, TableName, quote_identifier, quote_literal};

/// Wakes a follower, if there is one. Always would be too dear: sessions that notify commit one after
/// another. Whether there is one is a constant in the plan, and takes no look at a table.
const NOTIFY: &str = "IF salesync.is_followed() THEN PERFORM pg_catalog.pg_notify('salesync', ''); END IF;";

const FIXED_PATH: &str = "SET search_path = pg_catalog, pg_temp";
const FIXED_PATH_AND_ALL_ROWS: &str = "SET search_path = pg_catalog, pg_temp SET row_security = off";

/// What can be done to a row: trigger and function, event, the letter in the log, and the rows it was done to.
const OPERATIONS: [Operation; 3] = [
    Operation { trigger: "salesync_insert", function: "inserted", event: "INSERT", op: 'I', image: "NEW" },
    Operation { trigger: "salesync_update", function: "updated", event: "UPDATE", op: 'U', image: "NEW" },
    Operation { trigger: "salesync_delete", function: "deleted", event: "DELETE", op: 'D', image: "OLD" },
];

struct Operation {
    trigger: &'static str,
    function: &'static str,
    event: &'static str,
    op: char,
    image: &'static str,
}

/// A function that a trigger calls.
#[derive(Debug, Clone)]
pub(super) struct Function {
    /// Without the table's number.
    name: &'static str,
    /// The trigger.
    pub(super) trigger: &'static str,
    settings: &'static str,
    /// As PostgreSQL keeps it.
    pub(super) source: String,
}

impl Function {
    fn new(name: &'static str, trigger: &'static str, settings: &'static str, body: &str) -> Self {
        Self { name, trigger, settings, source: format!("BEGIN {body} RETURN NULL; END") }
    }
}

/// The capture of one table.
#[derive(Debug)]
pub(super) struct Capture<'a> {
    id: i32,
    table: String,
    key: &'a [KeyColumn],
    columns: &'a [Column],
    /// The business-day column.
    day: Option<&'a str>,
}

impl<'a> Capture<'a> {
    /// The triggers that every table has, by name.
    const TRIGGERS: [&'static str; 5] =
        ["salesync_delete", "salesync_insert", "salesync_rekey", "salesync_truncate", "salesync_update"];
    const FUNCTIONS: [&'static str; 6] =
        ["deleted", "inserted", "redated", "rekeyed", "truncated", "updated"];
    /// The one more of a table with a business day.
    const DAY_TRIGGER: &'static str = "salesync_redate";

    pub(super) fn new(
        id: i32,
        table: &TableName,
        description: &'a TableDescription,
        day: Option<&'a str>,
    ) -> Self {
        Self { id, table: table.sql(), key: &description.key, columns: &description.columns, day }
    }

    /// The triggers, by name.
    pub(super) fn trigger_names(&self) -> impl Iterator<Item = &'static str> {
        Self::TRIGGERS.into_iter().chain(self.day.map(|_| Self::DAY_TRIGGER))
    }

    /// The statements that make the log and the functions that write it.
    pub(super) fn log_and_functions(&self) -> String {
        [
            self.log(),
            self.functions().iter().map(|function| self.create(function)).collect::<Vec<_>>().join("\n"),
        ]
        .join("\n")
    }

    /// The statements that remove it.
    pub(super) fn remove(id: i32, table: &TableName, table_exists: bool) -> String {
        let drop = |name: &str| format!("DROP TRIGGER IF EXISTS {name} ON {};", table.sql());
        let names = Self::TRIGGERS.into_iter().chain([Self::DAY_TRIGGER]);
        let triggers: String = if table_exists { names.map(drop).collect() } else { String::new() };
        let functions =
            Self::FUNCTIONS.map(|what| format!("DROP FUNCTION IF EXISTS salesync.{what}_{id}();"));
        format!("{triggers}\n{}\nDROP TABLE IF EXISTS salesync.log_{id};", functions.join("\n"))
    }

    /// The trigger functions, each with the trigger that calls it.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut functions = OPERATIONS.map(|operation| self.statement_function(&operation)).to_vec();
        functions.push(self.rekey_function());
        functions.extend(self.redate_function());
        functions.push(self.truncate_function());
        functions
    }

    /// A function, as `regprocedure` reads it.
    pub(super) fn signature(&self, function: &Function) -> String {
        format!("salesync.{}_{}()", function.name, self.id)
    }

    /// Wide columns first: the order in which they need the least padding.
    fn log(&self) -> String {
        let column =
            |(place, key): (usize, &KeyColumn)| format!("k{} {}{}", place + 1, key.own_type, key.collate);
        format!(
            "CREATE TABLE salesync.log_{} ({}, xid xid8 NOT NULL DEFAULT pg_current_xact_id(){}, op \"char\" NOT NULL);",
            self.id,
            self.key.iter().enumerate().map(column).collect::<Vec<_>>().join(", "),
            self.day.map_or("", |_| ", day date"),
        )
    }

    /// `r."id", r."no"`: the key columns of the row or table called `row`.
    fn key_of(&self, row: &str) -> String {
        let column = |key: &KeyColumn| format!("{row}.{}", quote_identifier(&key.name));
        self.key.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    /// `, r."date"`: the business day of the row called `row`.
    fn day_of(&self, row: &str) -> String {
        self.day.map_or_else(String::new, |day| format!(", {}", day_expression(self.columns, day, row)))
    }

    /// Begins an entry or many: the keys, the operation and the day of each follow.
    fn insert(&self) -> String {
        let columns: Vec<String> = (1..=self.key.len()).map(|place| format!("k{place}")).collect();
        let day = self.day.map_or("", |_| ", day");
        format!("INSERT INTO salesync.log_{} ({}, op{day})", self.id, columns.join(", "))
    }

    /// An entry about the row called `row`: key, operation, day.
    fn entry(&self, row: &str, op: char) -> String {
        format!("{}, '{op}'{}", self.key_of(row), self.day_of(row))
    }

    /// Nobody else may put it on a table of theirs, which would write into this log. A trigger that is there fires
    /// whoever changes the table.
    fn create(&self, function: &Function) -> String {
        let name = self.signature(function);
        format!(
            "CREATE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {} AS {}; \
             REVOKE ALL ON FUNCTION {name} FROM PUBLIC;",
            function.settings,
            quote_literal(&function.source),
        )
    }

    fn statement_function(&self, operation: &Operation) -> Function {
        let body = format!(
            "{} SELECT {} FROM changed_rows r; {NOTIFY}",
            self.insert(),
            self.entry("r", operation.op)
        );
        Function::new(operation.function, operation.trigger, "", &body)
    }

    fn rekey_function(&self) -> Function {
        let (old, new) = (self.entry("OLD", 'D'), self.entry("NEW", 'I'));
        let body = format!("{} VALUES ({old}), ({new});", self.insert());
        Function::new("rekeyed", "salesync_rekey", FIXED_PATH, &body)
    }

    /// One more update of the key changes nothing but that the day it has left is known.
    fn redate_function(&self) -> Option<Function> {
        self.day?;
        let body = format!("{} VALUES ({});", self.insert(), self.entry("OLD", 'U'));
        Some(Function::new("redated", Self::DAY_TRIGGER, FIXED_PATH, &body))
    }

    /// TRUNCATE removes also what its own snapshot cannot see, and only a snapshot taken after its lock
    /// sees everything: in the stricter isolation levels there is none. Rows that a policy hides make it
    /// fail, for they would go without a log. The table is read by its name, and what has been put in its place,
    /// a view perhaps, is not read with the function's rights.
    fn truncate_function(&self) -> Function {
        let body = format!(
            "IF TG_RELID IS DISTINCT FROM to_regclass({}) THEN \
             RAISE EXCEPTION 'this table is captured under another name' USING HINT = 'Run `salesync init`.'; END IF; \
             IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN \
             RAISE EXCEPTION 'TRUNCATE of a table that salesync captures needs READ COMMITTED' \
             USING HINT = 'Use DELETE, or run TRUNCATE in a READ COMMITTED transaction.'; END IF; \
             {} SELECT {} FROM ONLY {} r; {NOTIFY}",
            quote_literal(&self.table),
            self.insert(),
            self.entry("r", 'D'),
            self.table,
        );
        Function::new("truncated", "salesync_truncate", FIXED_PATH_AND_ALL_ROWS, &body)
    }

    /// The statements that put the functions on the table.
    pub(super) fn triggers(&self) -> String {
        let (id, table) = (self.id, &self.table);
        let order = |row: &str| self.key.iter().map(|key| key.order_of(row)).collect::<Vec<_>>().join(", ");
        let rekeyed = format!("ROW({}) IS DISTINCT FROM ROW({})", order("OLD"), order("NEW"));
        let of_statements = OPERATIONS.map(|Operation { trigger, function, event, image, .. }| {
            format!(
                "{trigger} AFTER {event} ON {table} REFERENCING {image} TABLE AS changed_rows \
                 FOR EACH STATEMENT EXECUTE FUNCTION salesync.{function}_{id}()"
            )
        });
        let others = [
            format!(
                "salesync_rekey AFTER UPDATE ON {table} FOR EACH ROW WHEN ({rekeyed}) EXECUTE FUNCTION salesync.rekeyed_{id}()"
            ),
            format!(
                "salesync_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION salesync.truncated_{id}()"
            ),
        ];
        let redate = self.day.map(|day| {
            let day = quote_identifier(day);
            format!(
                "salesync_redate AFTER UPDATE ON {table} FOR EACH ROW \
                 WHEN (OLD.{day} IS DISTINCT FROM NEW.{day}) EXECUTE FUNCTION salesync.redated_{id}()"
            )
        });
        let create = of_statements
            .into_iter()
            .chain(others)
            .chain(redate)
            .map(|trigger| format!("CREATE TRIGGER {trigger};"));
        let always = |name: &str| format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name};");
        create.chain(self.trigger_names().map(always)).collect::<Vec<_>>().join("\n")
    }
}
