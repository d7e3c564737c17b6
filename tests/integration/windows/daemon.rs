//! `apply --follow`: head office, always there.

use std::fs;
use std::time::Duration;

use salesync::sandbox::{BrokerServer, Definitions, PostgresServer, wait_until};

use super::{arrives, comes_to};
use crate::company::{Company, Node, SALES};
use crate::running::{Running, Systemd};
use crate::servers::fresh_sandbox;

#[test]
fn a_daemon_outlives_its_database_and_its_broker_and_tells_systemd() {
    let company = Company::new(&["east"], SALES);
    let sandbox = fresh_sandbox();
    let definitions = Definitions::with_vhosts(["v"]);
    let mut broker = BrokerServer::start(&sandbox, "broker", &definitions).unwrap();
    let mut postgres = PostgresServer::start(&sandbox, "postgres").unwrap();
    postgres.create_database("head").unwrap();
    let head = Node {
        name: "head".into(),
        folder: company.head_office.folder.clone(),
        database_url: postgres.url("head"),
    };
    head.configure("role = \"head-office\"", &broker.url("v"), "[branches.east]");
    head.run(&["init"]).ok();
    broker.record_queues().unwrap();
    let east = company.branch();
    east.configure("role = \"branch\"", &broker.url("v"), SALES);
    east.run(&["init", "--with-sales"]).ok();
    let count = || east.value("SELECT count(*) FROM public.sales");
    let arrive = || comes_to(&head, "SELECT count(*) FROM public.sales", &count());

    let mut command = head.command(&["apply", "--follow"]);
    let systemd = Systemd::watch(&head, &mut command, Duration::from_millis(300));
    let daemon = Running::of(&mut command);
    systemd.hears("READY=1");
    systemd.hears("WATCHDOG=1");
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    systemd.hears("STATUS=1 bundle applied");
    arrive();

    postgres.stop_immediately();
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    daemon.has_said("hint: ");
    postgres.start_again().unwrap();
    daemon.has_said("it goes on");
    arrive();

    broker.kill();
    daemon.has_said("connecting to amqp");
    systemd.forgets();
    systemd.hears("WATCHDOG=1");
    broker.start_again().unwrap();
    daemon.has_said("it goes on");
    east.sell("Paper");
    east.run(&["sync", "--wait", "1m"]).ok();
    arrive();
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");

    daemon.signal("TERM");
    systemd.hears("STOPPING=1");
    assert_eq!(daemon.ends().ok().stdout(), "");
}

/// Puts a message into a queue whose properties no client library can read.
fn forge_unreadable(broker: &BrokerServer, branch: &str) {
    let forge = format!(
        r#"rabbit_basic:publish(rabbit_basic:delivery(false, false,
            rabbit_basic:message(rabbit_misc:r(<<"v">>, exchange, <<"salesync.bundles">>), <<"{branch}">>,
            [{{message_id, <<255, 254>>}}, {{delivery_mode, 2}}], <<"body">>), undefined))."#
    );
    broker.control(&["eval", &forge]).unwrap();
}

#[test]
fn the_trouble_of_one_branch_does_not_stop_another() {
    let company = Company::new(&["bad", "east", "west"], SALES);
    let sandbox = fresh_sandbox();
    let broker = BrokerServer::start(&sandbox, "broker", &Definitions::with_vhosts(["v"])).unwrap();
    let head = &company.head_office;
    head.configure(
        "role = \"head-office\"",
        &broker.url("v"),
        "[branches.bad]\n[branches.east]\n[branches.west]",
    );
    head.run(&["init"]).ok();
    let [bad, east, west] = &company.branches[..] else { panic!("three branches") };
    for branch in [bad, east, west] {
        branch.configure("role = \"branch\"", &broker.url("v"), SALES);
        branch.run(&["init", "--with-sales"]).ok();
    }
    // One more without a queue.
    let known = "[branches.absent]\n[branches.bad]\n[branches.east]\n[branches.west]";
    head.configure("role = \"head-office\"", &broker.url("v"), known);
    let daemon = Running::start(head, &["apply", "--follow"]);
    daemon.has_said("salesync.bundles.absent");
    east.sell("Ink");
    east.run(&["sync", "--wait", "1m"]).ok();
    head.sql("ALTER TABLE public.sales ADD CHECK (product <> 'Forbidden')");

    // Rejected and held.
    west.sell("Forbidden");
    west.run(&["bundle"]).ok();
    daemon.has_said("west 1: rejected");
    west.sell("Pens");
    west.run(&["bundle"]).exits(3);
    daemon.has_said("west 2: held");
    // Nothing can be stored.
    let blocked = head.folder.join("bundles/bad");
    fs::write(&blocked, "").unwrap();
    bad.sell("Ink");
    bad.run(&["bundle"]).ok();
    daemon.has_said("bundles/bad");
    east.sell("Pens");
    east.run(&["sync", "--wait", "1m"]).ok();
    fs::remove_file(&blocked).unwrap();
    arrives(&company, bad);
    daemon.has_said("bad goes on");
    // It was kept, and not given back and fetched again and again.
    assert_eq!(head.value("SELECT count(*) FROM salesync.delivery WHERE branch = 'bad'"), "1");
    // Handed over, and so costs the connection of all.
    forge_unreadable(&broker, "bad");
    daemon.has_said("cannot be read");
    for product in ["Paper", "Glue", "Tape"] {
        east.sell(product);
        east.run(&["sync", "--wait", "1m"]).ok();
    }
    arrives(&company, east);
    // Not because the message would have been removed for having been delivered too often.
    wait_until(Duration::from_secs(30), "the queue to be counted", || {
        let queues = broker.control(&["list_queues", "-p", "v", "name", "messages"])?;
        Ok(queues.contains("salesync.bundles.bad\t1").then_some(()))
    })
    .unwrap();
    // After the cause is mended the others go on too.
    head.sql("ALTER TABLE public.sales DROP CONSTRAINT sales_product_check");
    west.run(&["resend", "1"]).exits(3);
    arrives(&company, west);
    broker.control(&["purge_queue", "-p", "v", "salesync.bundles.bad"]).unwrap();
    bad.sell("Pens");
    bad.run(&["bundle"]).ok();
    arrives(&company, bad);
    company.assert_equal("public.sales");
    daemon.stops().ok();
}

#[test]
fn a_second_one_says_who_is_at_work() {
    let company = Company::of_sales(&["east"]);
    let head = &company.head_office;
    let daemon = Running::start(head, &["apply", "--follow"]);
    let holds = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = 3
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    comes_to(head, holds, "1");
    for second in [&["apply", "--follow"][..], &["apply"], &["replay", "."]] {
        head.run(second).exits(75).says(&["salesync apply (server process"]);
    }
    daemon.stops().ok();
    let wrong = company.broker_url.replace(":sandbox@", ":wrong@");
    head.configure("role = \"head-office\"", &wrong, "[branches.east]");
    head.run(&["apply", "--follow"]).exits(77).says(&["password"]);
}

#[test]
fn what_a_person_decides_reaches_the_daemon_at_work() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-02', 'East', 'Ink', 1, 1, 1, 0, 1 FROM generate_series(1, 1500)",
    );
    let daemon = Running::start(head, &["apply", "--follow", "-v"]);
    east.run(&["sync", "--wait", "1m"]).ok();
    east.sql("DELETE FROM public.sales WHERE id > 10");
    east.run(&["sync", "--wait", "1m"]).exits(3);
    daemon.has_said("it would delete 1490 of east's 1500 rows");
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "1500");

    let told = head.run(&["approve", "east", "2"]).ok();
    assert_eq!(told.stdout(), "recorded; the running apply carries it out\n");
    comes_to(head, "SELECT count(*) FROM public.sales", "10");
    comes_to(head, "SELECT count(*) FROM salesync.decision WHERE carried_out_at IS NOT NULL", "1");
    east.run(&["sync", "--wait", "1m"]).ok();
    assert_eq!(east.run(&["status", "--json"]).ok().json()["unproven"], serde_json::json!([]));

    // So does what it asks of a branch, without another `apply`.
    head.run(&["request", "east", "--sync-now"]).ok();
    assert_eq!(east.run(&["sync", "--json", "--wait", "1m"]).ok().json()["proven"], 1);
    assert_eq!(daemon.stops().ok().stdout(), "");
}
