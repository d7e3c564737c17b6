//! Head office's side: receiving, verifying, applying, remembering.

mod apply;
mod branches;
mod catch_up;
mod check_days;
mod compare;
mod decisions;
mod deletions;
mod hold;
mod init;
mod ledger;
mod partitions;
mod place;
mod policy;
mod prune;
mod receipts;
mod receive;
mod refusal;
mod rejection;
mod replay;
mod requests;
pub mod sales;
mod schema;
mod target;
mod verdict;

pub use branches::{BranchState, HeldBundle, OpenRequest, branch_states};
pub use compare::{ComparedDay, Comparison, DayFilter, compare};
pub use decisions::{Decider, Ruling, decide};
pub use hold::{Hold, HoldKind};
pub use init::init_head_office;
pub use ledger::Source;
pub use policy::{Policy, SchemaChanges};
pub use prune::prunable_files;
pub use receive::Receiver;
pub use replay::{ReplayRange, replay_order};
pub use requests::{publish_requests, request};
pub use verdict::{Arrival, Outcome, Verdict};
