//! The day totals of a cut. They are needed only behind its last row, so that of many rows they are added up in a
//! session of their own, with the cut's snapshot, while the rows are read.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

use postgres::{Client, GenericClient, IsolationLevel, Transaction};

use super::changes::TableCut;
use crate::database::database_failure;
use crate::domain::{DayTotals, Failure, quote_literal};

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
        let failed = |error: postgres::Error| database_failure("lending the cut's snapshot", &error);
        let snapshot: String =
            transaction.query_one("SELECT pg_export_snapshot()", &[]).map_err(failed)?.get(0);
        let mut client = connect()?;
        Ok(Self::Meanwhile(scope.spawn(move || in_snapshot(&mut client, &snapshot, tables))))
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

fn in_snapshot(client: &mut Client, snapshot: &str, tables: &[TableCut]) -> Result<Totals, Failure> {
    let failed = |error: postgres::Error| database_failure("using the cut's snapshot", &error);
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.read_only(true).start().map_err(failed)?;
    let sql = format!("SET TRANSACTION SNAPSHOT {}", quote_literal(snapshot));
    transaction.batch_execute(&sql).map_err(failed)?;
    of_all(&mut transaction, tables)
}

fn of_all(client: &mut impl GenericClient, tables: &[TableCut]) -> Result<Totals, Failure> {
    tables.iter().map(|cut| cut.day_totals(client)).collect()
}
