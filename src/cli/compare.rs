//! `salesync compare`

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::args::Compare;
use super::context::Context;
use super::exit::Exit;
use super::settings::Role;
use crate::domain::{ColumnTotal, Count, DayTotal, Failure, Sequence, Totals};
use crate::head_office::{ComparedDay, Comparison, DayFilter, compare};

#[derive(Debug, Serialize)]
struct Report {
    different: usize,
    branches: Vec<BranchLine>,
}

#[derive(Debug, Serialize)]
struct BranchLine {
    branch: String,
    at_cut: bool,
    not_stated: u64,
    days: Vec<DayLine>,
}

#[derive(Debug, Serialize)]
struct DayLine {
    table: String,
    day: String,
    equal: bool,
    branch_rows: u64,
    branch_totals: Totals,
    head_office_rows: u64,
    head_office_totals: Totals,
    sequence: Option<u64>,
    stated_at: DateTime<Utc>,
    /// Both figures, for a person.
    #[serde(skip)]
    words: [String; 2],
}

pub(super) fn run(context: &Context, args: &Compare) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::HeadOffice)?;
    let mut client = settings.connect_prepared_database("compare")?;
    let filter = DayFilter { from: args.day.or(args.from), to: args.day.or(args.to) };
    let compared = compare(&mut client, &args.branches, filter)?;
    let branches: Vec<BranchLine> = compared.into_iter().map(BranchLine::from).collect();
    let different = branches.iter().map(BranchLine::different).sum();
    context.print(&Report { different, branches })?;
    Ok(if different > 0 { Exit::NeedsPerson } else { Exit::Done })
}

impl From<Comparison> for BranchLine {
    fn from(comparison: Comparison) -> Self {
        Self {
            branch: comparison.branch.to_string(),
            at_cut: comparison.is_at_cut,
            not_stated: comparison.not_stated,
            days: comparison.days.into_iter().map(DayLine::from).collect(),
        }
    }
}

impl BranchLine {
    fn different(&self) -> usize {
        self.days.iter().filter(|day| !day.equal).count()
    }
}

impl From<ComparedDay> for DayLine {
    fn from(day: ComparedDay) -> Self {
        let totals = |of: &DayTotal| -> Totals {
            day.summed.iter().cloned().zip::<Vec<ColumnTotal>>(of.totals.clone()).collect()
        };
        Self {
            equal: day.is_equal(),
            words: [day.stated.in_words(&day.summed), day.found.in_words(&day.summed)],
            branch_rows: day.stated.rows,
            branch_totals: totals(&day.stated),
            head_office_rows: day.found.rows,
            head_office_totals: totals(&day.found),
            table: day.table.to_string(),
            day: day.stated.day,
            sequence: day.sequence.map(Sequence::get),
            stated_at: day.stated_at,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.branches.iter().try_for_each(|branch| branch.fmt(f))
    }
}

impl fmt::Display for BranchLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at_cut {
            return writeln!(f, "{}: not compared, a part of its last cut has yet to come", self.branch);
        }
        let different = self.different();
        write!(f, "{}: {} equal", self.branch, Count(self.days.len() - different, "day"))?;
        if different > 0 {
            write!(f, ", {different} DIFFERENT")?;
        }
        if self.not_stated > 0 {
            write!(f, "; {} on other days, of which it has said nothing", Count(self.not_stated, "row"))?;
        }
        writeln!(f)?;
        for DayLine { table, day, words: [stated, found], sequence, .. } in
            self.days.iter().filter(|day| !day.equal)
        {
            let sequence = sequence.unwrap_or_default();
            writeln!(
                f,
                "  {table}, {day}: the branch has {stated} since bundle {sequence}, head office has {found}"
            )?;
        }
        Ok(())
    }
}
