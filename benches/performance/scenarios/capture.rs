//! What the triggers cost the application: the branch's table with them and, R4, without.

use std::fs::File;
use std::io;
use std::process::Command;

use postgres::Client;
use salesync::sandbox::find_postgres;

use super::{Extent, grouped};
use crate::company::Node;
use crate::measure::{processor_seconds, seconds};
use crate::references::csv_of;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, fresh_database, settle};
use crate::table::Line;

const NAME: &str = "capture";

/// Microseconds that capture may take of the server's processor for each statement.
const MOST: f64 = 14.0;

/// One statement of each kind, as an application prepares it.
const STATEMENTS: [(&str, &str); 3] = [
    (
        "INSERT",
        "INSERT INTO public.sales (id, date, region, product, qty, cost, amt, tax, total)
                VALUES ($1, '2021-05-02', 'East', 'Paper', 2, 12.95, 25.90, 1.81, 27.71)",
    ),
    ("UPDATE", "UPDATE public.sales SET qty = 3, amt = 38.85, tax = 2.72, total = 41.57 WHERE id = $1"),
    ("DELETE", "DELETE FROM public.sales WHERE id = $1"),
];

/// What pgbench's clients do.
const SCRIPT: &str = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total) \
                      VALUES ('2021-05-02', 'East', 'Paper', 2, 12.95, 25.90, 1.81, 27.71);\n";

pub fn run(extent: Extent) -> Vec<Line> {
    // Without capture first.
    let mut processor: [[Vec<f64>; 3]; 2] = Default::default();
    let mut loading: [Vec<f64>; 2] = Default::default();
    let mut rates: [Vec<f64>; 2] = Default::default();
    for _ in 0..extent.runs {
        let company = fresh_company(&["east"]);
        let captured = company.branch();
        let plain =
            Node { name: "plain".into(), folder: captured.folder.clone(), database_url: fresh_database() };
        let mut source = connect(&plain.database_url);
        source.batch_execute(include_str!("../../../migrations/sales.sql")).unwrap();
        write(&mut source, 0, extent.rows, Commits::One);
        let csv = csv_of(&plain);
        source.batch_execute("TRUNCATE public.sales").unwrap();
        for (which, node) in [&plain, captured].into_iter().enumerate() {
            let mut client = connect(&node.database_url);
            settle();
            loading[which].push(seconds(|| {
                let mut writer = client.copy_in("COPY public.sales FROM STDIN (FORMAT csv)").unwrap();
                io::copy(&mut File::open(&csv).unwrap(), &mut writer).unwrap();
                writer.finish().unwrap();
            }));
            client.batch_execute("VACUUM ANALYZE").unwrap();
            for (samples, (_, statement)) in processor[which].iter_mut().zip(STATEMENTS) {
                samples.push(processor_time(&mut client, statement, extent.rows));
            }
            rates[which].push(transactions_per_second(node));
        }
        drop((company, source));
        clear();
    }
    let [plain, captured] = processor;
    let mut lines = Vec::new();
    for (((kind, _), plain), captured) in STATEMENTS.into_iter().zip(plain).zip(captured) {
        let added: Vec<f64> = captured.iter().zip(&plain).map(|(with, without)| with - without).collect();
        let what = format!("server's processor time of capture, single-row {kind}");
        lines.push(Line::new(NAME, what, "µs", &added).at_most(MOST));
        let what = format!("… {kind} with capture");
        lines.push(Line::new(NAME, what, "µs", &captured).against("R4 without", &plain));
    }
    let what = format!("COPY of {} rows into the branch's table", grouped(extent.rows));
    lines.push(Line::new(NAME, what, "s", &loading[1]).against("R4 without", &loading[0]).ratio_at_most(1.6));
    let what = "pgbench, 4 clients, single-row INSERT, durable commits";
    lines.push(Line::new(NAME, what, "tps", &rates[1]).against("R4 without", &rates[0]));
    lines
}

/// Microseconds per statement, each a transaction of its own. Nobody waits for the disk: that takes no processor time.
fn processor_time(client: &mut Client, statement: &str, beyond: u64) -> f64 {
    client.batch_execute("SET synchronous_commit = off").unwrap();
    let statement = client.prepare(statement).unwrap();
    let count = i64::try_from(beyond / 20).unwrap();
    let first = i64::try_from(beyond).unwrap() * 10;
    let begun = processor_seconds(client);
    for id in first..first + count {
        client.execute(&statement, &[&id]).unwrap();
    }
    (processor_seconds(client) - begun) * 1e6 / count as f64
}

fn transactions_per_second(node: &Node) -> f64 {
    let script = node.folder.join("insert.sql");
    std::fs::write(&script, SCRIPT).unwrap();
    // The table has been loaded with keys of its own.
    let counter = "SELECT setval(pg_get_serial_sequence('public.sales', 'id'), 1000000000)";
    connect(&node.database_url).batch_execute(counter).unwrap();
    settle();
    let mut command = Command::new(find_postgres("pgbench").unwrap());
    command
        .args(["-n", "-M", "prepared", "-c", "4", "-j", "2", "-T", "5", "-f"])
        .arg(&script)
        .arg(&node.database_url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
    rate.split(' ').next().unwrap().parse().unwrap()
}
