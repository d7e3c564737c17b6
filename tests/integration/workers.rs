//! Several branches' bundles are applied at the same time: what is so for one is so for all, and none waits for
//! another.

mod ahead;
mod faults;
mod many;
mod sessions;

use std::thread;
use std::time::Duration;

use postgres::Client;
use salesync::sandbox::wait_until;

use crate::company::{Company, Node};
use crate::running::Running;

const LIMIT: Duration = Duration::from_mins(2);

/// Sessions of workers that wait for a lock that somebody else holds.
const STUCK: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND application_name = 'salesync apply worker' AND wait_event_type = 'Lock'";

/// A company whose branches have a bundle each on its way.
fn with_a_bundle_of_each(branches: &[&str]) -> Company {
    let company = Company::of_sales(branches);
    company.sync();
    bundle_of_each(&company);
    company
}

fn bundle_of_each(company: &Company) {
    for branch in &company.branches {
        branch.sell("Ink");
        branch.run(&["bundle"]).ok();
    }
}

/// Does this for all branches, some at a time.
fn for_each_branch(company: &Company, work: impl Fn(usize, &Node) + Sync) {
    const AT_ONCE: usize = 8;
    thread::scope(|scope| {
        for first in 0..AT_ONCE {
            let work = &work;
            scope.spawn(move || {
                for (number, branch) in company.branches.iter().enumerate().skip(first).step_by(AT_ONCE) {
                    work(number, branch);
                }
            });
        }
    });
}

/// Holds what head office knows of this branch, until it is dropped.
fn locked(head: &Node, branch: &str) -> Client {
    let mut client = head.client();
    let lock = format!("BEGIN; SELECT FROM salesync.branch WHERE name = '{branch}' FOR UPDATE");
    client.batch_execute(&lock).unwrap();
    client
}

/// `apply` as it runs: of a company with a bundle of each branch on its way, the workers at those of `held` cannot go on
/// before the locks are dropped.
fn held_up(branches: &[&str], held: &[&str], command: &[&str]) -> (Company, Vec<Client>, Running) {
    let company = with_a_bundle_of_each(branches);
    let locks = held.iter().map(|branch| locked(&company.head_office, branch)).collect();
    let applying = Running::start(&company.head_office, command);
    comes_to(&company.head_office, STUCK, &held.len().to_string());
    (company, locks, applying)
}

/// It comes to its end, a follower when it is asked to.
fn ends_well(applying: Running, command: &[&str]) {
    if command.contains(&"--follow") { applying.stops() } else { applying.ends() }.ok();
}

/// Waits until this query gives this value.
#[track_caller]
fn comes_to(node: &Node, sql: &str, wanted: &str) {
    let mut last = String::new();
    let come = wait_until(LIMIT, sql, || {
        last = node.value(sql);
        Ok((last == wanted).then_some(()))
    });
    come.unwrap_or_else(|error| panic!("{error}: it is {last}, not {wanted}"));
}

/// How many bundles of these branches head office has applied.
fn applied(branches: &[&str]) -> String {
    let names: Vec<String> = branches.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "SELECT count(*) FROM salesync.bundle WHERE state = 'applied' AND branch IN ({})",
        names.join(", ")
    )
}
