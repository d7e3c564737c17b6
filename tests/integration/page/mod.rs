//! The page, over plain HTTP and in a browser.

mod branch_browser;
mod branch_bundle;
mod branch_sales;
mod branch_sync;
pub mod browser;
mod bundles;
mod days;
mod everywhere;
mod frame;
mod hardening;
mod incidents;
mod kinds;
mod live;
mod login;
mod metrics;
mod opened;
mod overview;
mod picture;
mod sales;
pub mod site;
mod stories;
mod world;
