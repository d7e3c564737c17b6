//! The page, over plain HTTP and in a browser.

pub mod browser;
mod frame;
mod live;
pub mod site;
