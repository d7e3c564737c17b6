//! Fifty branches at once.

use std::thread;
use std::time::SystemTime;

use super::{Extent, grouped};
use crate::measure::run as measure;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "branches";

const BRANCHES: usize = 50;

/// How many of them write and bundle at the same time.
const AT_ONCE: usize = 4;

/// How many workers there are at head office.
const WORKERS: [&str; 3] = ["1", "2", "4"];

pub fn run(extent: Extent) -> Vec<Line> {
    let names: Vec<String> = (1..=BRANCHES).map(|number| format!("branch-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let company = fresh_company(&names);
    let bundle = |rows: &(dyn Fn(usize) -> u64 + Sync)| {
        thread::scope(|scope| {
            for first in 0..AT_ONCE {
                let company = &company;
                scope.spawn(move || {
                    for number in (first..BRANCHES).step_by(AT_ONCE) {
                        let branch = &company.branches[number];
                        write(&mut connect(&branch.database_url), 0, rows(number), Commits::One);
                        drop(branch.run(&["bundle"]).ok());
                    }
                });
            }
        });
        settle();
    };
    let each = extent.rows / BRANCHES as u64;
    let mut there = connect(&company.head_office.database_url);
    let mut lines: Vec<Line> = Vec::new();
    let mut alone = Vec::new();
    // Every branch's part of the table is made beforehand.
    bundle(&|_| 1);
    drop(company.head_office.run(&["apply"]).ok());
    for workers in WORKERS {
        let (mut rates, mut small, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..extent.runs {
            bundle(&|_| each);
            let taken = measure(&company.head_office, &["apply", "--workers", workers]).seconds;
            rates.push((each * BRANCHES as u64) as f64 / taken);
            // The first is huge.
            bundle(&|number| if number == 0 { extent.rows } else { each / 20 });
            let begun: SystemTime = there.query_one("SELECT clock_timestamp()", &[]).unwrap().get(0);
            all.push(measure(&company.head_office, &["apply", "--workers", workers]).seconds);
            let done = "SELECT extract(epoch FROM max(applied_at) - $1)::float8 FROM salesync.bundle
                        WHERE branch <> 'branch-1'";
            small.push(there.query_one(done, &[&begun]).unwrap().get(0));
        }
        let worker = if workers == "1" { "one worker".to_owned() } else { format!("{workers} workers") };
        let what = format!("{BRANCHES} branches × {} rows waiting, `apply`, {worker}", grouped(each));
        let delayed = format!(
            "{} branches × {} rows beside one with {}, {worker}",
            BRANCHES - 1,
            grouped(each / 20),
            grouped(extent.rows)
        );
        let rate = Line::new(NAME, what, "rows/s", &rates);
        lines.push(if alone.is_empty() { rate } else { rate.against("one worker", &alone) });
        lines.push(Line::new(NAME, delayed, "s", &small).against("the huge one", &all));
        if alone.is_empty() {
            alone = rates;
        }
    }
    drop((company, there));
    clear();
    lines
}
