//! The line is up: a branch bundles while head office applies.

use std::time::{Duration, Instant};

use crate::company::{Company, Node};
use crate::measure::{run, wait_for};
use crate::running::{Running, Systemd};
use crate::sales::fingerprint;
use crate::servers::{connect, settle};

/// Starts a follower and waits until it is ready.
pub fn follow(node: &Node, arguments: &[&str]) -> Running {
    let mut command = node.command(arguments);
    let systemd = Systemd::watch(node, &mut command, Duration::from_hours(1));
    let running = Running::of(&mut command);
    systemd.hears("READY=1");
    running
}

/// What a window took, in seconds.
pub struct Window {
    /// From the start of `bundle` until head office has committed the last bundle and published its receipt.
    pub whole: f64,
    /// `bundle` itself.
    pub bundle: f64,
    /// The next `bundle`: it takes the receipts in and prunes the log.
    pub settling: f64,
}

/// Brings what the only branch has written to head office, which follows already. Both are equal then.
pub fn open(company: &Company) -> Window {
    let (branch, head_office) = (company.branch(), &company.head_office);
    let follower = follow(head_office, &["apply", "--follow"]);
    let (mut here, mut there) = (connect(&branch.database_url), connect(&head_office.database_url));
    settle();
    let begun = Instant::now();
    let bundle = run(branch, &["bundle"]).seconds;
    let last: i64 = here.query_one("SELECT last_sequence FROM salesync.node", &[]).unwrap().get(0);
    let is_answered = "SELECT FROM salesync.receipt JOIN salesync.bundle USING (bundle_id)
                       WHERE sequence = $1 AND receipt.published_at IS NOT NULL";
    wait_for("the last receipt", || !there.query(is_answered, &[&last]).unwrap().is_empty());
    let whole = begun.elapsed().as_secs_f64();
    drop(follower.stops().ok());
    let settling = run(branch, &["bundle"]).seconds;
    assert_eq!(fingerprint(&mut here), fingerprint(&mut there), "head office differs from the branch");
    Window { whole, bundle, settling }
}
