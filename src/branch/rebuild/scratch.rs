//! Temporary tables that take the bundles' rows as head office's tables do: plain types, the key, and nothing
//! else.

use std::collections::BTreeMap;

use postgres::Transaction;

use super::chain::open;
use crate::archive::{Archive, Filed};
use crate::database::{Loader, Target, database_failure};
use crate::domain::{
    Column, Digest, Failure, KeyRange, Kind, Manifest, TableChange, TableName, key_columns, quote_identifier,
};

/// The tables so far.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Each with its columns, as the last bundle that spoke of it has them.
    pub(super) tables: BTreeMap<TableName, Vec<Column>>,
}

/// The SQL name of the temporary table for this one. Names may be as long as names can be, so it is a number.
pub(super) fn scratch_table(name: &TableName) -> String {
    let digest = Digest::of(name.sql().as_bytes()).to_string();
    format!("pg_temp.salesync_rebuilt_{}", &digest[..32])
}

const TARGET: Target<'static> = Target { table: scratch_table, branch: None };

impl Scratch {
    /// Adds what the next bundle says.
    pub(super) fn add(
        &mut self,
        transaction: &mut Transaction<'_>,
        archive: &Archive,
        filed: &Filed,
    ) -> Result<(), Failure> {
        self.load(transaction, archive, filed).map_err(|failure| {
            let located =
                Failure::new(failure.kind(), format!("replaying {}", filed.path.display()), &failure);
            match failure.advice() {
                Some(hint) => located.hint(hint),
                None => located,
            }
        })
    }

    fn load(
        &mut self,
        transaction: &mut Transaction<'_>,
        archive: &Archive,
        filed: &Filed,
    ) -> Result<(), Failure> {
        let mut bundle = open(archive, filed)?;
        let manifest: Manifest = bundle.manifest().clone();
        let mut loader = Loader::new(&mut bundle, TARGET);
        let mut effects = Vec::with_capacity(manifest.tables.len());
        for change in &manifest.tables {
            self.prepare(transaction, change)?;
            effects.push(loader.rows(transaction, change)?);
        }
        for (change, effect) in manifest.tables.iter().zip(&mut effects).rev() {
            loader.tombstones(transaction, change, effect)?;
        }
        for effect in effects.iter().filter(|effect| effect.divergences > 0) {
            tracing::warn!(
                "bundle {}, table {}: {} rows were not as the bundle takes them to be, and were put right",
                filed.sequence,
                effect.table,
                effect.divergences
            );
        }
        Ok(())
    }

    /// Makes the table fit for the rows of this change.
    fn prepare(&mut self, transaction: &mut Transaction<'_>, change: &TableChange) -> Result<(), Failure> {
        let statements = match self.tables.get(&change.name) {
            None => create(change),
            Some(known) if same_key(known, &change.columns) => alter(change, known),
            Some(_) if matches!(change.range, Some(KeyRange { after: None, .. })) => {
                format!("DROP TABLE {}; {}", scratch_table(&change.name), create(change))
            }
            Some(_) => {
                let why = format!("the key of {} changes, and its rows do not travel anew", change.name);
                return Err(Failure::new(Kind::Damaged, "reading its tables", why));
            }
        };
        let doing = format!("making a temporary table for {}", change.name);
        transaction.batch_execute(&statements).map_err(|error| database_failure(doing, &error))?;
        self.tables.insert(change.name.clone(), change.columns.clone());
        Ok(())
    }
}

fn same_key(known: &[Column], columns: &[Column]) -> bool {
    let key = |columns| key_columns(columns).iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    key(known) == key(columns)
}

fn create(change: &TableChange) -> String {
    let name = scratch_table(&change.name);
    let (columns, key) = definition(&change.columns);
    let name = name.trim_start_matches("pg_temp.");
    format!("CREATE TEMPORARY TABLE {name} ({columns}, PRIMARY KEY ({key})) ON COMMIT DROP")
}

/// The columns with their types, and those of the key, as they stand in a definition.
pub(super) fn definition(columns: &[Column]) -> (String, String) {
    let typed = |column: &Column| format!("{} {}", quote_identifier(&column.name), column.type_name);
    let typed: Vec<String> = columns.iter().map(typed).collect();
    let key: Vec<String> = key_columns(columns).iter().map(|column| quote_identifier(&column.name)).collect();
    (typed.join(", "), key.join(", "))
}

/// The statements that bring the columns up to date. One that is gone takes its values with it: they are not
/// those of a later column of the same name.
fn alter(change: &TableChange, known: &[Column]) -> String {
    let of = |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let mut actions = Vec::new();
    for old in known.iter().filter(|old| of(&change.columns, &old.name).is_none()) {
        actions.push(format!("DROP COLUMN {}", quote_identifier(&old.name)));
    }
    for column in &change.columns {
        let (name, type_name) = (quote_identifier(&column.name), &column.type_name);
        match of(known, &column.name) {
            None => actions.push(format!("ADD COLUMN {name} {type_name}")),
            Some(old) if old.type_name != *type_name => {
                actions.push(format!("ALTER COLUMN {name} TYPE {type_name} USING {name}::text::{type_name}"));
            }
            Some(_) => {}
        }
    }
    if actions.is_empty() {
        return String::new();
    }
    format!("ALTER TABLE {} {}", scratch_table(&change.name), actions.join(", "))
}
