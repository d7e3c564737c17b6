//! What `salesync::broker` promises, against a real `RabbitMQ`.

mod handed_over;
mod trouble;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use salesync::broker::{Broker, BrokerAddress, ConnectOptions, Deadlines, Delivery, OutgoingBundle};
use salesync::domain::{Failure, Kind};

use crate::servers::{control_broker, fresh_vhost};

const EPOCH: &str = "0190a6a0-0000-7000-8000-000000000000";
const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn address(url: &str) -> BrokerAddress {
    BrokerAddress::parse(url).unwrap()
}

fn connect(url: &str) -> Broker {
    Broker::connect(&address(url), &ConnectOptions::default()).unwrap()
}

/// A broker with the queues of these branches, and its address.
fn prepared(branches: &[&str]) -> (Broker, String) {
    let url = fresh_vhost();
    let mut broker = connect(&url);
    broker.declare_topology(branches).unwrap();
    (broker, url)
}

fn bundle<'a>(branch: &'a str, bundle_id: &'a str, payload: &'a [u8]) -> OutgoingBundle<'a> {
    OutgoingBundle { branch, bundle_id, epoch: EPOCH, sequence: 7, manifest_sha256: DIGEST, payload }
}

fn publish(broker: &mut Broker, branch: &str, payload: &[u8]) -> Result<(), Failure> {
    broker.publish_bundle(&bundle(branch, "bundle-7", payload))
}

fn next(broker: &mut Broker, branch: &str) -> Delivery {
    broker.next_bundle(branch).unwrap().expect("a message in the queue")
}

/// What came back to the queue when a channel or connection ended comes a moment after that.
fn next_within_seconds(broker: &mut Broker, branch: &str) -> Delivery {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(delivery) = broker.next_bundle(branch).unwrap() {
            return delivery;
        }
        assert!(Instant::now() < deadline, "the message did not come back");
        std::thread::yield_now();
    }
}

fn assert_failure(result: Result<impl Sized, Failure>, kind: Kind, why: &str, hint: &str) {
    let failure = result.err().expect("a failure");
    assert_eq!(failure.kind(), kind, "{failure}");
    assert!(failure.to_string().contains(why), "{failure}");
    assert!(failure.advice().is_some_and(|advice| advice.contains(hint)), "{failure:?}");
}

#[test]
fn a_bundle_arrives_as_it_was_published_and_once_acknowledged_never_again() {
    let (mut broker, url) = prepared(&["east"]);
    let payload: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    publish(&mut broker, "east", &payload).unwrap();
    assert_eq!(broker.queue_depth("east").unwrap(), Some(1));

    let delivery = next(&mut broker, "east");
    assert_eq!(delivery.payload, payload);
    assert_eq!(delivery.branch, "east");
    assert_eq!(delivery.message_id.as_deref(), Some("bundle-7"));
    assert_eq!(delivery.user_id.as_deref(), Some(broker.user()));
    assert_eq!(delivery.message_type.as_deref(), Some("salesync-bundle/1"));
    assert_eq!(delivery.headers.branch.as_deref(), Some("east"));
    assert_eq!(delivery.headers.epoch.as_deref(), Some(EPOCH));
    assert_eq!(delivery.headers.sequence, Some(7));
    assert_eq!(delivery.headers.manifest_sha256.as_deref(), Some(DIGEST));
    assert_eq!((delivery.redelivered, delivery.remaining), (false, 0));

    broker.acknowledge(delivery).unwrap();
    assert!(broker.next_bundle("east").unwrap().is_none());
    broker.close();
    let mut broker = connect(&url);
    assert!(broker.next_bundle("east").unwrap().is_none());
    assert_eq!(broker.queue_depth("east").unwrap(), Some(0));
    assert_eq!(broker.queue_depth("nobody").unwrap(), None);
}

#[test]
fn an_empty_message_is_a_message() {
    let (mut broker, _) = prepared(&["east"]);
    publish(&mut broker, "east", b"").unwrap();
    let delivery = next(&mut broker, "east");
    assert!(delivery.payload.is_empty());
    broker.acknowledge(delivery).unwrap();
}

#[test]
fn declaring_again_changes_nothing_and_adds_what_is_new() {
    let (mut broker, _) = prepared(&["east"]);
    publish(&mut broker, "east", b"kept").unwrap();
    broker.declare_topology(&["east", "west"]).unwrap();
    assert_eq!(next(&mut broker, "east").payload, b"kept");
    assert_eq!(broker.queue_depth("west").unwrap(), Some(0));
}

#[test]
fn receipts_travel_the_other_way_and_are_told_apart_from_bundles() {
    let (mut broker, _) = prepared(&["east", "west"]);
    broker.publish_receipt("east", "bundle-7", b"applied").unwrap();
    assert!(broker.next_receipt("west").unwrap().is_none());
    assert!(broker.next_bundle("east").unwrap().is_none());
    let receipt = broker.next_receipt("east").unwrap().expect("the receipt");
    assert_eq!(receipt.payload, b"applied");
    assert_eq!(receipt.message_id.as_deref(), Some("bundle-7"));
    assert_eq!(receipt.message_type.as_deref(), Some("salesync-receipt/1"));
    broker.acknowledge(receipt).unwrap();
}

#[test]
fn a_message_that_nobody_answered_for_comes_again() {
    let (mut broker, url) = prepared(&["east"]);
    publish(&mut broker, "east", b"again").unwrap();
    let delivery = next(&mut broker, "east");
    drop((delivery, broker));
    let delivery = next_within_seconds(&mut connect(&url), "east");
    assert_eq!(delivery.payload, b"again");
    assert!(delivery.redelivered);
}

#[test]
fn a_message_given_back_comes_again() {
    let (mut broker, _) = prepared(&["east"]);
    publish(&mut broker, "east", b"later").unwrap();
    let delivery = next(&mut broker, "east");
    broker.return_to_queue(delivery).unwrap();
    let delivery = next_within_seconds(&mut broker, "east");
    assert_eq!(delivery.payload, b"later");
    assert!(delivery.redelivered);
    broker.acknowledge(delivery).unwrap();
    assert!(broker.next_bundle("east").unwrap().is_none());
}

#[test]
fn an_acknowledgement_that_cannot_arrive_is_a_failure_and_the_message_comes_again() {
    let (mut broker, url) = prepared(&["east"]);
    publish(&mut broker, "east", b"unsettled").unwrap();
    let delivery = next(&mut broker, "east");
    lose_connections(&url);
    assert_eq!(broker.acknowledge(delivery).unwrap_err().kind(), Kind::Unreachable);
    let mut again = connect(&url);
    let delivery = next_within_seconds(&mut again, "east");
    assert!(delivery.redelivered);
    again.acknowledge(delivery).unwrap();
}

#[test]
fn an_old_delivery_cannot_answer_for_a_new_one() {
    let (mut broker, url) = prepared(&["east"]);
    publish(&mut broker, "east", b"first").unwrap();
    let stale = next(&mut broker, "east");
    lose_connections(&url);
    // The new channel has the number of the old one, and its first delivery the same tag.
    let mut again = connect(&url);
    let fresh = next_within_seconds(&mut again, "east");
    assert_eq!(again.acknowledge(stale).unwrap_err().kind(), Kind::Unreachable);
    assert_eq!(again.queue_depth("east").unwrap(), Some(0));
    again.return_to_queue(fresh).unwrap();
    assert_eq!(next_within_seconds(&mut again, "east").payload, b"first");
}

#[test]
fn a_queue_that_is_missing_takes_nothing_along_that_was_received_from_another() {
    let (mut broker, _) = prepared(&["east"]);
    publish(&mut broker, "east", b"first").unwrap();
    let delivery = next(&mut broker, "east");
    broker.next_bundle("nobody").unwrap_err();
    assert!(delivery.is_answerable());
    broker.acknowledge(delivery).unwrap();
}

/// The broker ends every connection to this virtual host.
fn lose_connections(url: &str) {
    let vhost = url.rsplit('/').next().unwrap();
    control_broker(&["close_all_connections", "--vhost", vhost, "a test"]);
}

#[test]
fn a_bundle_that_no_queue_takes_is_a_failure() {
    let (mut broker, _) = prepared(&["east"]);
    assert_failure(publish(&mut broker, "west", b"lost?"), Kind::Configuration, "NO_ROUTE", "salesync init");
    // The returned message must not be taken for an answer to the next one.
    publish(&mut broker, "east", b"fine").unwrap();
    assert_failure(
        broker.publish_receipt("west", "bundle-7", b""),
        Kind::Configuration,
        "salesync.receipts",
        "salesync init",
    );
}

#[test]
fn what_was_never_declared_is_explained_and_does_not_stop_the_rest() {
    let url = fresh_vhost();
    let mut broker = connect(&url);
    assert_failure(publish(&mut broker, "east", b""), Kind::Configuration, "no exchange", "salesync init");
    assert_failure(broker.next_bundle("east"), Kind::Configuration, "no queue", "salesync init");
    assert_failure(broker.next_receipt("east"), Kind::Configuration, "no queue", "salesync init");
    broker.declare_topology(&["east"]).unwrap();
    publish(&mut broker, "east", b"fine").unwrap();
    assert_failure(broker.next_bundle("west"), Kind::Configuration, "no queue", "salesync init");
    assert_eq!(next(&mut broker, "east").payload, b"fine");
}

#[test]
fn a_message_larger_than_the_broker_allows_is_a_failure_that_names_limit_and_setting() {
    let (mut broker, _) = prepared(&["east"]);
    let payload = vec![0; 17 * 1024 * 1024];
    assert_failure(
        publish(&mut broker, "east", &payload),
        Kind::Configuration,
        "larger than configured max size 16777216",
        "bundle.max_bytes",
    );
    publish(&mut broker, "east", &payload[..15 * 1024 * 1024]).unwrap();
    assert_eq!(next(&mut broker, "east").payload.len(), 15 * 1024 * 1024);
}

#[test]
fn a_buried_message_is_kept_with_the_reason_and_out_of_the_way() {
    let (mut broker, _) = prepared(&["east"]);
    publish(&mut broker, "east", b"damaged").unwrap();
    let delivery = next(&mut broker, "east");
    broker.bury(delivery, &"checksum of 1/inserts.csv.zst differs ".repeat(20)).unwrap();
    assert!(broker.next_bundle("east").unwrap().is_none());

    let dead = broker.next_dead().unwrap().expect("the dead letter");
    assert_eq!((dead.payload.as_slice(), dead.branch.as_str()), (b"damaged".as_slice(), "east"));
    assert_eq!(dead.message_id.as_deref(), Some("bundle-7"));
    assert_eq!(dead.headers.sequence, Some(7));
    let reason = dead.headers.reason.as_deref().expect("a reason");
    assert!(reason.starts_with("checksum of") && reason.len() <= 200, "{reason}");
}

#[test]
fn a_wrong_password_is_a_matter_of_permission() {
    let url = fresh_vhost();
    let result = Broker::connect(&address(&url).with_password("wrong"), &ConnectOptions::default());
    let failure = result.err().expect("a failure");
    assert!(!format!("{failure:?}").contains("wrong"), "{failure:?}");
    assert_failure(Err::<(), _>(failure), Kind::Permission, "ACCESS_REFUSED", "password");
}

#[test]
fn a_virtual_host_that_does_not_exist_is_a_matter_of_configuration() {
    let address = address(&format!("{}-not", fresh_vhost()));
    assert_failure(
        Broker::connect(&address, &ConnectOptions::default()),
        Kind::Configuration,
        "not found",
        "virtual host",
    );
}

#[test]
fn tls_against_a_plain_port_fails() {
    let url = fresh_vhost().replacen("amqp://", "amqps://", 1);
    assert_failure(
        Broker::connect(&address(&url), &ConnectOptions::default()),
        Kind::Configuration,
        "does not speak TLS",
        "5671",
    );
}

#[test]
fn sales_do_not_cross_a_network_unencrypted() {
    // An address set aside for documentation: nothing is sent there.
    let address = address("amqp://east:secret@192.0.2.1/salesync");
    let result = Broker::connect(&address, &ConnectOptions::default());
    assert_failure(result, Kind::Configuration, "unencrypted", "amqps://");
}

#[test]
fn a_port_where_nothing_listens_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = address(&format!("amqp://east:secret@127.0.0.1:{port}/v"));
    let result = Broker::connect(&address, &ConnectOptions::default());
    assert_failure(result, Kind::Unreachable, "nothing listens", "broker running");
}

#[test]
fn a_server_that_never_says_a_word_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let deadlines = Deadlines { connect: Duration::from_millis(300), ..Deadlines::default() };
    let options = ConnectOptions { deadlines, ..ConnectOptions::default() };
    for scheme in ["amqp", "amqps"] {
        let address = address(&format!("{scheme}://east:secret@127.0.0.1:{port}/v"));
        let begun = Instant::now();
        assert_failure(Broker::connect(&address, &options), Kind::Unreachable, "did not answer", "again");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}
