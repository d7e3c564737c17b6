//! What the triggers cost the application: the branch's table with them, R4 without, and with those of others.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use postgres::{Client, GenericClient, Statement};
use salesync::sandbox::find_postgres;

use super::{Extent, grouped};
use crate::company::Node;
use crate::measure::{processor_seconds, seconds};
use crate::peers::{self, Peer, database_of_sales};
use crate::references::csv_of;
use crate::sales::{Commits, write};
use crate::servers::{clear, connect, fresh_company, settle};
use crate::table::Line;

const NAME: &str = "capture";

/// Microseconds that capture may take of the server's processor for each statement.
const MOST: f64 = 14.0;

/// What an INSERT took where that limit was set: without capture, many in a transaction.
const MICROSECONDS_OF_INSERT: f64 = 21.9;

/// Its place among the statements.
const INSERT: usize = 0;

/// No other row has a key as high as the statements' rows.
const FIRST_ID: i64 = 100_000_000;

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

/// The table of sales in one database, and what was measured there.
struct Subject {
    name: &'static str,
    /// For each of [`STATEMENTS`], in microseconds, each in a transaction of its own.
    committed: [Vec<f64>; 3],
    /// The same, many in a transaction.
    in_transaction: [Vec<f64>; 3],
    /// Of `COPY` into the table, in seconds.
    loading: Vec<f64>,
    /// Transactions per second.
    rates: Vec<f64>,
}

impl Subject {
    fn new(name: &'static str) -> Self {
        let (committed, in_transaction) = Default::default();
        Self { name, committed, in_transaction, loading: Vec::new(), rates: Vec::new() }
    }

    fn measure(&mut self, url: &str, csv: &Path, rows: u64) {
        let mut client = connect(url);
        settle();
        self.loading.push(seconds(|| {
            let mut writer = client.copy_in("COPY public.sales FROM STDIN (FORMAT csv)").unwrap();
            io::copy(&mut File::open(csv).unwrap(), &mut writer).unwrap();
            writer.finish().unwrap();
        }));
        client.batch_execute("VACUUM ANALYZE").unwrap();
        for (samples, commits) in
            [(&mut self.committed, Commits::Each), (&mut self.in_transaction, Commits::One)]
        {
            for (samples, (_, statement)) in samples.iter_mut().zip(STATEMENTS) {
                samples.push(processor_time(&mut client, statement, rows, commits));
            }
        }
        self.rates.push(transactions_per_second(url, csv));
    }

    /// What was added to each run of `plain`.
    fn added_to(&self, plain: &Self, statement: usize) -> Vec<f64> {
        let pairs = self.committed[statement].iter().zip(&plain.committed[statement]);
        pairs.map(|(with, without)| with - without).collect()
    }
}

pub fn run(extent: Extent) -> Vec<Line> {
    let (mut plain, mut ours) = (Subject::new("without"), Subject::new("salesync"));
    let mut others: Vec<(&Peer, Subject)> =
        peers::ALL.iter().map(|peer| (peer, Subject::new(peer.name))).collect();
    for _ in 0..extent.runs {
        let company = fresh_company(&["east"]);
        let folder = company.branch().folder.clone();
        let source = Node { name: "source".into(), folder, database_url: database_of_sales() };
        write(&mut connect(&source.database_url), 0, extent.rows, Commits::One);
        let csv = csv_of(&source);
        plain.measure(&database_of_sales(), &csv, extent.rows);
        ours.measure(&company.branch().database_url, &csv, extent.rows);
        others.retain_mut(|(peer, subject)| {
            let captured = peer.capturing();
            captured.map(|url| subject.measure(&url, &csv, extent.rows)).is_some()
        });
        drop(company);
        clear();
    }
    let mut lines = Vec::new();
    for (statement, (kind, _)) in STATEMENTS.iter().enumerate() {
        let added = ours.added_to(&plain, statement);
        let what = format!("server's processor time that capture adds to a single-row {kind} and its commit");
        lines.push(Line::new(NAME, &what, "µs", &added).at_most(MOST));
        let line = |what: &str| Line::new(NAME, what, "µs", &added);
        let inserted = &plain.in_transaction[INSERT];
        let by_machine = line("… as a share of an INSERT without").against("R4 INSERT, no commit", inserted);
        lines.push(by_machine.ratio_at_most((MOST / MICROSECONDS_OF_INSERT * 100.0).round() / 100.0));
        let whole =
            Line::new(NAME, format!("… the whole {kind} and its commit"), "µs", &ours.committed[statement]);
        lines.push(whole.against("R4 without", &plain.committed[statement]));
        for (_, other) in &others {
            let beside = line(&format!("… added to {kind}"));
            lines.push(beside.against(other.name, &other.added_to(&plain, statement)).ratio_at_most(1.0));
        }
        let many = Line::new(
            NAME,
            format!("… {kind}, many in a transaction"),
            "µs",
            &ours.in_transaction[statement],
        );
        lines.push(many.against("R4 without", &plain.in_transaction[statement]));
    }
    let what = format!("COPY of {} rows into the branch's table", grouped(extent.rows));
    let line = |what: &str| Line::new(NAME, what, "s", &ours.loading);
    lines.push(line(&what).against("R4 without", &plain.loading).ratio_at_most(1.6));
    lines.extend(others.iter().map(|(_, other)| line("… the same").against(other.name, &other.loading)));
    let what = "pgbench, 4 clients, single-row INSERT, durable commits";
    let line = |what: &str| Line::new(NAME, what, "tps", &ours.rates);
    lines.push(line(what).against("R4 without", &plain.rates));
    lines.extend(others.iter().map(|(_, other)| line("… the same").against(other.name, &other.rates)));
    lines
}

/// Microseconds per statement. Nobody waits for the disk: that takes no processor time.
fn processor_time(client: &mut Client, statement: &str, rows: u64, commits: Commits) -> f64 {
    client.batch_execute("SET synchronous_commit = off").unwrap();
    let statement = client.prepare(statement).unwrap();
    let count = i64::try_from(rows / 20).unwrap();
    let first = FIRST_ID + if matches!(commits, Commits::One) { 0 } else { count };
    let begun = processor_seconds(client);
    match commits {
        Commits::Each => execute(client, &statement, first..first + count),
        Commits::One => {
            let mut transaction = client.transaction().unwrap();
            execute(&mut transaction, &statement, first..first + count);
            transaction.commit().unwrap();
        }
    }
    (processor_seconds(client) - begun) * 1e6 / count as f64
}

fn execute(client: &mut impl GenericClient, statement: &Statement, ids: Range<i64>) {
    for id in ids {
        client.execute(statement, &[&id]).unwrap();
    }
}

fn transactions_per_second(url: &str, beside: &Path) -> f64 {
    let script = beside.with_file_name("insert.sql");
    std::fs::write(&script, SCRIPT).unwrap();
    // The table has been loaded with keys of its own.
    let counter = "SELECT setval(pg_get_serial_sequence('public.sales', 'id'), 1000000000)";
    connect(url).batch_execute(counter).unwrap();
    settle();
    let mut command = Command::new(find_postgres("pgbench").unwrap());
    command.args(["-n", "-M", "prepared", "-c", "4", "-j", "2", "-T", "5", "-f"]).arg(&script).arg(url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
    rate.split(' ').next().unwrap().parse().unwrap()
}
