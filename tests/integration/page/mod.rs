//! The page, over HTTP and in a browser.

pub mod browser;
