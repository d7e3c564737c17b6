//! `bundle --follow`: a branch whose line is always up.

use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator as _;
use salesync::sandbox::PostgresServer;

use super::{arrives, comes_to};
use crate::company::{Company, Node, SALES};
use crate::line::Line;
use crate::running::{Running, Systemd};
use crate::servers::fresh_sandbox;

const FOLLOWED: &str = "SELECT salesync.is_followed()";

/// A session that is notified as a follower is.
struct Listener(postgres::Client);

impl Listener {
    fn of(node: &Node) -> Self {
        let mut client = node.client();
        client.batch_execute("LISTEN salesync").unwrap();
        Self(client)
    }

    /// How many have come since the last time. What was committed before has arrived with this answer.
    fn notifications(&mut self) -> usize {
        self.0.batch_execute("SELECT").unwrap();
        self.0.notifications().iter().count().unwrap()
    }
}

#[test]
fn a_thousand_commits_in_a_moment_are_a_few_bundles() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    // Longer than usual, because the machine may be busy.
    let patient = format!("[bundle]\ndebounce = \"1s\"\n{SALES}");
    east.configure("role = \"branch\"", &company.broker_url, &patient);
    let mut command = east.command(&["bundle", "--follow"]);
    let systemd = Systemd::watch(east, &mut command, Duration::from_millis(300));
    let follower = Running::of(&mut command);
    systemd.hears("READY=1");
    systemd.hears("STATUS=up to date");
    let applier = Running::start(head, &["apply", "--follow"]);
    let mut client = east.client();
    let insert = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                  VALUES ('2021-05-02', 'East', 'Ink', $1::int, 1, $1, 0, $1)";
    let insert = client.prepare(insert).unwrap();
    let begun = Instant::now();
    for number in 1..=1000 {
        client.execute(&insert, &[&number]).unwrap();
    }
    // One when it is quiet, and one for each four seconds in which it is not.
    let most = 2 + begun.elapsed().as_secs() / 4;
    arrives(&company, east);
    company.assert_equal("public.sales");
    assert_eq!(east.value("SELECT sum(row_count) FROM salesync.bundle"), "1000");
    let count: u64 = east.value("SELECT count(*) FROM salesync.bundle").parse().unwrap();
    assert!(count <= most, "{count} bundles, not {most}");
    // The answers come while nothing changes.
    comes_to(east, "SELECT bool_and(state = 'applied') FROM salesync.bundle", "true");
    systemd.forgets();
    systemd.hears("WATCHDOG=1");
    follower.signal("TERM");
    systemd.hears("STOPPING=1");
    let run = follower.ends().ok();
    assert_eq!((run.stdout(), run.stderr()), (String::new(), String::new()));
    assert_eq!(east.value(FOLLOWED), "false");
    applier.stops().ok();
}

#[test]
fn a_follower_outlives_its_database_and_its_line() {
    let company = Company::new(&["east"], SALES);
    let sandbox = fresh_sandbox();
    let mut postgres = PostgresServer::start(&sandbox, "postgres").unwrap();
    postgres.create_database("east").unwrap();
    let line = Line::to(&company.broker_url);
    let east = Node {
        name: "east".into(),
        folder: company.branch().folder.clone(),
        database_url: postgres.url("east"),
    };
    east.configure("role = \"branch\"", line.url(), SALES);
    company.head_office.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    let applier = Running::start(&company.head_office, &["apply", "--follow"]);

    // The servers may come later than it.
    line.goes_down();
    postgres.stop_immediately();
    let follower = Running::start(&east, &["bundle", "--follow"]);
    follower.has_said("connecting to postgres");
    postgres.start_again().unwrap();
    follower.has_said("connecting to amqp");
    line.is_repaired();
    comes_to(&east, FOLLOWED, "true");
    east.sell("Ink");
    arrives(&company, &east);

    postgres.stop_immediately();
    postgres.start_again().unwrap();
    east.sell("Pens");
    arrives(&company, &east);

    line.goes_down();
    east.sell("Paper");
    line.wait_for_calls(1);
    for product in ["Glue", "Tape"] {
        east.sell(product);
    }
    line.wait_for_calls(1);
    line.is_repaired();
    arrives(&company, &east);
    // What has changed while the line was down is one bundle.
    assert_eq!(east.value("SELECT count(*) FROM salesync.bundle"), "4");

    follower.stops().ok();
    applier.stops().ok();
    assert_eq!(east.value(FOLLOWED), "false");
}

#[test]
fn writers_notify_only_where_somebody_follows() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let mut listener = Listener::of(east);
    east.sell("Ink");
    assert_eq!(listener.notifications(), 0);
    let follower = Running::start(east, &["bundle", "--follow"]);
    comes_to(east, FOLLOWED, "true");
    for change in [
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-02', 'East', 'Ink', 1, 1, 1, 0, 1 FROM generate_series(1, 5)",
        "UPDATE public.sales SET product = 'Pens' WHERE qty = 1",
        "DELETE FROM public.sales WHERE product = 'Pens'",
        "TRUNCATE public.sales",
    ] {
        east.sql(change);
        assert_eq!(listener.notifications(), 1, "{change}");
    }
    // It is killed, and has left its wish behind; the next run takes it back.
    drop(follower);
    assert_eq!(east.value(FOLLOWED), "true");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value(FOLLOWED), "false");
    east.sell("Pens");
    assert_eq!(listener.notifications(), 0);
}

/// The answer of `is_followed` is a part of the plans that a session keeps.
#[test]
fn sessions_that_have_written_before_notice_that_a_follower_comes_and_goes() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let mut listener = Listener::of(east);
    let insert = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                  VALUES ('2021-05-02', 'East', 'Ink', $1::int, 1, $1, 0, $1)";
    let (mut till, mut other) = (east.client(), east.client());
    let sale = till.prepare(insert).unwrap();
    // So often that all plans are as general as they become.
    for number in 1..=20 {
        till.execute(&sale, &[&number]).unwrap();
        other.execute(insert, &[&number]).unwrap();
    }
    let mut waiting = other.transaction().unwrap();
    waiting.query("SELECT FROM public.sales", &[]).unwrap();
    assert_eq!(listener.notifications(), 0);

    let follower = Running::start(east, &["bundle", "--follow"]);
    comes_to(east, FOLLOWED, "true");
    till.execute(&sale, &[&21]).unwrap();
    assert_eq!(listener.notifications(), 1);
    waiting.execute(insert, &[&21]).unwrap();
    waiting.commit().unwrap();
    assert_eq!(listener.notifications(), 1);

    follower.stops().ok();
    for number in 22..=23 {
        till.execute(&sale, &[&number]).unwrap();
        other.execute(insert, &[&number]).unwrap();
    }
    assert_eq!(listener.notifications(), 0);
}

#[test]
fn a_follower_that_cannot_begin_says_why_and_ends() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let wrong = company.broker_url.replace(":sandbox@", ":wrong@");
    east.sell("Ink");
    east.configure("role = \"branch\"", &wrong, SALES);
    east.run(&["bundle", "--follow"]).exits(77).says(&["password"]);
    east.configure("role = \"branch\"", &company.broker_url, SALES);
    let follower = Running::start(east, &["bundle", "--follow"]);
    comes_to(east, FOLLOWED, "true");
    for second in [&["bundle", "--follow"][..], &["bundle"], &["bundle", "--for", "1h"], &["sync"]] {
        east.run(second).exits(75).says(&["salesync bundle (server process"]);
    }
    follower.stops().ok();
}
