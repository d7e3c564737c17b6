//! The branch's side: capture of changes, the cut, publishing.

pub mod import;

mod biography;
mod capture;
mod captured;
mod changes;
mod collecting;
mod condition;
mod confirmations;
mod counts;
mod cut;
mod days;
mod follow;
mod leave;
mod lent;
mod mark;
mod node;
mod order;
mod pace;
mod parts;
mod probe;
mod prune;
mod publish;
mod rebuild;
mod recent;
mod record;
mod requests;
mod sales;
mod sealing;
mod settle;
mod status;
mod tracking;

pub use biography::{BundleBiography, ReceiptTaken, bundle_biography};
pub use captured::check_amounts;
pub use condition::{BranchSubject, EXAMINATIONS};
pub use cut::{CutOptions, Cutter, Since, cut};
pub use follow::{follow_changes, is_followed, unfollow_changes, wait_for_change};
pub use leave::{Remains, leave};
pub use mark::branch_mark;
pub use node::Node;
pub use probe::send_probe;
pub use prune::prunable_bundles;
pub use publish::{RecordedBundle, numbered_bundles, pending_bundles, publish, renew_state};
pub use rebuild::{Counter, RebuildOptions, Rebuilt, RebuiltTable, rebuild};
pub use recent::{RecentBundle, recent_bundles};
pub use requests::{Answers, WaitingRequest, prepare_answers, waiting_requests};
pub use sales::{
    Added, Changed, ClearedSales, Place, SalesFilter, SalesPeriod, SavedSale, Whereabouts, add_sale,
    check_sales, clear_sales, correct_sale, count_sales, create_sales, find_sale, list_sales, void_sale,
    whereabouts,
};
pub use sealing::{PartLimits, SMALLEST_BUNDLE, Sealing};
pub use settle::{Settled, Unapplied, settle, unanswered_bundles, unapplied_bundles};
pub use status::{BranchStatus, Clock, Unproven, branch_status, change_log_bytes};
pub use tracking::{InitReport, TrackedTable, init_branch, tracked_tables};
