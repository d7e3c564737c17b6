//! `public.sales` for somebody who works with it by hand: looked through, added to, corrected, voided, cleared.
//!
//! It is written as the application writes it, and the capture triggers do the rest.

mod clear;
mod create;
mod list;
mod shape;
mod whereabouts;
mod write;

pub use clear::{ClearedSales, SalesPeriod, clear_sales, count_sales};
pub use create::create_sales;
pub use list::{Place, SalesFilter, SavedSale, find_sale, list_sales};
pub use shape::check_sales;
pub use whereabouts::{Whereabouts, whereabouts};
pub use write::{Added, Changed, add_sale, correct_sale, void_sale};
