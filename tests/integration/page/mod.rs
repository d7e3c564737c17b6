//! The page, over plain HTTP and in a browser.

mod branch_sales;
pub mod browser;
mod bundles;
mod everywhere;
mod frame;
mod incidents;
mod kinds;
mod live;
mod sales;
pub mod site;
mod world;
