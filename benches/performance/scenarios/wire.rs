//! Bytes on the line, both ways, with everything that a connection costs.

use super::{Extent, grouped};
use crate::company::SALES;
use crate::line::{Line as Wire, Way};
use crate::measure::run as measure;
use crate::references::Replication;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company};
use crate::table::Line;

const NAME: &str = "wire";

/// The same in every run, so it is measured once.
pub fn run(extent: Extent) -> Vec<Line> {
    let company = fresh_company(&["east"]);
    let (branch, head_office) = (company.branch(), &company.head_office);
    write(&mut connect(&branch.database_url), 0, extent.rows, Commits::One);
    let per_row = |wire: &Wire| (wire.carried(Way::Up) + wire.carried(Way::Down)) as f64 / extent.rows as f64;
    let [of_branch, of_head_office] = [0, 1].map(|_| Wire::to(&company.broker_url));
    branch.configure("role = \"branch\"", of_branch.url(), SALES);
    head_office.configure("role = \"head-office\"", of_head_office.url(), "[branches.east]\n");
    measure(branch, &["bundle"]);
    measure(head_office, &["apply"]);
    measure(branch, &["bundle"]);
    let sent = [per_row(&of_branch)];
    let received = [per_row(&of_head_office)];
    drop(company);
    let native = [Commits::One, Commits::Each].map(|commits| {
        let mut wire = None;
        let by = |url: &str| wire.insert(Wire::to(url)).url().to_owned();
        let mut replication = Replication::new(|_| {}, by);
        write(&mut replication.publisher, 0, extent.rows, commits);
        replication.catch_up();
        per_row(&wire.unwrap())
    });
    clear();
    let what =
        format!("bytes per row on the branch's line, {} rows, receipts included", grouped(extent.rows));
    let line = |what: &str, samples: &[f64]| Line::new(NAME, what, "B", samples);
    vec![
        line(&what, &sent).times_less_than("R3, written in bulk", &native[..1]).at_most(10.0),
        line(&what, &sent).times_less_than("R3, each its own commit", &native[1..]),
        line("the same on head office's line", &received),
    ]
}
