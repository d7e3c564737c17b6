//! A broker in trouble: alarms, full queues, missing rights, silence and sudden death.
//!
//! These disturb everybody on the broker, so they have one of their own and take turns.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use salesync::broker::{Broker, ConnectOptions, Deadlines};
use salesync::domain::Kind;
use salesync::sandbox::{BrokerServer, Definitions, Sandbox};

use super::{address, assert_failure, connect, next, next_within_seconds, publish};
use crate::line::{BOTH_WAYS, Break, Line};
use crate::servers::fresh_sandbox;

const VHOSTS: [&str; 9] =
    ["alarm", "full", "rights", "grave", "other-type", "silent", "hung-up", "unreadable", "killed"];

/// The broker that has trouble.
fn own_broker() -> MutexGuard<'static, BrokerServer> {
    static SERVER: LazyLock<(Mutex<BrokerServer>, Sandbox)> = LazyLock::new(|| {
        let sandbox = fresh_sandbox();
        let definitions = Definitions::with_vhosts(VHOSTS).with_branch("rights", "east", "pw");
        (Mutex::new(BrokerServer::start(&sandbox, "troubled", &definitions).unwrap()), sandbox)
    });
    SERVER.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepared(server: &BrokerServer, vhost: &str) -> Broker {
    let mut broker = connect(&server.url(vhost));
    broker.declare_topology(&["east"]).unwrap();
    broker
}

fn impatient() -> ConnectOptions {
    let second = Duration::from_secs(1);
    let deadlines = Deadlines {
        rpc: second,
        receive: second,
        publish: second,
        minimum_rate: u64::MAX,
        ..Deadlines::default()
    };
    ConnectOptions { deadlines, ..ConnectOptions::default() }
}

fn takes_seconds<T>(work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    done
}

/// The alarm on while it lives.
struct DiskAlarm<'a>(&'a BrokerServer);

impl<'a> DiskAlarm<'a> {
    fn raise(server: &'a BrokerServer) -> Self {
        server.control(&["set_disk_free_limit", "1000GB"]).unwrap();
        Self(server)
    }
}

impl Drop for DiskAlarm<'_> {
    fn drop(&mut self) {
        self.0.control(&["set_disk_free_limit", "10MB"]).unwrap();
    }
}

#[test]
fn a_disk_alarm_is_told_at_once_and_nothing_hangs() {
    let server = own_broker();
    let mut small = prepared(&server, "alarm");
    let mut large = connect(&server.url("alarm"));
    let alarm = DiskAlarm::raise(&server);
    let payload = vec![7; 8 * 1024 * 1024];
    takes_seconds(|| {
        assert_failure(publish(&mut small, "east", b"small"), Kind::Unreachable, "low on disk", "disk space");
        assert_failure(publish(&mut large, "east", &payload), Kind::Unreachable, "low on disk", "disk space");
        // Every further call on a blocked connection would hang, too.
        assert_failure(small.next_bundle("east"), Kind::Unreachable, "low on disk", "disk space");
        assert_failure(publish(&mut small, "east", b"small"), Kind::Unreachable, "low on disk", "disk space");
        small.close();
        drop(large);
    });
    drop(alarm);
    let mut broker = connect(&server.url("alarm"));
    publish(&mut broker, "east", b"after").unwrap();
}

#[test]
fn a_connection_that_was_blocked_goes_on_when_the_alarm_is_over() {
    let server = own_broker();
    let mut broker = prepared(&server, "alarm");
    let alarm = DiskAlarm::raise(&server);
    publish(&mut broker, "east", b"first attempt").unwrap_err();
    drop(alarm);
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(failure) = publish(&mut broker, "east", b"second attempt") {
        assert!(Instant::now() < deadline, "{failure}");
    }
    assert!(broker.is_connected());
}

#[test]
fn a_full_queue_is_told_and_takes_the_bundle_when_there_is_room() {
    let server = own_broker();
    let policy = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    server
        .control(&[
            "set_policy",
            "-p",
            "full",
            "--priority",
            "9",
            "--apply-to",
            "queues",
            "few",
            "east$",
            policy,
        ])
        .unwrap();
    let mut broker = prepared(&server, "full");
    let refused = (0..5).find_map(|_| publish(&mut broker, "east", b"one of many").err());
    assert_failure(refused.map_or(Ok(()), Err), Kind::Unreachable, "accepts no more", "full");
    while let Some(delivery) = broker.next_bundle("east").unwrap() {
        broker.acknowledge(delivery).unwrap();
    }
    publish(&mut broker, "east", b"room").unwrap();
}

#[test]
fn a_branch_can_publish_only_as_itself_and_read_only_its_receipts() {
    let server = own_broker();
    let mut head_office = prepared(&server, "rights");
    head_office.declare_topology(&["west"]).unwrap();
    let mut east = connect(&server.url_for("east", "pw", "rights"));
    assert_failure(publish(&mut east, "west", b"forged"), Kind::Permission, "ACCESS_REFUSED", "enroll");
    assert_failure(east.next_bundle("east"), Kind::Permission, "ACCESS_REFUSED", "enroll");
    assert_failure(east.next_receipt("west"), Kind::Permission, "ACCESS_REFUSED", "enroll");
    assert_failure(east.declare_topology(&["east"]), Kind::Permission, "ACCESS_REFUSED", "enroll");

    publish(&mut east, "east", b"genuine").unwrap();
    head_office.publish_receipt("east", "bundle-7", b"applied").unwrap();
    let receipt = east.next_receipt("east").unwrap().expect("the receipt");
    east.acknowledge(receipt).unwrap();
    assert_eq!(next(&mut head_office, "east").user_id.as_deref(), Some("east"));
}

#[test]
fn a_virtual_host_without_rights_is_a_matter_of_permission() {
    let server = own_broker();
    let address = address(&server.url_for("east", "pw", "full"));
    let result = Broker::connect(&address, &ConnectOptions::default());
    assert_failure(result, Kind::Permission, "refused for user", "set_permissions");
}

#[test]
fn a_message_that_cannot_be_buried_stays_where_it_was() {
    let server = own_broker();
    let mut broker = prepared(&server, "grave");
    publish(&mut broker, "east", b"damaged").unwrap();
    server.control(&["delete_queue", "-p", "grave", "salesync.dead"]).unwrap();
    let delivery = next(&mut broker, "east");
    assert_failure(broker.bury(delivery, "why"), Kind::Configuration, "NO_ROUTE", "salesync init");
    assert_eq!(next_within_seconds(&mut broker, "east").payload, b"damaged");
}

#[test]
fn a_queue_of_another_type_is_explained() {
    let server = own_broker();
    let classic = r#"rabbit_amqqueue:declare(rabbit_misc:r(<<"other-type">>, queue, <<"salesync.bundles.east">>),
        true, false, [], none, <<"test">>)."#;
    server.control(&["eval", classic]).unwrap();
    let result = connect(&server.url("other-type")).declare_topology(&["east"]);
    assert_failure(result, Kind::Configuration, "inequivalent arg", "delete it");
}

#[test]
fn a_line_that_goes_silent_costs_no_more_than_the_deadline() {
    let server = own_broker();
    prepared(&server, "silent");
    let line = Line::to(&server.url("silent"));
    let mut broker = Broker::connect(&address(line.url()), &impatient()).unwrap();
    publish(&mut broker, "east", b"before").unwrap();
    let delivery = next(&mut broker, "east");

    line.breaks_after(100_000, BOTH_WAYS, Break::Silence);
    takes_seconds(|| {
        let upload = publish(&mut broker, "east", &vec![7; 1_000_000]);
        assert_failure(upload, Kind::Unreachable, "did not answer within", "again");
        assert_failure(broker.acknowledge(delivery), Kind::Unreachable, "did not answer within", "again");
        assert_failure(broker.next_receipt("east"), Kind::Unreachable, "did not answer within", "again");
        drop(broker);
    });
    // The broker would wait for the next heartbeats.
    drop(line);
    let mut broker = connect(&server.url("silent"));
    let delivery = next_within_seconds(&mut broker, "east");
    assert_eq!(delivery.payload, b"before");
    broker.acknowledge(delivery).unwrap();
    assert!(broker.next_bundle("east").unwrap().is_none(), "of the cut upload nothing is kept");
}

#[test]
fn a_line_hung_up_in_the_middle_of_a_message_is_noticed_at_once() {
    let server = own_broker();
    let mut local = prepared(&server, "hung-up");
    publish(&mut local, "east", &vec![7; 4_000_000]).unwrap();
    let line = Line::to(&server.url("hung-up"));
    let mut broker = connect(line.url());
    line.breaks_after(1_000_000, BOTH_WAYS, Break::HangUp);
    takes_seconds(|| {
        assert_failure(broker.next_bundle("east"), Kind::Unreachable, "connection", "again");
        assert!(!broker.is_connected());
        assert_failure(publish(&mut broker, "east", b""), Kind::Unreachable, "connection", "again");
    });
    assert_eq!(next_within_seconds(&mut local, "east").payload.len(), 4_000_000);
}

#[test]
fn a_message_with_unreadable_properties_costs_the_connection_but_no_time() {
    let server = own_broker();
    prepared(&server, "unreadable");
    // A message id that is not UTF-8, as another client could set it.
    let forge = r#"rabbit_basic:publish(rabbit_basic:delivery(false, false,
        rabbit_basic:message(rabbit_misc:r(<<"unreadable">>, exchange, <<"salesync.bundles">>), <<"east">>,
            [{message_id, <<255, 254>>}, {delivery_mode, 2}], <<"body">>), undefined))."#;
    server.control(&["eval", forge]).unwrap();
    let mut broker = connect(&server.url("unreadable"));
    takes_seconds(|| {
        assert_failure(broker.next_bundle("east"), Kind::Damaged, "cannot be read", "properties");
    });
    assert!(!broker.is_connected());
}

#[test]
fn a_broker_killed_is_told_and_has_kept_what_it_confirmed() {
    let mut server = own_broker();
    let url = server.url("killed");
    let mut broker = prepared(&server, "killed");
    publish(&mut broker, "east", b"confirmed").unwrap();
    let delivery = next(&mut broker, "east");
    server.kill();
    takes_seconds(|| {
        assert_failure(broker.acknowledge(delivery), Kind::Unreachable, "", "comes again");
        assert_failure(publish(&mut broker, "east", b"lost"), Kind::Unreachable, "connection", "again");
        assert_failure(broker.next_bundle("east"), Kind::Unreachable, "connection", "again");
        assert!(!broker.is_connected());
        broker.close();
        let again = Broker::connect(&address(&url), &ConnectOptions::default());
        assert_failure(again, Kind::Unreachable, "nothing listens", "again");
    });
    server.start_again().unwrap();
    assert_eq!(next_within_seconds(&mut connect(&url), "east").payload, b"confirmed");
}
