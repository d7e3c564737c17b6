//! One business day of one branch, looked at now: what the branch said last, and what head office's own tables have.

use chrono::{DateTime, NaiveDate, Utc};
use postgres::Client;

use super::board::{Cell, Figure, cell};
use super::standing::{Expectations, Standing, standings};
use crate::domain::{DayTotal, Failure, NodeName, Sequence, TableName};
use crate::head_office::compare::{ComparedDay, DayFilter, Stated, compare, stated_tables};

/// A business day of a branch.
#[derive(Debug, Clone)]
pub struct BranchDay {
    /// How the branch stands.
    pub standing: Standing,
    /// What is known of the day, whatever the table.
    pub cell: Cell,
    /// What it said of each table.
    pub tables: Vec<StatedTable>,
    /// Head office's rows on this day in tables of which the branch has said something, but not of this day.
    pub not_stated: u64,
}

/// A day of a table.
#[derive(Debug, Clone)]
pub struct StatedTable {
    /// The table.
    pub table: TableName,
    /// The columns that are summed.
    pub summed: Vec<String>,
    /// What the branch said last.
    pub stated: DayTotal,
    /// What head office has now; none while it is in the middle of a change set, when nothing can be compared.
    pub found: Option<DayTotal>,
    /// The bundle that said it, in the branch's current epoch.
    pub sequence: Option<Sequence>,
    /// When, by the branch's clock.
    pub stated_at: DateTime<Utc>,
}

impl StatedTable {
    /// Whether both are equal, if that is known.
    pub fn is_equal(&self) -> Option<bool> {
        self.found.as_ref().map(|found| *found == self.stated)
    }
}

/// The day of this branch; none if head office knows no such branch.
pub fn branch_day(
    client: &mut Client,
    expected: &Expectations,
    branch: &NodeName,
    day: NaiveDate,
    now: DateTime<Utc>,
) -> Result<Option<BranchDay>, Failure> {
    let found = standings(client, expected, now)?.into_iter().find(|standing| standing.state.name == *branch);
    let Some(standing) = found else { return Ok(None) };
    let filter = DayFilter { from: Some(day), to: Some(day) };
    let compared = compare(client, std::slice::from_ref(branch), filter)?.into_iter().next();
    let (tables, not_stated) = match compared.filter(|compared| compared.is_at_cut) {
        Some(compared) => (compared.days.into_iter().map(StatedTable::from).collect(), compared.not_stated),
        None => (stated(client, branch, filter)?, 0),
    };
    let rows = tables.iter().map(|table: &StatedTable| table.stated.rows).sum();
    let figure = (!tables.is_empty()).then(|| Figure { rows, ..Figure::default() });
    let cell = cell(&standing, day, figure, now);
    Ok(Some(BranchDay { standing, cell, tables, not_stated }))
}

/// What was said, where it cannot be compared.
fn stated(client: &mut Client, branch: &NodeName, filter: DayFilter) -> Result<Vec<StatedTable>, Failure> {
    let mut days = Vec::new();
    for Stated { table, summed, days: said, .. } in stated_tables(client, branch, filter)? {
        days.extend(said.into_iter().map(|(stated, sequence, stated_at)| {
            let (table, summed) = (table.clone(), summed.clone());
            StatedTable { table, summed, stated, found: None, sequence, stated_at }
        }));
    }
    Ok(days)
}

impl From<ComparedDay> for StatedTable {
    fn from(day: ComparedDay) -> Self {
        let ComparedDay { table, summed, stated, found, sequence, stated_at } = day;
        Self { table, summed, stated, found: Some(found), sequence, stated_at }
    }
}
