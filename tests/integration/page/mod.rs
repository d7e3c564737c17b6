//! The page, over plain HTTP and in a browser.

mod branch_sales;
pub mod browser;
mod days;
mod everywhere;
mod frame;
mod kinds;
mod live;
mod metrics;
mod overview;
pub mod site;
mod world;
