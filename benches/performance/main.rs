//! `make bench`: salesync beside what a user could pick instead, on real servers, in the same run.
//!
//! `scenarios` measures, `references` and `peers` are what it is compared with, `servers` and `sales` what both stand on, `table`
//! says whether the targets are met. No figure here is a test: machines differ, ratios less so.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "what cannot be set up cannot be measured"
)]

// The same company as in the tests.
#[path = "../../tests/integration/company.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod company;
#[path = "../../tests/integration/page/kinds.rs"]
mod kinds;
#[path = "../../tests/integration/line.rs"]
#[allow(dead_code, unused_imports, reason = "the tests need more of it")]
mod line;
#[path = "../../tests/integration/looking.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod looking;
#[path = "../../tests/integration/running.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod running;
#[path = "../../tests/integration/page/site.rs"]
mod site;

mod chain;
mod machine;
mod measure;
mod peers;
mod references;
mod rights;
mod sales;
mod scenarios;
mod servers;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use serde_json::json;

use crate::machine::Machine;
use crate::scenarios::{ALL, Extent, Scenario};
use crate::table::{Line, Table};

/// Measures salesync beside its references.
#[derive(Debug, Parser)]
struct Args {
    /// What to measure; everything if nothing is named
    #[arg(value_name = "SCENARIO", value_parser = ALL.map(|scenario| scenario.name))]
    scenarios: Vec<String>,
    /// Rows of a large change set, a multiple of 1000; other sizes follow it
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(20_000..))]
    rows: u64,
    /// How often each figure is measured
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where the result goes as JSON
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench.json"))]
    json: PathBuf,
    /// A document that gets the result as well, between its lines `<!-- result -->` and `<!-- end of result -->`
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let is_wanted = |scenario: &&Scenario| {
        args.scenarios.is_empty() || args.scenarios.iter().any(|name| name == scenario.name)
    };
    let extent = Extent { rows: args.rows, runs: args.runs.max(1) };
    let machine = Machine::here();
    let mut lines: Vec<Line> = Vec::new();
    for scenario in ALL.iter().filter(is_wanted) {
        eprintln!("{}: {} …", scenario.name, scenario.about);
        let begun = Instant::now();
        let measured = (scenario.run)(extent);
        eprintln!("{}\n{} took {:.0} s", Table(&measured), scenario.name, begun.elapsed().as_secs_f64());
        lines.extend(measured);
        save(&args.json, extent, &machine, &lines);
    }
    let result =
        format!("{machine}\n{} rows, medians of {} runs\n\n{}", extent.rows, extent.runs, Table(&lines));
    if let Some(document) = args.document {
        insert(&document, &result);
    }
    println!("{result}");
}

/// Puts the result in the place of an earlier one.
fn insert(document: &Path, result: &str) {
    const MARKS: [&str; 2] = ["<!-- result -->", "<!-- end of result -->"];
    let text = std::fs::read_to_string(document).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).expect("a line that says where the result goes");
    let (_, after) = rest.split_once(MARKS[1]).expect("a line that says where the result ends");
    std::fs::write(document, [before, MARKS[0], "\n", result, "\n", MARKS[1], after].concat()).unwrap();
}

/// After each scenario, so that a run that is cut short has a result too.
fn save(file: &Path, extent: Extent, machine: &Machine, lines: &[Line]) {
    let result = json!({ "rows": extent.rows, "runs": extent.runs, "machine": machine, "figures": lines });
    std::fs::write(file, serde_json::to_string_pretty(&result).unwrap() + "\n").unwrap();
}
