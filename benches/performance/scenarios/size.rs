//! What may not depend on how much there is: memory, and the time that few changes take.

use super::few::{BASE, company_with, rounds, tidy};
use super::settings::limit;
use super::{Extent, grouped};
use crate::company::Company;
use crate::measure::run as measure;
use crate::sales::{Commits, Known, write};
use crate::servers::{clear, connect, fresh_company};
use crate::table::Line;

const NAME: &str = "size";

/// MiB that each command may take.
const MEMORY: f64 = 48.0;

/// Rows are written in portions, as a table of that size has come about.
const PORTIONS: u64 = 10;

/// `max_bytes` as it comes, and less.
const DEFAULT: &str = "2 MiB";
const LESS: &str = "1 MiB";

pub fn run(extent: Extent) -> Vec<Line> {
    let company = company_with(BASE);
    let few_in_small = rounds(&company, Known { base: BASE, among: BASE }, extent.runs);
    drop(company);
    clear();
    let (company, mut lines) = memory(extent, DEFAULT);
    tidy(&company);
    let large = large(extent);
    let few_in_large = [BASE, large].map(|among| rounds(&company, Known { base: large, among }, extent.runs));
    drop(company);
    clear();
    for (samples, where_) in few_in_large.iter().zip(["among the newest 10,000", "spread over all"]) {
        let what = format!("1,000 changes {where_} of {} rows", grouped(large));
        let other = format!("in a table of {}", grouped(BASE));
        lines.push(Line::new(NAME, what, "s", samples).against(other, &few_in_small).ratio_at_most(1.3));
    }
    let (company, of_less) = memory(extent, LESS);
    drop(company);
    clear();
    lines.extend(of_less);
    lines
}

fn large(extent: Extent) -> u64 {
    extent.rows * 10
}

/// What both numbers of rows need with bundles of this size. Returns the company with the larger one as well.
fn memory(extent: Extent, max_bytes: &str) -> (Company, Vec<Line>) {
    let (small, large) = (extent.rows, large(extent));
    let mut peaks: [Vec<f64>; 2] = Default::default();
    for _ in 0..extent.runs {
        let (_, [bundle, apply]) = travelled(small, max_bytes);
        peaks[0].push(bundle);
        peaks[1].push(apply);
        clear();
    }
    let (company, large_peaks) = travelled(large, max_bytes);
    let mut lines = Vec::new();
    for ((command, small_peak), large_peak) in ["bundle", "apply"].into_iter().zip(peaks).zip(large_peaks) {
        let line = |rows, samples: &[f64]| {
            let what =
                format!("peak memory of `{command}`, {} rows, max_bytes = {max_bytes:?}", grouped(rows));
            Line::new(NAME, what, "MiB", samples)
        };
        lines.push(line(small, &small_peak).at_most(MEMORY));
        lines.push(line(large, &[large_peak]).at_most(MEMORY));
        lines.push(line(large, &[large_peak]).against(grouped(small), &small_peak).ratio_at_most(1.1));
    }
    (company, lines)
}

/// So many new rows go to head office by way of the broker: what `bundle` and `apply` needed at most, in MiB.
fn travelled(rows: u64, max_bytes: &str) -> (Company, [f64; 2]) {
    let company = fresh_company(&["east"]);
    let (branch, head_office) = (company.branch(), &company.head_office);
    limit(&company, max_bytes);
    let mut here = connect(&branch.database_url);
    (0..PORTIONS).for_each(|portion| {
        write(&mut here, portion * (rows / PORTIONS), rows / PORTIONS, Commits::One);
    });
    let bundle = measure(branch, &["bundle"]).memory;
    let apply = measure(head_office, &["apply"]).memory;
    (company, [bundle, apply])
}
