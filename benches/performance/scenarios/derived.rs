//! What leaving out columns that others determine would save: not what salesync does, but what it could.

use std::fs;

use super::{Extent, grouped};
use crate::company::Node;
use crate::measure::seconds;
use crate::references::copy_out_compressed;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "derived";

const ALL_COLUMNS: &str = "public.sales";
/// `amt` is `qty * cost`, `total` is `amt + tax`, `tax` is 7 % of `amt`.
const BASE_COLUMNS: &str = "(SELECT id, date, region, product, qty, cost FROM public.sales ORDER BY id)";
/// What the branch would have to look at in every row, and send for those that differ.
const EXCEPTIONS: &str = "SELECT count(*) FROM public.sales
    WHERE (amt, tax, total) IS DISTINCT FROM (qty * cost, round(qty * cost * 0.07, 2), qty * cost + round(qty * cost * 0.07, 2))";

pub fn run(extent: Extent) -> Vec<Line> {
    let company = fresh_company(&["east"]);
    let branch = company.branch();
    let mut client = connect(&branch.database_url);
    write(&mut client, 0, extent.rows, Commits::One);
    client.batch_execute("VACUUM ANALYZE public.sales").unwrap();
    let (mut whole, mut base, mut checked) = (Vec::new(), Vec::new(), Vec::new());
    let mut sizes = [0.0; 2];
    for _ in 0..extent.runs {
        settle();
        whole.push(copy_out_compressed(branch, ALL_COLUMNS));
        sizes[0] = bytes_per_row(branch, extent);
        base.push(copy_out_compressed(branch, BASE_COLUMNS));
        sizes[1] = bytes_per_row(branch, extent);
        checked.push(seconds(|| drop(client.query_one(EXCEPTIONS, &[]).unwrap())));
    }
    drop((company, client));
    clear();
    let what = format!("COPY | zstd -9 of {} rows without amt, tax, total", grouped(extent.rows));
    vec![
        Line::new(NAME, &what, "s", &base).against("all columns", &whole),
        Line::new(NAME, "… size per row", "B", &sizes[1..]).against("all columns", &sizes[..1]),
        Line::new(NAME, "… checking every row against the rule", "s", &checked),
    ]
}

fn bytes_per_row(branch: &Node, extent: Extent) -> f64 {
    fs::metadata(branch.folder.join("reference.csv.zst")).unwrap().len() as f64 / extent.rows as f64
}
