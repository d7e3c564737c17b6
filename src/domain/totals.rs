//! Control totals and day totals: what branch and head office compare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ExactSum;

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
