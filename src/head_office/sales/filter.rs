//! Which sales.

use chrono::NaiveDate;

use crate::domain::{NodeName, quote_literal};

/// Which sales are meant. What is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SalesFilter {
    /// Those of this branch.
    pub branch: Option<NodeName>,
    /// In these regions.
    pub region: Option<NameFilter>,
    /// Of these products.
    pub product: Option<NameFilter>,
    /// From this business day on.
    pub from: Option<NaiveDate>,
    /// Up to and with this one.
    pub to: Option<NaiveDate>,
}

/// Which regions or products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameFilter {
    /// This one.
    Exactly(String),
    /// All whose names begin so.
    BeginsWith(String),
    /// Where none was said.
    Missing,
}

impl NameFilter {
    /// As a condition on this column.
    fn condition(&self, column: &str) -> String {
        match self {
            Self::Exactly(name) => format!("{column} = {}", literal(name)),
            Self::BeginsWith(start) => format!("starts_with({column}, {})", literal(start)),
            Self::Missing => format!("{column} IS NULL"),
        }
    }
}

impl SalesFilter {
    /// As a condition on the row called `t`.
    pub(super) fn condition(&self) -> String {
        let mut conditions = self.days("t.date");
        conditions.extend(self.branch.as_ref().map(|name| format!("t.branch = {}", literal(name.as_str()))));
        conditions.extend(self.names());
        all(&conditions)
    }

    /// What it says of region and product.
    pub(super) fn names(&self) -> Vec<String> {
        let region = self.region.as_ref().map(|region| region.condition("t.region"));
        let product = self.product.as_ref().map(|product| product.condition("t.product"));
        region.into_iter().chain(product).collect()
    }

    /// What it says of the business day in this column.
    pub(super) fn days(&self, column: &str) -> Vec<String> {
        let bound = |operator: &str, day: Option<NaiveDate>| {
            day.map(|day| format!("{column} {operator} {}", literal(&day.to_string())))
        };
        bound(">=", self.from).into_iter().chain(bound("<=", self.to)).collect()
    }

    /// The same as a condition on `salesync.day_total`, called `d`: what it says of days and branch.
    pub(super) fn stated(&self) -> String {
        let stated = "d.schema_name = 'public' AND d.table_name = 'sales' AND d.row_count > 0".to_owned();
        format!("{stated} AND {}", self.days_of_branches())
    }

    /// What it says of days and branch, as a condition on something called `d`.
    pub(super) fn days_of_branches(&self) -> String {
        let mut conditions = self.days("d.day");
        conditions.extend(self.branch.as_ref().map(|name| format!("d.branch = {}", literal(name.as_str()))));
        all(&conditions)
    }

    /// Whether it leaves out some of a branch's sales of a day.
    pub fn is_of_some(&self) -> bool {
        self.region.is_some() || self.product.is_some()
    }
}

/// All of these conditions, and `true` if there is none.
pub(super) fn all(conditions: &[String]) -> String {
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}

pub(super) fn literal(text: &str) -> String {
    quote_literal(text)
}
