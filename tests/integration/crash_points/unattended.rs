//! Killed while nobody looks: followers, a window, and several workers at once. They go through the steps of the other
//! scenarios, but in the middle of more.

use std::thread;
use std::time::Duration;

use salesync::sandbox::wait_until;

use super::company;
use super::scenarios::{fill_two_parts, trade};
use crate::company::{Company, Node, SALES};
use crate::halted::Halting;
use crate::servers::{fresh_database, fresh_vhost};

/// Waits until the follower at this branch is told of changes, and has cut what there was before.
fn is_followed(branch: &Node) {
    let asked = "SELECT salesync.is_followed() AND NOT EXISTS (SELECT FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name LIKE '%bundle%' AND state <> 'idle')";
    wait_until(Duration::from_mins(1), "a follower", || Ok((branch.value(asked) == "true").then_some(())))
        .unwrap();
}

#[test]
fn a_follower_is_killed_between_parts_and_between_bundles() {
    let company = company(fresh_vhost(), fresh_database);
    let east = company.branch();
    for step in ["PartCommitted", "CutRecorded", "CutCommitted", "BundleConfirmed", "BundlePublished#2"] {
        let follower = Halting::start(east, &["bundle", "--follow"], step);
        is_followed(east);
        trade(east);
        fill_two_parts(east);
        follower.stands_still();
        // What is written meanwhile is of the next cut.
        trade(east);
        follower.kill();
        company.heal();
        company.assert_whole();
        assert_eq!(east.value("SELECT salesync.is_followed()"), "false", "after {step}");
    }
}

#[test]
fn a_window_is_killed_between_parts_and_between_bundles() {
    let company = company(fresh_vhost(), fresh_database);
    let east = company.branch();
    for step in ["PartCommitted", "BundlePublished"] {
        trade(east);
        fill_two_parts(east);
        let window = Halting::start(east, &["bundle", "--for", "10m"], step);
        window.stands_still();
        window.kill();
        company.heal();
        company.assert_whole();
    }
}

/// Both branches have a bundle on the way, and each has a worker.
#[test]
fn four_workers_are_killed_after_every_step_with_two_branches_at_work() {
    let company = Company::on(fresh_vhost(), fresh_database, &["east", "west"], SALES);
    company.head_office.run(&["init"]).ok();
    company.branches.iter().for_each(|branch| drop(branch.run(&["init", "--with-sales"]).ok()));
    company.heal();
    for step in [
        "FileNamed",
        "BundleReceived",
        "RowsLoaded",
        "BundleRecorded",
        "BundleCommitted",
        "MessageDecided",
        "ReceiptConfirmed",
        "ReceiptPublished",
        "AcknowledgementSent",
        "MessageAnswered",
    ] {
        thread::scope(|scope| {
            for branch in &company.branches {
                scope.spawn(|| {
                    branch.sell("Ink");
                    branch.run(&["bundle"]).ok();
                });
            }
        });
        // The second time, so that the other branch's bundle is somewhere on its way.
        let applying =
            Halting::start(&company.head_office, &["apply", "--workers", "4"], &format!("{step}#2"));
        applying.stands_still();
        applying.kill();
        company.heal();
        company.assert_whole();
    }
}
