//! Head office's side: receiving, verifying, applying, remembering.

mod apply;
mod catch_up;
mod check_days;
mod init;
mod ledger;
mod place;
mod receipts;
mod receive;
mod refusal;
mod rejection;
mod replay;
mod target;
mod verdict;

pub use init::init_head_office;
pub use ledger::{BranchState, Source, branch_states};
pub use receive::Receiver;
pub use replay::{ReplayRange, replay_order};
pub use verdict::{Arrival, Outcome, Verdict};
