//! The branches' sales as head office has them: page by page, in totals, as a file.
//!
//! Ten million rows of a hundred branches have no index but their keys and a BRIN index of the business days, and get no
//! other: each would cost every bundle. What makes pages fast is that head office knows how many rows each branch has on
//! each day: [`summary`] has it, a little behind the bundles, and until then there is what the branches state
//! (`salesync.day_total`). [`walk`] reads from one place in the order of days, branches and numbers as far as it must to
//! fill a page, and no further. Totals are taken from the summary, or, of few rows, added up when they are asked for.

mod export;
mod filter;
mod known;
mod recheck;
mod shape;
mod sorted;
mod statement;
mod summary;
mod totals;
mod walk;

pub use export::{ExportForm, export_sales};
pub use filter::{NameFilter, SalesFilter};
pub use known::Backlog;
pub use recheck::{Rechecked, recheck_summary};
pub use shape::{SalesTable, sales_table};
pub use sorted::{SORT_LIMIT, SortColumn, SortPosition, Sorted, sorted_sales};
pub use statement::Sale;
pub use summary::refresh_summary;
pub use totals::{Figures, LIVE_LIMIT, SalesTotals, Share, Shares, sales_totals};
pub use walk::{Position, SalesPage, Towards, find_sale, walk_sales};
