//! Sealing and applying, each by itself: files without a broker, and bundles that wait in their queue.

use super::{Extent, grouped};
use crate::measure::run as measure;
use crate::references::{copy_in, copy_out_compressed, csv_of};
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "files";

pub fn run(extent: Extent) -> Vec<Line> {
    let (mut sealed, mut packed, mut applied, mut copied) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut drained = Vec::new();
    for _ in 0..extent.runs {
        let company = fresh_company(&["east"]);
        let (branch, head_office) = (company.branch(), &company.head_office);
        write(&mut connect(&branch.database_url), 0, extent.rows, Commits::One);
        let old = branch.bundles().len();
        settle();
        sealed.push(measure(branch, &["bundle", "--offline"]).seconds);
        packed.push(copy_out_compressed(branch, "public.sales"));
        let bundles = branch.bundles();
        let mut arguments = vec!["apply"];
        arguments.extend(bundles[old..].iter().map(|path| path.to_str().unwrap()));
        settle();
        applied.push(measure(head_office, &arguments).seconds);
        copied.push(copy_in(head_office, &csv_of(branch)));
        drop(company);
        clear();
        drained.push(drain(extent));
    }
    let rows = grouped(extent.rows);
    vec![
        Line::new(NAME, format!("`bundle --offline`, {rows} inserts, level 9"), "s", &sealed)
            .against("R1 COPY | zstd -9", &packed)
            .ratio_at_most(1.3),
        Line::new(NAME, format!("`apply`, {rows} inserts that wait in their queue"), "s", &drained)
            .against("R2 COPY into the table", &copied)
            .ratio_at_most(1.25),
        Line::new(NAME, format!("`apply FILE…`, {rows} inserts"), "s", &applied)
            .against("R2 COPY into the table", &copied)
            .ratio_at_most(1.25),
    ]
}

/// How long head office needs for what waits in its queue.
fn drain(extent: Extent) -> f64 {
    let company = fresh_company(&["east"]);
    write(&mut connect(&company.branch().database_url), 0, extent.rows, Commits::One);
    measure(company.branch(), &["bundle"]);
    settle();
    let taken = measure(&company.head_office, &["apply"]).seconds;
    drop(company);
    clear();
    taken
}
