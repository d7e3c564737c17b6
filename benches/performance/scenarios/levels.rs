//! Compression levels: time at the branch against bytes on the line.

use std::fs;

use super::{Extent, grouped};
use crate::company::SALES;
use crate::measure::run as measure;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "levels";

const LEVELS: [u8; 5] = [1, 3, 6, 9, 12];

pub fn run(extent: Extent) -> Vec<Line> {
    let company = fresh_company(&["east"]);
    let branch = company.branch();
    write(&mut connect(&branch.database_url), 0, extent.rows, Commits::One);
    let mut lines = Vec::new();
    for level in LEVELS {
        let options = format!("{SALES}[bundle]\ncompression_level = {level}\n");
        branch.configure("role = \"branch\"", &company.broker_url, &options);
        let (mut taken, mut bytes, mut memory) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..extent.runs {
            let old = branch.bundles();
            settle();
            let sealed = measure(branch, &["bundle", "--since", "all", "--offline"]);
            taken.push(sealed.seconds);
            memory.push(sealed.memory);
            let new = branch.bundles().into_iter().filter(|path| !old.contains(path));
            let size: u64 = new.map(|path| fs::metadata(path).unwrap().len()).sum();
            bytes.push(size as f64 / extent.rows as f64);
        }
        let what = format!("level {level}, `bundle --since all --offline`, {} rows", grouped(extent.rows));
        lines.push(Line::new(NAME, what, "s", &taken));
        lines.push(Line::new(NAME, "… size per row", "B", &bytes));
        lines.push(Line::new(NAME, "… memory", "MiB", &memory));
    }
    drop(company);
    clear();
    lines
}
