//! `bundle.max_bytes`: how many bundles it makes of a change set, and what time and memory follow.

use std::fs;

use super::{Extent, grouped};
use crate::company::{Company, SALES};
use crate::measure::run as measure;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "settings";

const SIZES: [&str; 4] = ["256 KiB", "1 MiB", "2 MiB", "15 MiB"];

pub fn run(extent: Extent) -> Vec<Line> {
    SIZES.into_iter().flat_map(|size| with(size, extent)).collect()
}

/// The only branch makes bundles of this size from now on.
pub fn limit(company: &Company, max_bytes: &str) {
    let options = format!("{SALES}[bundle]\nmax_bytes = {max_bytes:?}\n");
    company.branch().configure("role = \"branch\"", &company.broker_url, &options);
}

/// The same change set with bundles of this size, through the broker, one side after the other.
fn with(size: &str, extent: Extent) -> Vec<Line> {
    let mut samples: [Vec<f64>; 6] = Default::default();
    for _ in 0..extent.runs {
        let company = fresh_company(&["east"]);
        let (branch, head_office) = (company.branch(), &company.head_office);
        limit(&company, size);
        write(&mut connect(&branch.database_url), 0, extent.rows, Commits::One);
        let old = branch.bundles();
        settle();
        let bundled = measure(branch, &["bundle"]);
        let new: Vec<_> = branch.bundles().into_iter().filter(|path| !old.contains(path)).collect();
        let bytes: u64 = new.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        let applied = measure(head_office, &["apply"]);
        let figures = [
            new.len() as f64,
            bytes as f64 / extent.rows as f64,
            bundled.seconds,
            applied.seconds,
            bundled.memory,
            applied.memory,
        ];
        samples.iter_mut().zip(figures).for_each(|(samples, figure)| samples.push(figure));
        drop(company);
        clear();
    }
    let what = format!("max_bytes = {size:?}, {} rows: bundles", grouped(extent.rows));
    let rest = ["… size per row", "… `bundle`", "… `apply`", "… memory of `bundle`", "… memory of `apply`"];
    let units = ["", "B", "s", "s", "MiB", "MiB"];
    let names = [what.as_str()].into_iter().chain(rest);
    let lines = names.zip(units).zip(&samples);
    lines.map(|((name, unit), samples)| Line::new(NAME, name, unit, samples)).collect()
}
