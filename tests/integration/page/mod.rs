//! The page over plain HTTP, as a browser speaks it.

mod frame;
pub mod site;
