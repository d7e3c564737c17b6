//! The page over plain HTTP, as a browser speaks it.

mod frame;
mod live;
pub mod site;
