//! How long head office's pages take, of a hundred branches and ten times the rows: the whole answer, as a browser on the
//! same machine would get it.

use std::time::Instant;

use super::{Extent, grouped};
use crate::chain::{BRANCHES, chain};
use crate::kinds::Kinds;
use crate::measure::wait_for;
use crate::servers::{clear, connect, settle};
use crate::site::Site;
use crate::table::Line;

const NAME: &str = "page";

/// Milliseconds that a page may take.
const LIMIT: f64 = 100.0;

/// How often each page is asked for in a run.
const TIMES: usize = 20;

/// The page that needs the least: a question to the database that reads nothing.
const TRIVIAL: &str = "/healthz";

/// What no page links to, and somebody may ask for: few sales among many, and what needs sorting.
const ASKED_FOR: [&str; 6] = [
    "/sales?product=Nothing",
    "/sales?region=Region+1&product=Ink%2C+black+86",
    "/sales?product=Ink%2C+black+86&direction=up",
    "/sales?product=Ink%2C+black+86&from=2021-05-05&to=2021-05-05",
    "/sales?branch=branch-011&product=Ink%2C+black+86",
    "/sales?from=2021-05-05&to=2021-05-05&sort=total",
];

pub fn run(extent: Extent) -> Vec<Line> {
    let rows = extent.rows * 10;
    let company = chain(rows);
    settle();
    let site = Site::of(&company.head_office);
    let mut client = connect(&company.head_office.database_url);
    // As it is all day long: the server has added up what it keeps.
    wait_for("the summary of the sales", || {
        let left = "SELECT (SELECT count(*) FROM salesync.sales_backlog) = 0 AND (SELECT count(*) FROM salesync.sales_seen) > 1";
        client.query_one(left, &[]).unwrap().get(0)
    });
    let mut kinds = Kinds::of((1..=BRANCHES).map(|number| format!("branch-{number:03}")));
    let mut pages = vec!["/metrics".to_owned()];
    while let Some((_, path)) = kinds.next() {
        let page = site.get(&path).is(200);
        if page.header("content-type").starts_with("text/html") {
            kinds.follow(&page.text);
            pages.push(path);
        }
    }
    pages.extend(ASKED_FOR.map(str::to_owned));
    let trivial = timed(&site, TRIVIAL, extent.runs);
    let mut lines = Vec::new();
    for path in pages {
        let samples = timed(&site, &path, extent.runs);
        let worst = samples.iter().copied().fold(0.0, f64::max);
        let what = format!("`{path}`, {} rows of {BRANCHES} branches", grouped(rows));
        lines.push(Line::new(NAME, what, "ms", &samples).against(TRIVIAL, &trivial).at_most(LIMIT));
        lines.push(Line::new(NAME, format!("… at worst, of {}", samples.len()), "ms", &[worst]));
    }
    drop((site, company, client));
    clear();
    lines
}

/// Milliseconds that the answer took, each time.
fn timed(site: &Site, path: &str, runs: usize) -> Vec<f64> {
    let once = || {
        let begun = Instant::now();
        drop(site.get(path).is(200));
        begun.elapsed().as_secs_f64() * 1000.0
    };
    (0..runs * TIMES).map(|_| once()).collect()
}
