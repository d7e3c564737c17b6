//! Inserts, updates and deletes after being offline.

use std::thread;

use postgres::Client;

use super::{Extent, grouped, window};
use crate::references::Replication;
use crate::sales::{Commits, Known, change, fingerprint, write};
use crate::servers::{clear, connect, fresh_company};
use crate::table::Line;

pub fn run(extent: Extent) -> Vec<Line> {
    let base = extent.rows / 2;
    let known = Known { base, among: base };
    let fill = |client: &mut Client| {
        write(client, 0, base, Commits::One);
        client.batch_execute("VACUUM ANALYZE public.sales").unwrap();
    };
    let (mut whole, mut bundle, mut native) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..extent.runs {
        let company = fresh_company(&["east"]);
        let mut here = connect(&company.branch().database_url);
        fill(&mut here);
        company.sync();
        let mut replication = Replication::new(fill, str::to_owned);
        thread::scope(|scope| {
            scope.spawn(|| change(&mut here, known, 0, extent.rows));
            scope.spawn(|| change(&mut replication.publisher, known, 0, extent.rows));
        });
        let taken = window::open(&company);
        whole.push(taken.whole);
        bundle.push(taken.bundle);
        native.push(replication.catch_up());
        assert_eq!(fingerprint(&mut replication.publisher), fingerprint(&mut replication.subscriber));
        drop((company, here, replication));
        clear();
    }
    let what = format!("{} changes, 70/25/5 inserts, updates, deletes, end to end", grouped(extent.rows));
    vec![
        Line::new("mixed", what, "s", &whole)
            .times_less_than("R3 logical replication", &native)
            .ratio_at_least(2.5),
        Line::new("mixed", "… of it `bundle`", "s", &bundle),
    ]
}
