//! Head office's side: receiving, verifying, applying, remembering.

mod apply;
mod branches;
mod carry_out;
mod catch_up;
mod check_days;
mod compare;
mod decisions;
mod deletions;
mod hold;
mod incidents;
mod init;
mod ledger;
mod mark;
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
mod schema;
mod target;
mod verdict;

pub use branches::{BranchState, HeldBundle, OpenRequest, branch_states};
pub use carry_out::{CarriedOut, carry_out};
pub use compare::{ComparedDay, Comparison, DayFilter, compare};
pub use decisions::{Decider, Ruling, Seen, decide};
pub use deletions::Deletion;
pub use hold::{Hold, HoldKind};
pub use incidents::{
    BundleSize, Entry, EntryKind, Expectations, FullSize, Matter, MatterKind, Open, OpenDecision, Position,
    Trail, TrailFilter, bundle_size, full_size, open_matters, trail,
};
pub use init::init_head_office;
pub use ledger::Source;
pub use mark::head_office_mark;
pub use policy::{Policy, SchemaChanges};
pub use prune::prunable_files;
pub use receive::Receiver;
pub use replay::{ReplayRange, replay_order};
pub use requests::{publish_requests, request, write_to_branches};
pub use verdict::{Arrival, Outcome, Verdict};
