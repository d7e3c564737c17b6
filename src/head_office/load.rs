//! Brings the members of one table into head office's table.

use std::io::{Read, Seek};

use postgres::Transaction;
use postgres::error::SqlState;

use super::merge::Merge;
use super::refusal::{Refusal, judged};
use crate::bundle::{Bundle, PourError};
use crate::database::copy_failure;
use crate::domain::{Failure, KeyRange, Kind, Member, MemberKind, Mode, TableChange, TableEffect};

/// Where the rows come from and whose they are.
pub(super) struct Loader<'a, R> {
    pub(super) bundle: &'a mut Bundle<R>,
    pub(super) branch: &'a str,
    /// For each table whose rows are in, what its range holds at the branch, if head office had rows
    /// there. The last table is on top: tombstones come in the opposite order of rows.
    ranges: Vec<Option<Staged<'a>>>,
}

impl<'a, R: Read + Seek> Loader<'a, R> {
    pub(super) fn new(bundle: &'a mut Bundle<R>, branch: &'a str) -> Self {
        Self { bundle, branch, ranges: Vec::new() }
    }

    /// Inserts and updates of a table, or its range.
    pub(super) fn rows(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &'a TableChange,
    ) -> Result<TableEffect, Refusal> {
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
    pub(super) fn tombstones(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &TableChange,
        effect: &mut TableEffect,
    ) -> Result<(), Refusal> {
        if let (Some(staged), Some(range)) = (self.ranges.pop().flatten(), &change.range) {
            effect.deleted += staged.run(transaction, &staged.merge.delete_others(range))?;
            return staged.drop(transaction);
        }
        let Some(member) = change.members.iter().find(|member| member.kind == MemberKind::Tombstones) else {
            return Ok(());
        };
        let staged = self.stage(transaction, change, member)?;
        let deleted = staged.run(transaction, &staged.merge.delete_staged())?;
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
    ) -> Result<(), Refusal> {
        let merge = Merge::new(change, self.branch, "");
        let mut attempt = transaction.transaction().map_err(|error| judged("loading", &error))?;
        match self.copy(&mut attempt, change, member, &merge.copy_to_table()) {
            Ok(()) => {
                attempt.commit().map_err(|error| judged("loading", &error))?;
                effect.inserted += member.rows;
                return Ok(());
            }
            Err(CopyError::Exists(_)) => attempt.rollback().map_err(|error| judged("loading", &error))?,
            Err(CopyError::Refused(refusal)) => return Err(refusal),
        }
        let staged = self.stage(transaction, change, member)?;
        let upserted = staged.upsert(transaction, effect)?;
        staged.drop(transaction)?;
        if change.mode == Mode::Changes {
            effect.divergences += upserted.updated;
        }
        Ok(())
    }

    /// Brings the rows of a range in. Where head office had rows already, returns those that may stay.
    fn range(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &'a TableChange,
        range: &KeyRange,
        member: Option<&Member>,
        effect: &mut TableEffect,
    ) -> Result<Option<Staged<'a>>, Refusal> {
        let merge = Merge::new(change, self.branch, "");
        let doing = format!("looking at a range of {}", change.name);
        let judge = |error: postgres::Error| judged(&doing, &error);
        let has_rows: bool = transaction.query_one(&merge.has_rows_in(range), &[]).map_err(judge)?.get(0);
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
    ) -> Result<Staged<'c>, Refusal> {
        let staged = self.staging(transaction, change, member.kind, member.rows)?;
        let columns = member.kind.columns(&change.columns);
        self.copy(transaction, change, member, &staged.merge.copy_to_staging(&columns))?;
        let analyzed = transaction.batch_execute(&staged.merge.analyze_staging());
        analyzed.map_err(|error| judged(&staged.doing, &error))?;
        Ok(staged)
    }

    /// An empty temporary table for so many rows of this kind.
    fn staging<'c>(
        &self,
        transaction: &mut Transaction<'_>,
        change: &'c TableChange,
        kind: MemberKind,
        rows: u64,
    ) -> Result<Staged<'c>, Refusal> {
        let name = format!("salesync_staging_{}", self.ranges.len());
        let merge = Merge::new(change, self.branch, &name);
        let staged = Staged { merge, name, rows, doing: format!("applying rows to {}", change.name) };
        let created = transaction.batch_execute(&staged.merge.create_staging(&kind.columns(&change.columns)));
        created.map_err(|error| judged(&staged.doing, &error))?;
        Ok(staged)
    }

    /// Streams a member into a COPY. The server must have taken exactly the declared rows.
    fn copy(
        &mut self,
        transaction: &mut Transaction<'_>,
        change: &TableChange,
        member: &Member,
        statement: &str,
    ) -> Result<(), CopyError> {
        let doing = format!("loading {} into {}", member.name, change.name);
        let judge = |error: postgres::Error| CopyError::of(&doing, &error);
        let mut writer = transaction.copy_in(statement).map_err(judge)?;
        match self.bundle.pour(change, member, &mut writer) {
            Ok(()) => {}
            Err(PourError::Sink(error)) => return Err(CopyError::of_sink(&doing, &error)),
            Err(PourError::Defect(defect)) => {
                return Err(CopyError::Refused(Refusal::rejected(defect.to_string())));
            }
            Err(PourError::Source(error)) => {
                return Err(CopyError::Refused(Refusal::Failed(Failure::new(Kind::Failed, doing, error))));
            }
        }
        let rows = writer.finish().map_err(judge)?;
        if rows == member.rows {
            return Ok(());
        }
        let why = format!("{doing}: the database took {rows} rows of the declared {}", member.rows);
        Err(CopyError::Refused(Refusal::Rejected(why)))
    }
}

/// Why a COPY did not take the rows.
enum CopyError {
    /// One of them is there already; what that means where it may not be.
    Exists(Refusal),
    /// Anything else.
    Refused(Refusal),
}

impl CopyError {
    fn of(doing: &str, error: &postgres::Error) -> Self {
        let refusal = judged(doing, error);
        if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
            Self::Exists(refusal)
        } else {
            Self::Refused(refusal)
        }
    }

    fn of_sink(doing: &str, error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<postgres::Error>()) {
            Some(error) => Self::of(doing, error),
            None => Self::Refused(Refusal::Failed(copy_failure(doing, error))),
        }
    }
}

impl From<CopyError> for Refusal {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Refused(refusal) | CopyError::Exists(refusal) => refusal,
        }
    }
}

/// Rows in a temporary table, on their way into head office's.
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
    ) -> Result<Upserted, Refusal> {
        let updated = self.run(transaction, &self.merge.update())?;
        let inserted =
            if updated < self.rows { self.run(transaction, &self.merge.insert_missing())? } else { 0 };
        if updated + inserted != self.rows {
            let why = format!("{}: {} rows found only {} places", self.doing, self.rows, updated + inserted);
            return Err(Refusal::Rejected(why));
        }
        effect.updated += updated;
        effect.inserted += inserted;
        Ok(Upserted { updated, inserted })
    }

    fn run(&self, transaction: &mut Transaction<'_>, statement: &str) -> Result<u64, Refusal> {
        transaction.execute(statement, &[]).map_err(|error| judged(&self.doing, &error))
    }

    fn drop(&self, transaction: &mut Transaction<'_>) -> Result<(), Refusal> {
        self.run(transaction, &format!("DROP TABLE pg_temp.{}", self.name)).map(|_| ())
    }
}
