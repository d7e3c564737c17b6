//! Values and their rules. Nothing here reads or writes anything.

mod failure;

pub use failure::{Failure, Kind};
