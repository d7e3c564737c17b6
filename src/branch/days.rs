//! The day totals of a cut. They are needed only behind its last row, so that of many rows they are added up in a
//! session of their own, with the cut's snapshot, while the rows are read.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

use postgres::{Client, GenericClient, Transaction};

use super::changes::TableCut;
use super::lent::LentSnapshot;
use crate::domain::{DayTotals, Failure};

/// One entry per table.
type Totals = Vec<Option<DayTotals>>;

/// The day totals of these tables.
pub(super) enum Days<'scope> {
    /// To be added up when they are needed.
    Later,
    /// Being added up.
    Meanwhile(ScopedJoinHandle<'scope, Result<Totals, Failure>>),
}

impl<'scope> Days<'scope> {
    /// Begins to add up, if it is worth it. `connect` opens another connection.
    pub(super) fn begin<'env>(
        scope: &'scope Scope<'scope, 'env>,
        transaction: &mut Transaction<'_>,
        connect: &dyn Fn() -> Result<Client, Failure>,
        tables: &'env [TableCut],
    ) -> Result<Self, Failure> {
        if !tables.iter().any(|cut| cut.table.day.is_some() && cut.is_large()) {
            return Ok(Self::Later);
        }
        let snapshot = LentSnapshot::of(transaction)?;
        let mut session = connect()?;
        Ok(Self::Meanwhile(scope.spawn(move || {
            snapshot.begin(&mut session)?;
            of_all(&mut session, tables)
        })))
    }

    /// What they are.
    pub(super) fn get(
        self,
        transaction: &mut Transaction<'_>,
        tables: &[TableCut],
    ) -> Result<Totals, Failure> {
        match self {
            Self::Later => of_all(transaction, tables),
            Self::Meanwhile(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
        }
    }
}

fn of_all(client: &mut impl GenericClient, tables: &[TableCut]) -> Result<Totals, Failure> {
    tables.iter().map(|cut| cut.day_totals(client)).collect()
}
