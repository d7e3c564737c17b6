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
    /// The days, in ascending order.
    pub days: Vec<DayTotal>,
}

/// One business day of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayTotal {
    /// The day as PostgreSQL writes a date in ISO style.
    pub day: String,
    /// Live rows of that day, not only those that changed.
    pub rows: u64,
    /// Their exact sums per summed column that is not part of the key.
    pub totals: Totals,
}
