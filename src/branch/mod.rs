//! The branch's side: capture of changes, the cut, publishing.

mod capture;
mod changes;
mod cut;
mod node;
mod order;
mod parts;
mod tracking;

pub use cut::{CutOptions, Since, cut};
pub use node::Node;
pub use parts::{PartLimits, SealedBundle};
pub use tracking::{InitReport, TrackedTable, init_branch, tracked_tables};
