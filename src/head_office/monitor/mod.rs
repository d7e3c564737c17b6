//! What a person, a page or a monitoring system wants to know of all branches at once: how each stands, what it has
//! sold, whether its days are complete.
//!
//! Nothing here reads a business table, except where one day of one branch is looked at: the rest is in the ledger, and
//! costs the same however many sales there are.

mod board;
mod calendar;
mod concern;
mod counts;
mod day;
mod headline;
mod standing;
mod tables;
mod today;

pub use board::{Board, BoardDays, BoardRow, Cell, CellState, Figure, board};
pub use calendar::{day_ends_at, local_day};
pub use concern::{Concern, Lateness, Weight};
pub use counts::{BranchCounts, Counts, counts};
pub use day::{BranchDay, StatedTable, branch_day};
pub use headline::{Headline, headline};
pub use standing::{Expectations, Standing, standings};
pub use tables::{BusinessTable, business_tables};
pub use today::{Sold, latest_sales};
