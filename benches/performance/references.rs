//! What salesync is compared with: PostgreSQL's own means, and the design that comes to mind first.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use postgres::Client;
use salesync::broker::OutgoingBundle;
use salesync::sandbox::find_postgres;

use crate::company::{Company, Node};
use crate::measure::{seconds, wait_for};
use crate::servers::{connect, fresh_pair, settle};

const SALES: &str = include_str!("../../migrations/sales.sql");

/// The subscriber's table has the key and nothing else to keep up.
const SUBSCRIBED: &str = "CREATE TABLE public.sales (
    id bigint PRIMARY KEY, date date NOT NULL, region text NOT NULL, product text NOT NULL, qty integer NOT NULL,
    cost numeric(12,2) NOT NULL, amt numeric(14,2) NOT NULL, tax numeric(14,2) NOT NULL, total numeric(14,2) NOT NULL)";

const MARK: &str = "CREATE TABLE public.mark (reached boolean PRIMARY KEY)";

/// R1: `COPY` of a table or query by `psql` through `zstd -9` into the file `reference.csv.zst`. Seconds.
pub fn copy_out_compressed(node: &Node, rows: &str) -> f64 {
    let mut command = Command::new("sh");
    let pipe = "set -e; \"$1\" -X -q -c \"COPY $4 TO STDOUT (FORMAT csv)\" \"$2\" | zstd -9 -q -f -o \"$3\"";
    command.args(["-c", pipe, "sh"]).arg(find_postgres("psql").unwrap()).arg(&node.database_url);
    command.arg(node.folder.join("reference.csv.zst")).arg(rows);
    seconds(|| assert!(command.status().unwrap().success(), "{pipe}"))
}

/// The sales of a node as a CSV file.
pub fn csv_of(node: &Node) -> PathBuf {
    let path = node.folder.join("reference.csv");
    let mut client = connect(&node.database_url);
    let mut rows = client.copy_out("COPY public.sales TO STDOUT (FORMAT csv)").unwrap();
    io::copy(&mut rows, &mut File::create(&path).unwrap()).unwrap();
    path
}

/// R2: `COPY` of a branch's sales into a table like head office's, with its key, in one transaction. Seconds.
pub fn copy_in(head_office: &Node, csv: &Path) -> f64 {
    let mut client = connect(&head_office.database_url);
    let table = "DROP TABLE IF EXISTS public.reference; SET salesync.branch = 'east';
                 CREATE TABLE public.reference (LIKE public.sales INCLUDING DEFAULTS, PRIMARY KEY (branch, id))";
    client.batch_execute(table).unwrap();
    settle();
    let columns = "id, date, region, product, qty, cost, amt, tax, total";
    let statement = format!("COPY public.reference ({columns}) FROM STDIN (FORMAT csv)");
    let mut file = File::open(csv).unwrap();
    let taken = seconds(|| {
        let mut writer = client.copy_in(&statement).unwrap();
        io::copy(&mut file, &mut writer).unwrap();
        writer.finish().unwrap();
    });
    client.batch_execute("DROP TABLE public.reference").unwrap();
    taken
}

/// R3: PostgreSQL's logical replication, in its binary form. The subscription is there and disabled: the line is down.
pub struct Replication {
    pub publisher: Client,
    pub subscriber: Client,
}

impl Replication {
    /// Empty tables that `fill` writes on both sides. The subscriber reaches the publisher at the URL that `by`
    /// makes of the publisher's own.
    pub fn new(fill: impl Fn(&mut Client), by: impl FnOnce(&str) -> String) -> Self {
        let [from, to] = fresh_pair();
        let (mut publisher, mut subscriber) = (connect(&from), connect(&to));
        publisher.batch_execute(SALES).unwrap();
        // Filled as the publisher's is, and then without what a subscriber has no use for.
        subscriber.batch_execute(SALES).unwrap();
        for client in [&mut publisher, &mut subscriber] {
            client.batch_execute(MARK).unwrap();
            fill(client);
        }
        let plain = "ALTER TABLE public.sales RENAME TO full_sales";
        subscriber
            .batch_execute(&format!(
                "{plain}; {SUBSCRIBED}; INSERT INTO public.sales SELECT * FROM full_sales;
                                           DROP TABLE full_sales; ANALYZE public.sales"
            ))
            .unwrap();
        publisher.batch_execute("CREATE PUBLICATION bench FOR TABLE public.sales, public.mark").unwrap();
        let slot = from.rsplit('/').next().unwrap();
        let subscribe = format!(
            "CREATE SUBSCRIPTION bench CONNECTION '{}' PUBLICATION bench
             WITH (copy_data = false, enabled = false, create_slot = true, binary = true, slot_name = '{slot}')",
            by(&from)
        );
        subscriber.batch_execute(&subscribe).unwrap();
        Self { publisher, subscriber }
    }

    /// The line is up: seconds until the subscriber has everything. Commits arrive in their order, so one last row
    /// tells.
    pub fn catch_up(&mut self) -> f64 {
        self.publisher.batch_execute("INSERT INTO public.mark VALUES (true)").unwrap();
        settle();
        let taken = seconds(|| {
            self.subscriber.batch_execute("ALTER SUBSCRIPTION bench ENABLE").unwrap();
            wait_for("the subscriber", || {
                !self.subscriber.query("SELECT FROM public.mark", &[]).unwrap().is_empty()
            });
        });
        self.subscriber.batch_execute("ALTER SUBSCRIPTION bench DISABLE").unwrap();
        self.subscriber.batch_execute("DROP SUBSCRIPTION bench").unwrap();
        taken
    }
}

/// R5: one persistent message per row, confirmed; at head office one transaction per message, then acknowledged. Rows
/// per second, both ends working at the same time.
pub fn message_per_row(company: &Company, count: usize) -> f64 {
    let branch = company.branch();
    let sales = format!("SELECT s::text FROM public.sales AS s ORDER BY id LIMIT {count}");
    let rows: Vec<String> =
        connect(&branch.database_url).query(&sales, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    let mut client = connect(&company.head_office.database_url);
    client.batch_execute(&SUBSCRIBED.replace("public.sales", "public.naive")).unwrap();
    let insert = "INSERT INTO public.naive SELECT (r.row).* FROM (SELECT $1::text::public.naive AS row) AS r";
    let insert = client.prepare(insert).unwrap();
    let (mut sender, mut receiver) = (company.broker(), company.broker());
    settle();
    let taken = seconds(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for (number, row) in rows.iter().enumerate() {
                    let message = OutgoingBundle {
                        branch: &branch.name,
                        bundle_id: "row",
                        epoch: "",
                        sequence: number as u64,
                        manifest_sha256: "",
                        payload: row.as_bytes(),
                    };
                    sender.publish_bundle(&message).unwrap();
                }
            });
            let mut arrived = 0;
            while arrived < rows.len() {
                if let Some(message) = receiver.next_bundle(&branch.name).unwrap() {
                    let row = String::from_utf8(message.payload.clone()).unwrap();
                    client.execute(&insert, &[&row]).unwrap();
                    receiver.acknowledge(message).unwrap();
                    arrived += 1;
                }
            }
        });
    });
    count as f64 / taken
}
