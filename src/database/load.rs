//! Brings the rows of a bundle into tables, as its manifest means them.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use postgres::error::SqlState;
use postgres::{Error, Transaction};

use super::failure::{copy_failure, database_failure};
use super::merge::Merge;
use super::statistics::gather_statistics;
use crate::bundle::{Bundle, PourError};
use crate::domain::{
    Failure, KeyRange, Kind, Member, MemberKind, MemberTotals, Mode, TableChange, TableEffect, TableName,
};

/// Where the rows of a bundle go.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The SQL name of the table that takes the rows of this one.
    pub table: fn(&TableName) -> String,
    /// The branch in whose name they stand there, where the table has rows of several.
    pub branch: Option<&'a str>,
}

/// Loads one bundle.
pub struct Loader<'a, R> {
    bundle: &'a mut Bundle<R>,
    target: Target<'a>,
    /// The control totals of every member that was loaded, by its name, as they were computed here.
    totals: BTreeMap<String, MemberTotals>,
    /// For each table whose rows are in, what its range holds at the branch, if there were rows in it
    /// here. The last table is on top: tombstones come in the opposite order of rows.
    ranges: Vec<Option<Staged<'a>>>,
}

/// Why rows could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The database refused something.
    Database {
        /// What was being done.
        doing: String,
        /// What it said.
        error: Error,
    },
    /// The rows are not what the bundle says they are.
    Content(String),
    /// It could not be tried properly.
    Failed(Failure),
}

impl LoadError {
    fn database(doing: &str) -> impl Fn(Error) -> Self {
        move |error| Self::Database { doing: doing.to_owned(), error }
    }

    /// What a sink says is the database's own error, wrapped.
    fn of_sink(doing: &str, error: std::io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Self::Database { doing: doing.to_owned(), error },
            Err(error) => Self::Failed(copy_failure(doing, &error)),
        }
    }

    /// True if a row was there already.
    fn is_duplicate(&self) -> bool {
        matches!(self, Self::Database { error, .. } if error.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Database { doing, error } => database_failure(doing, &error),
            LoadError::Content(why) => Self::new(Kind::Damaged, "loading a bundle's rows", why),
            LoadError::Failed(failure) => failure,
        }
    }
}

impl<'a, R: Read + Seek> Loader<'a, R> {
    /// Loads `bundle` into these tables, in the transaction that is given with each step.
    pub fn new(bundle: &'a mut Bundle<R>, target: Target<'a>) -> Self {
        Self { bundle, target, totals: BTreeMap::new(), ranges: Vec::new() }
    }

    /// The control totals of what has been loaded of a table.
    pub fn totals_of(&mut self, change: &TableChange) -> Vec<MemberTotals> {
        change.members.iter().filter_map(|member| self.totals.remove(&member.name)).collect()
    }

    /// Inserts and updates of a table, or its range.
    pub fn rows(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &'a TableChange,
    ) -> Result<TableEffect, LoadError> {
        let mut effect = TableEffect { table: change.name.to_string(), ..TableEffect::default() };
        let member = |kind| change.members.iter().find(|member| member.kind == kind);
        if let Some(range) = &change.range {
            let staged = self.range(transaction, change, range, member(MemberKind::Inserts), &mut effect)?;
            self.ranges.push(staged);
            return Ok(effect);
        }
        self.ranges.push(None);
        if let Some(inserts) = member(MemberKind::Inserts) {
            self.inserts(transaction, change, inserts, &mut effect)?;
        }
        if let Some(updates) = member(MemberKind::Updates) {
            let staged = self.stage(transaction, change, updates)?;
            let upserted = staged.upsert(transaction, &mut effect)?;
            staged.drop(transaction)?;
            if change.mode == Mode::Changes {
                effect.divergences += upserted.inserted;
            }
        }
        Ok(effect)
    }

    /// Tombstones of a table, or what its range has lost. Tables come in the opposite order of
    /// [`Loader::rows`], so that no row goes before those that refer to it.
    pub fn tombstones(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &TableChange,
        effect: &mut TableEffect,
    ) -> Result<(), LoadError> {
        if let (Some(staged), Some(range)) = (self.ranges.pop().flatten(), &change.range) {
            effect.deleted += staged.run(transaction, &staged.merge.delete_others(range))?;
            return staged.drop(transaction);
        }
        let Some(member) = change.members.iter().find(|member| member.kind == MemberKind::Tombstones) else {
            return Ok(());
        };
        let staged = self.stage(transaction, change, member)?;
        let bounds = staged.bounds(transaction)?;
        let deleted = staged.run(transaction, &staged.merge.delete_staged(bounds.as_ref()))?;
        staged.drop(transaction)?;
        effect.deleted += deleted;
        if change.mode == Mode::Changes {
            effect.divergences += member.rows.saturating_sub(deleted);
        }
        Ok(())
    }

    /// New rows go straight into the table; only if one is there already, all go by way of staging.
    fn inserts(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &TableChange,
        member: &Member,
        effect: &mut TableEffect,
    ) -> Result<(), LoadError> {
        let merge = Merge::new(change, self.target, "");
        let mut attempt = transaction.transaction().map_err(LoadError::database("loading"))?;
        match self.copy(&mut attempt, change, member, &merge.copy_to_table()) {
            Ok(()) => {
                attempt.commit().map_err(LoadError::database("loading"))?;
                effect.inserted += member.rows;
                return Ok(());
            }
            Err(error) if error.is_duplicate() => {
                attempt.rollback().map_err(LoadError::database("loading"))?;
            }
            Err(error) => return Err(error),
        }
        let staged = self.stage(transaction, change, member)?;
        let upserted = staged.upsert(transaction, effect)?;
        staged.drop(transaction)?;
        if change.mode == Mode::Changes {
            effect.divergences += upserted.updated;
        }
        Ok(())
    }

    /// Brings the rows of a range in. Where there were rows already, returns those that may stay.
    fn range(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &'a TableChange,
        range: &KeyRange,
        member: Option<&Member>,
        effect: &mut TableEffect,
    ) -> Result<Option<Staged<'a>>, LoadError> {
        let merge = Merge::new(change, self.target, "");
        let doing = format!("looking at a range of {}", change.name);
        let row =
            transaction.query_one(&merge.has_rows_in(range), &[]).map_err(LoadError::database(&doing))?;
        let has_rows: bool = row.get(0);
        match (member, has_rows) {
            (None, false) => Ok(None),
            (None, true) => self.staging(transaction, change, MemberKind::Inserts, 0).map(Some),
            (Some(member), false) => {
                self.copy(transaction, change, member, &merge.copy_to_table())?;
                effect.inserted += member.rows;
                Ok(None)
            }
            (Some(member), true) => {
                let staged = self.stage(transaction, change, member)?;
                staged.upsert(transaction, effect)?;
                Ok(Some(staged))
            }
        }
    }

    /// Puts a member's rows into a temporary table.
    fn stage<'c>(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &'c TableChange,
        member: &Member,
    ) -> Result<Staged<'c>, LoadError> {
        let staged = self.staging(transaction, change, member.kind, member.rows)?;
        let columns = member.kind.columns(&change.columns);
        self.copy(transaction, change, member, &staged.merge.copy_to_staging(&columns))?;
        let gathered = gather_statistics(transaction, &staged.merge.staging);
        gathered.map_err(LoadError::database(&staged.doing))?;
        Ok(staged)
    }

    /// An empty temporary table for so many rows of this kind.
    fn staging<'c>(
        &self,
        transaction: &mut Transaction<'_>,
        change: &'c TableChange,
        kind: MemberKind,
        rows: u64,
    ) -> Result<Staged<'c>, LoadError> {
        let name = format!("salesync_staging_{}", self.ranges.len());
        let merge = Merge::new(change, self.target, &name);
        let staged = Staged { merge, name, rows, doing: format!("applying rows to {}", change.name) };
        let created = transaction.batch_execute(&staged.merge.create_staging(&kind.columns(&change.columns)));
        created.map_err(LoadError::database(&staged.doing))?;
        Ok(staged)
    }

    /// Streams a member into a COPY. The server must have taken exactly the declared rows.
    fn copy(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &TableChange,
        member: &Member,
        statement: &str,
    ) -> Result<(), LoadError> {
        let doing = format!("loading {} into {}", member.name, change.name);
        let mut writer = transaction.copy_in(statement).map_err(LoadError::database(&doing))?;
        let totals = self.bundle.pour(change, member, &mut writer).map_err(|error| match error {
            PourError::Sink(error) => LoadError::of_sink(&doing, error),
            PourError::Defect(defect) => LoadError::Content(defect.to_string()),
            PourError::Source(error) => LoadError::Failed(Failure::new(Kind::Failed, doing.clone(), error)),
        })?;
        let rows = writer.finish().map_err(LoadError::database(&doing))?;
        if rows == member.rows {
            self.totals.insert(member.name.clone(), MemberTotals { kind: member.kind, rows, totals });
            return Ok(());
        }
        let why = format!("{doing}: the database took {rows} rows of the declared {}", member.rows);
        Err(LoadError::Content(why))
    }
}

/// Rows in a temporary table, on their way into the target's.
struct Staged<'c> {
    merge: Merge<'c>,
    name: String,
    rows: u64,
    doing: String,
}

/// How many rows an upsert overwrote and added.
struct Upserted {
    updated: u64,
    inserted: u64,
}

impl Staged<'_> {
    /// Overwrites what is there and adds what is not. Every row must have found its place.
    fn upsert(
        &self,
        transaction: &mut Transaction<'_>,
        effect: &mut TableEffect,
    ) -> Result<Upserted, LoadError> {
        let bounds = self.bounds(transaction)?;
        let updated = self.run(transaction, &self.merge.update(bounds.as_ref()))?;
        let inserted =
            if updated < self.rows { self.run(transaction, &self.merge.insert_missing())? } else { 0 };
        if updated + inserted != self.rows {
            let why = format!("{}: {} rows found only {} places", self.doing, self.rows, updated + inserted);
            return Err(LoadError::Content(why));
        }
        effect.updated += updated;
        effect.inserted += inserted;
        Ok(Upserted { updated, inserted })
    }

    /// Those of the keys; none without rows.
    fn bounds(&self, transaction: &mut Transaction<'_>) -> Result<Option<(String, String)>, LoadError> {
        let row =
            transaction.query_one(&self.merge.bounds(), &[]).map_err(LoadError::database(&self.doing))?;
        let (first, last): (Option<String>, Option<String>) = (row.get(0), row.get(1));
        Ok(first.zip(last))
    }

    fn run(&self, transaction: &mut Transaction<'_>, statement: &str) -> Result<u64, LoadError> {
        transaction.execute(statement, &[]).map_err(LoadError::database(&self.doing))
    }

    fn drop(&self, transaction: &mut Transaction<'_>) -> Result<(), LoadError> {
        self.run(transaction, &format!("DROP TABLE pg_temp.{}", self.name)).map(|_| ())
    }
}
