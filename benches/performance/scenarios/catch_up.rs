//! New rows after being offline.

use std::thread;

use super::{Extent, grouped, window};
use crate::references::{Replication, copy_in, csv_of, message_per_row};
use crate::sales::{Commits, fingerprint, write};
use crate::servers::{clear, connect, fresh_company};
use crate::table::Line;

const NAME: &str = "catch-up";

pub fn run(extent: Extent) -> Vec<Line> {
    [(Commits::Each, "each its own commit", 3.5), (Commits::One, "written in bulk", 1.8)]
        .into_iter()
        .flat_map(|(commits, how, target)| measure(extent, commits, how, target))
        .collect()
}

fn measure(extent: Extent, commits: Commits, how: &str, target: f64) -> Vec<Line> {
    let (mut whole, mut bundle, mut settling) = (Vec::new(), Vec::new(), Vec::new());
    let (mut native, mut copied, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.runs {
        let company = fresh_company(&["east"]);
        let mut replication = Replication::new(|_| {}, str::to_owned);
        let branch = company.branch();
        thread::scope(|scope| {
            scope.spawn(|| write(&mut connect(&branch.database_url), 0, extent.rows, commits));
            scope.spawn(|| write(&mut replication.publisher, 0, extent.rows, commits));
        });
        let taken = window::open(&company);
        whole.push(taken.whole);
        bundle.push(taken.bundle);
        settling.push(taken.settling);
        native.push(replication.catch_up());
        assert_eq!(fingerprint(&mut replication.publisher), fingerprint(&mut replication.subscriber));
        copied.push(copy_in(&company.head_office, &csv_of(branch)));
        let count = extent.rows.min(2000);
        single.push(extent.rows as f64 / message_per_row(&company, usize::try_from(count).unwrap()));
        drop((company, replication));
        clear();
    }
    let what = format!("catch-up of {} new rows, {how}", grouped(extent.rows));
    let line = |what: &str, samples: &[f64]| Line::new(NAME, what, "s", samples);
    vec![
        line(&what, &whole).times_less_than("R3 logical replication", &native).ratio_at_least(target),
        line(&what, &whole).against("R2 COPY into the table", &copied).ratio_at_most(1.5),
        line(&what, &whole).times_less_than("R5 a message per row (extrapolated)", &single),
        line("… of it `bundle`", &bundle),
        line("… afterwards: the next `bundle` settles", &settling),
    ]
}
