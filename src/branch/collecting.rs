//! Rows that are not simply new have to be found out one by one. Where there are many new ones besides, that is done in a session
//! of its own, with the cut's snapshot, while the new ones are read.

use std::panic::resume_unwind;
use std::thread::{Scope, ScopedJoinHandle};

use postgres::{Client, Transaction};

use super::changes::{TableCut, group_by_sorting};
use super::lent::LentSnapshot;
use crate::domain::{Failure, Kind};

/// What travels of tables after their new rows.
pub(super) struct Collecting<'scope> {
    /// Finds it out.
    thread: Option<ScopedJoinHandle<'scope, Result<Rests, Failure>>>,
    /// What was found.
    rests: Option<Rests>,
}

/// One entry per table; none where all is known from the beginning. The session has their keys in temporary tables.
struct Rests {
    session: Client,
    tables: Vec<Option<TableCut>>,
}

impl<'scope> Collecting<'scope> {
    /// Begins with the tables that [await](TableCut::awaits_others) others. `connect` opens another connection.
    pub(super) fn begin<'env>(
        scope: &'scope Scope<'scope, 'env>,
        transaction: &mut Transaction<'_>,
        connect: &dyn Fn() -> Result<Client, Failure>,
        tables: &'env [TableCut],
    ) -> Result<Self, Failure> {
        if !tables.iter().any(TableCut::awaits_others) {
            return Ok(Self { thread: None, rests: None });
        }
        let snapshot = LentSnapshot::of(transaction)?;
        let mut session = connect()?;
        let thread = scope.spawn(move || {
            snapshot.begin(&mut session)?;
            group_by_sorting(&mut session)?;
            let rest = |cut: &TableCut| cut.awaits_others().then(|| cut.rest(&mut session)).transpose();
            let tables = tables.iter().map(rest).collect::<Result<_, _>>()?;
            Ok(Rests { session, tables })
        });
        Ok(Self { thread: Some(thread), rests: None })
    }

    /// The rest of the table at this place, and the session to read it in; none if it awaits nothing. Waits for it.
    pub(super) fn rest_of(
        &mut self,
        table: usize,
        cut: &TableCut,
    ) -> Result<Option<(&mut Client, &TableCut)>, Failure> {
        if !cut.awaits_others() {
            return Ok(None);
        }
        if let Some(thread) = self.thread.take() {
            self.rests = Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        let rests = self.rests.as_mut();
        let found = rests.and_then(|Rests { session, tables }| Some((session, tables[table].as_ref()?)));
        // To go on without would be to leave rows out.
        found.map(Some).ok_or_else(|| {
            let doing = format!("collecting the changes of {}", cut.table.name);
            Failure::new(Kind::Failed, doing, "the session that was at it has ended")
        })
    }
}
