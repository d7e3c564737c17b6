//! Control totals and day totals: what branch and head office compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ExactSum;

/// Business days a manifest speaks of at most, per table: the latest. It keeps the manifest small
/// when a table travels whole.
pub const MOST_DAYS: usize = 2000;
/// Bytes they take at most in it.
pub const DAY_TOTALS_LIMIT: usize = 256 << 10;

/// The control totals of one member, by column name. Every column whose sums are exact has one
/// ([`is_summed`](super::is_summed)).
pub type Totals = BTreeMap<String, ColumnTotal>;

/// The control total of one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnTotal {
    /// The exact sum of the finite values, in plain digits.
    pub sum: String,
    /// How many values are not NULL.
    pub values: u64,
    /// How many of these are NaN or infinite, and so not in the sum.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub non_finite: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&ExactSum> for ColumnTotal {
    fn from(sum: &ExactSum) -> Self {
        Self { sum: sum.text(), values: sum.values(), non_finite: sum.non_finite() }
    }
}

/// The branch's live rows on the business days that a cut touched, as of that cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayTotals {
    /// The business-day column.
    pub column: String,
    /// The columns that are summed: those whose sums are exact and that are not part of the key, in the
    /// table's order.
    pub summed: Vec<String>,
    /// The days, in ascending order.
    pub days: Vec<DayTotal>,
}

impl DayTotals {
    /// The latest days that have room in a manifest; earlier ones are left out.
    #[must_use]
    pub fn within_limits(mut self) -> Self {
        let mut room = DAY_TOTALS_LIMIT;
        let fitting = self.days.iter().rev().take(MOST_DAYS).take_while(|day| {
            let left = room.checked_sub(day.size());
            room = left.unwrap_or(0);
            left.is_some()
        });
        let dropped = self.days.len() - fitting.count();
        self.days.drain(..dropped);
        self
    }

    /// True if days before the first of these may have been left out for want of room. It errs on the
    /// side of yes: how much room the first one left out would have needed is not known.
    pub fn may_leave_out_days(&self) -> bool {
        let size: usize = self.days.iter().map(DayTotal::size).sum();
        self.days.len() >= MOST_DAYS || size > DAY_TOTALS_LIMIT / 2
    }
}

/// One business day of one table. There may be thousands in a manifest, so it is written short: `[day,
/// rows, [total, …]]`, where a total is only its sum if every row has a finite value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DayRow", into = "DayRow")]
pub struct DayTotal {
    /// The day as PostgreSQL writes a date in ISO style.
    pub day: String,
    /// Live rows of that day, not only those that changed.
    pub rows: u64,
    /// Their totals, one per summed column.
    pub totals: Vec<ColumnTotal>,
}

impl DayTotal {
    /// Bytes it takes in a manifest, with the comma behind it.
    fn size(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX / 2, |text| text.len() + 1)
    }

    /// `3 rows (qty 5, total 12.50)`, where these columns are summed.
    pub fn in_words(&self, summed: &[String]) -> String {
        let totals = summed.iter().zip(&self.totals);
        let sums: Vec<String> = totals.map(|(column, total)| format!("{column} {}", total.sum)).collect();
        let noun = if self.rows == 1 { "row" } else { "rows" };
        format!("{} {noun} ({})", self.rows, sums.join(", "))
    }
}

/// A day as it is written.
#[derive(Clone, Serialize, Deserialize)]
struct DayRow(String, u64, Vec<DaySum>);

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum DaySum {
    OfAllRows(String),
    OfSome(ColumnTotal),
}

impl From<DayRow> for DayTotal {
    fn from(DayRow(day, rows, sums): DayRow) -> Self {
        let total = |sum| match sum {
            DaySum::OfAllRows(sum) => ColumnTotal { sum, values: rows, non_finite: 0 },
            DaySum::OfSome(total) => total,
        };
        Self { day, rows, totals: sums.into_iter().map(total).collect() }
    }
}

impl From<DayTotal> for DayRow {
    fn from(DayTotal { day, rows, totals }: DayTotal) -> Self {
        let sum = |total: ColumnTotal| match total {
            ColumnTotal { sum, values, non_finite: 0 } if values == rows => DaySum::OfAllRows(sum),
            total => DaySum::OfSome(total),
        };
        Self(day, rows, totals.into_iter().map(sum).collect())
    }
}
