//! The broker itself: what it lacks, what it refuses, and how it dies.

use std::fs;
use std::process::Command;
use std::time::Duration;

use salesync::sandbox::{BrokerServer, wait_until};

use super::{
    TROUBLED, assert_goes_on, assert_told, at_branch, at_head_office, company_at, pending, troubled,
};
use crate::company::{Company, SALES};
use crate::line::{Line, Way};
use crate::running::Running;

#[test]
fn what_head_office_has_not_declared_is_told() {
    let company = Company::new(&["east"], SALES);
    let east = company.branch();
    east.run(&["init", "--with-sales"]).ok();
    east.sell("Ink");
    let run = Running::start(east, &["bundle"]).ends();
    assert_told("no exchange: head office has not run `init`", "bundle", run);
    company.head_office.configure("role = \"head-office\"", &company.broker_url, "");
    company.head_office.run(&["init"]).ok();
    let run = Running::start(east, &["bundle"]).ends();
    assert_told("no queue: head office does not know the branch", "bundle", run);
    assert_eq!(pending(&company), "1");
    at_head_office(&company, &company.broker_url);
    let run = Running::start(&company.head_office, &["apply"]).ends();
    assert_told("a queue was deleted", "apply", run);
    company.head_office.run(&["init"]).ok();
    assert_goes_on(&company);
}

/// A setting of the running broker, put back when this goes.
struct Setting<'a> {
    server: &'a BrokerServer,
    key: &'static str,
    usual: u64,
}

impl<'a> Setting<'a> {
    fn new(server: &'a BrokerServer, key: &'static str, value: u64, usual: u64) -> Self {
        let setting = Self { server, key, usual };
        setting.set(value);
        setting
    }

    fn set(&self, value: u64) {
        // Some versions read a copy of it.
        let key = self.key;
        let expression =
            format!("application:set_env(rabbit, {key}, {value}), persistent_term:put({key}, {value}).");
        self.server.control(&["eval", &expression]).unwrap();
    }
}

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        self.set(self.usual);
    }
}

/// The broker takes messages of 200 kB at most.
fn small_messages(server: &BrokerServer) -> Setting<'_> {
    Setting::new(server, "max_message_size", 200_000, 16 << 20)
}

#[test]
fn a_bundle_too_large_is_refused_once_and_goes_when_the_limit_is_raised() {
    let server = troubled();
    let company = company_at(&server.url("large"));
    let east = company.branch();
    let line = Line::to(&company.broker_url);
    at_branch(&company, line.url());
    east.sell_much();
    let limit = small_messages(&server);
    let run =
        Running::start(east, &["bundle"]).ends().says(&["max_message_size", "resend 2", "bundle.max_bytes"]);
    assert_told("the bundle is too large for the broker", "bundle", run);
    assert!(line.carried(Way::Up) > 300_000, "the broker refuses only what it has");

    // What is made later fits, but does not overtake.
    let before = line.carried(Way::Up);
    east.sql("UPDATE public.sales SET product = md5(product) || md5(product || 'again')");
    let run =
        Running::start(east, &["bundle"]).ends().says(&["max_message_size", "resend 2", "bundle.max_bytes"]);
    assert_told("the same bundle at the next run, not uploaded again", "bundle", run);
    assert!(line.carried(Way::Up) - before < 10_000, "it was uploaded again");
    assert_eq!(
        east.value("SELECT max(byte_count) <= 200000 FROM salesync.bundle WHERE sequence > 2"),
        "true"
    );
    let run = Running::start(east, &["resend", "2"]).ends();
    assert_told("the bundle is too large for the broker", "bundle", run);

    drop(limit);
    at_branch(&company, &company.broker_url);
    east.run(&["resend", "2"]).ok();
    assert_eq!(east.value("SELECT message_limit FROM salesync.node"), "");
    assert_goes_on(&company);
}

#[test]
fn a_follower_uploads_a_bundle_too_large_once_and_sends_it_when_that_is_asked_for() {
    let server = troubled();
    let company = company_at(&server.url("large"));
    let east = company.branch();
    let line = Line::to(&company.broker_url);
    at_branch(&company, line.url());
    let follower = Running::start(east, &["bundle", "--follow"]);
    let is_asked = || Ok((east.value("SELECT salesync.is_followed()") == "true").then_some(()));
    wait_until(Duration::from_mins(1), "the follower", is_asked).unwrap();
    let limit = small_messages(&server);
    let before = line.carried(Way::Up);
    east.sell_much();
    follower.has_said("max_message_size");
    // It tries again, and again.
    follower.has_said("the broker takes at most 200000 bytes");
    line.wait_for_calls(1);
    let size: u64 = east.value("SELECT max(byte_count) FROM salesync.bundle").parse().unwrap();
    let carried = line.carried(Way::Up) - before;
    assert!((size..size * 3 / 2).contains(&carried), "{carried} bytes went for a bundle of {size}");
    drop(limit);
    company.head_office.run(&["request", "east", "--resend", "2"]).ok();
    wait_until(Duration::from_mins(2), "the bundle to go", || Ok((pending(&company) == "0").then_some(())))
        .unwrap();
    follower.stops().ok();
    assert_goes_on(&company);
}

#[test]
fn a_bundle_too_large_goes_in_smaller_ones_with_a_new_epoch() {
    let server = troubled();
    let company = company_at(&server.url("large"));
    company.branch().sell_much();
    let _limit = small_messages(&server);
    company.branch().run(&["bundle"]).exits(78);
    company.branch().run(&["bundle", "--since", "all"]).ok();
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_full_queue_is_told() {
    let server = troubled();
    let policy = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    let set = ["set_policy", "-p", "full", "--priority", "9", "--apply-to", "queues", "few", "east$", policy];
    server.control(&set).unwrap();
    let company = company_at(&server.url("full"));
    let mut runs = (0..5).map(|number| {
        company.branch().sell(&format!("Pen {number}"));
        Running::start(company.branch(), &["bundle"]).ends()
    });
    let refused = runs.nth(4).unwrap();
    assert_told("the queue is full", "bundle", refused);
    company.head_office.run(&["apply"]).ok();
    let drained = wait_until(Duration::from_secs(90), "all to go", || {
        let done = Running::start(company.branch(), &["bundle"]).ends();
        company.head_office.run(&["apply"]).ok();
        Ok((pending(&company) == "0").then_some(done))
    });
    drained.unwrap();
    assert_goes_on(&company);
}

#[test]
fn an_alarm_of_the_broker_is_told() {
    let server = troubled();
    let company = company_at(&server.url("alarm"));
    let fault = "the broker is short of disk or memory: sending";
    company.branch().sell("Paper");
    company.branch().run(&["bundle"]).ok();
    company.branch().sell("Pens");
    server.control(&["set_disk_free_limit", "1000GB"]).unwrap();
    // Whatever comes out of it, the alarm ends before it is judged: others use this broker.
    let (sending, applying) = (
        Running::start(company.branch(), &["bundle"]).ends(),
        Running::start(&company.head_office, &["apply"]).ends(),
    );
    server.control(&["set_disk_free_limit", "10MB"]).unwrap();
    assert_told(fault, "bundle", sending);
    assert_told(fault, "apply", applying);
    assert_eq!(pending(&company), "1");
    // It is applied, and only the answer has not got through.
    let done = wait_until(Duration::from_mins(1), "the message to come again", || {
        let done = company.head_office.run(&["apply", "--json"]).ok().json();
        Ok((done["duplicates"] == 1).then_some(()))
    });
    done.unwrap();
    assert_goes_on(&company);
}

/// The company's line is slow, so that the broker can be hurt in the middle of a bundle.
fn company_by_slow_line(server: &BrokerServer, vhost: &str) -> (Company, Line) {
    let company = company_at(&server.url(vhost));
    // The broker may be killed: what it has just been told to keep, it shall know.
    server.record_queues().unwrap();
    company.branch().sell_much();
    let line = Line::to(&company.broker_url);
    (company, line)
}

#[test]
fn a_broker_killed_in_the_middle_of_sending_is_told() {
    let mut server = troubled();
    let (company, line) = company_by_slow_line(&server, "killed");
    line.slows_to(50_000);
    at_branch(&company, line.url());
    let bundling = Running::start(company.branch(), &["bundle"]);
    line.wait_for_bytes(Way::Up, 100_000);
    server.kill();
    let run = bundling.ends();
    server.start_again().unwrap();
    assert_told("the line breaks, or the broker dies, in the middle of sending", "bundle", run);
    assert_eq!(pending(&company), "1");
    assert_goes_on(&company);
}

#[test]
fn a_broker_killed_in_the_middle_of_fetching_is_told() {
    let mut server = troubled();
    let (company, line) = company_by_slow_line(&server, "killed-fetching");
    company.branch().run(&["bundle"]).ok();
    line.slows_to(50_000);
    at_head_office(&company, line.url());
    let applying = Running::start(&company.head_office, &["apply"]);
    line.wait_for_bytes(Way::Down, 100_000);
    server.kill();
    let run = applying.ends();
    server.start_again().unwrap();
    assert_told("the line breaks, or the broker dies, in the middle of fetching", "apply", run);
    assert_goes_on(&company);
}

/// The broker does nothing while this lives.
struct Frozen(String);

impl Frozen {
    fn new() -> Self {
        let pid = fs::read_to_string(TROUBLED.sandbox.path().join("troubled/pid")).unwrap().trim().to_owned();
        assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        assert!(Command::new("kill").args(["-CONT", &self.0]).status().unwrap().success());
    }
}

#[test]
fn a_broker_frozen_in_the_middle_of_sending_is_told() {
    let server = troubled();
    let (company, line) = company_by_slow_line(&server, "frozen");
    line.slows_to(50_000);
    at_branch(&company, line.url());
    let bundling = Running::start(company.branch(), &["bundle"]);
    line.wait_for_bytes(Way::Up, 100_000);
    let frozen = Frozen::new();
    let run = bundling.ends();
    drop(frozen);
    assert_told("the line goes dead, or the broker freezes, in the middle of sending", "bundle", run);
    assert_eq!(pending(&company), "1");
    assert_goes_on(&company);
}

#[test]
fn a_broker_frozen_in_the_middle_of_fetching_is_told() {
    let server = troubled();
    let (company, line) = company_by_slow_line(&server, "frozen-fetching");
    company.branch().run(&["bundle"]).ok();
    line.slows_to(50_000);
    at_head_office(&company, line.url());
    let applying = Running::start(&company.head_office, &["apply"]);
    line.wait_for_bytes(Way::Down, 100_000);
    let frozen = Frozen::new();
    let run = applying.ends();
    drop((frozen, line));
    assert_told("the line goes dead, or the broker freezes, in the middle of fetching", "apply", run);
    assert_goes_on(&company);
}

#[test]
fn a_channel_closed_while_head_office_applied_leaves_a_duplicate() {
    let server = troubled();
    let company = company_at(&server.url("slow-apply"));
    let head = &company.head_office;
    company.branch().sell("Paper");
    company.branch().run(&["bundle"]).ok();
    let settings = [
        Setting::new(&server, "consumer_timeout", 1000, 1_800_000),
        Setting::new(&server, "channel_tick_interval", 500, 60_000),
    ];
    let mut client = head.client();
    let mut blocker = client.transaction().unwrap();
    blocker.batch_execute("LOCK TABLE public.sales IN EXCLUSIVE MODE").unwrap();
    let applying = Running::start(head, &["apply"]);
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock')";
    let limit = Duration::from_mins(1);
    wait_until(limit, "apply to come to the table", || Ok((head.value(waiting) == "true").then_some(())))
        .unwrap();
    wait_until(limit, "the broker to lose patience", || {
        Ok((company.broker().queue_depth("east")? == Some(1)).then_some(()))
    })
    .unwrap();
    blocker.commit().unwrap();
    let run = applying.ends();
    drop(settings);
    assert_told("applying took longer than the broker's `consumer_timeout`", "apply", run);
    company.assert_equal("public.sales");
    // It comes again in the same run or in the next.
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM salesync.delivery WHERE outcome = 'duplicate'"), "1");
    assert_goes_on(&company);
}
