//! Few changes: what is there when little is to be done.

use std::time::Instant;

use super::{Extent, window};
use crate::company::Company;
use crate::measure::{seconds, wait_for};
use crate::sales::{Commits, Known, change, fingerprint, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "few";

/// How many changes are few.
const CHANGES: u64 = 1000;

/// In a table of so many.
pub const BASE: u64 = 10_000;

/// How long `bundle --follow` waits for quiet, as it comes.
const DEBOUNCE: f64 = 0.25;

/// How often more it is measured than something that takes long.
const OFTENER: usize = 3;

pub fn run(extent: Extent) -> Vec<Line> {
    let company = company_with(BASE);
    let commands = rounds(&company, Known { base: BASE, among: BASE }, extent.runs);
    let followed = follow(&company, extent.runs);
    drop(company);
    clear();
    vec![
        Line::new(NAME, "1,000 changed rows: `bundle` and `apply`", "s", &commands).at_most(0.30),
        Line::new(NAME, "1,000 new rows, `--follow`: commit to visible, less the debounce", "s", &followed)
            .at_most(0.15),
    ]
}

/// A branch with so many sales that are at head office already. What the way there has left behind is cleaned up, as
/// autovacuum does it.
pub fn company_with(rows: u64) -> Company {
    let company = fresh_company(&["east"]);
    let branch = company.branch();
    write(&mut connect(&branch.database_url), 0, rows, Commits::One);
    company.sync();
    tidy(&company);
    company
}

/// The branch takes the receipts in, and the dead rows go: those of the log too, which an older transaction, such as
/// autovacuum's own, may keep for a while.
pub fn tidy(company: &Company) {
    drop(company.branch().run(&["bundle"]).ok());
    for node in company.branches.iter().chain([&company.head_office]) {
        connect(&node.database_url).batch_execute("VACUUM ANALYZE").unwrap();
    }
    let mut here = connect(&company.branch().database_url);
    wait_for("an empty change log", || {
        here.batch_execute("VACUUM salesync.log_1").unwrap();
        here.query_one("SELECT pg_relation_size('salesync.log_1') = 0", &[]).unwrap().get(0)
    });
}

/// Seconds that 1,000 changes take by two commands, one after the other.
pub fn rounds(company: &Company, known: Known, runs: usize) -> Vec<f64> {
    let (branch, head_office) = (company.branch(), &company.head_office);
    let (mut here, mut there) = (connect(&branch.database_url), connect(&head_office.database_url));
    let mut round = |number: usize| {
        change(&mut here, known, number as u64 * CHANGES, CHANGES);
        settle();
        seconds(|| company.sync())
    };
    let taken = (0..runs * OFTENER).map(&mut round).collect();
    assert_eq!(fingerprint(&mut here), fingerprint(&mut there));
    taken
}

fn follow(company: &Company, runs: usize) -> Vec<f64> {
    let (branch, head_office) = (company.branch(), &company.head_office);
    let followers = [
        window::follow(head_office, &["apply", "--follow"]),
        window::follow(branch, &["bundle", "--follow"]),
    ];
    let (mut here, mut there) = (connect(&branch.database_url), connect(&head_office.database_url));
    let mut burst = || {
        write(&mut here, 0, CHANGES, Commits::One);
        let committed = Instant::now();
        let last: i64 = here.query_one("SELECT max(id) FROM public.sales", &[]).unwrap().get(0);
        let is_there = "SELECT FROM public.sales WHERE branch = 'east' AND id = $1";
        wait_for("the sale at head office", || !there.query(is_there, &[&last]).unwrap().is_empty());
        committed.elapsed().as_secs_f64() - DEBOUNCE
    };
    let taken = (0..runs * OFTENER).map(|_| burst()).collect();
    for follower in followers {
        drop(follower.stops().ok());
    }
    taken
}
