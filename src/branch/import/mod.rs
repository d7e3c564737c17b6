//! Sales from a CSV file into `public.sales`, all or nothing.
//!
//! Each step knows nothing of the next: `records` splits bytes into records, `sale` checks the named
//! texts of one sale (a form on a page can use it as well), `reader` brings the two together, `load`
//! streams the good sales into one `COPY` or collects what is wrong with the bad lines.

mod amount;
mod dates;
mod field;
mod load;
mod problem;
mod reader;
mod records;
mod sale;

pub use field::{Field, SaleText};
pub use load::{ImportOutcome, import};
pub use problem::Problem;
pub use reader::SaleReader;
pub use sale::{FieldProblem, Sale, SaleRules};

use rust_decimal::Decimal;

/// What the caller declares about the sales to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// How dates are written, as in `strftime` (`%d.%m.%Y`); `None` is ISO, `2021-04-29`.
    pub date_format: Option<String>,
    /// Tax as a fraction of the amount, from 0 to 1: 7 % is `0.07`.
    pub tax_rate: Decimal,
}
