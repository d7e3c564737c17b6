//! Bundles that are handed over as they come.

use std::time::Duration;

use salesync::broker::{Broker, Delivery};
use salesync::domain::Kind;
use salesync::sandbox::wait_until;

use super::{assert_failure, prepared, publish};

/// Longer than anything takes, and never waited for in vain.
const SOON: Duration = Duration::from_mins(1);
/// Long enough for a message that must not come, to come.
const MOMENT: Duration = Duration::from_millis(300);

/// The next one handed over; the end of a subscription in between is nothing.
fn handed_over(broker: &mut Broker) -> Delivery {
    for _ in 0..3 {
        if let Some(delivery) = broker.wait_for_bundle(SOON).unwrap() {
            return delivery;
        }
    }
    panic!("nothing was handed over");
}

#[test]
fn a_branch_is_handed_over_four_bundles_at_a_time() {
    let (mut broker, _) = prepared(&["east", "west"]);
    let payloads = [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"];
    for payload in payloads {
        publish(&mut broker, "east", payload).unwrap();
        publish(&mut broker, "west", payload).unwrap();
    }
    assert!(broker.wait_for_bundle(MOMENT).unwrap().is_none());
    for branch in ["east", "west"] {
        assert!(!broker.is_subscribed(branch));
        broker.subscribe(branch).unwrap();
        assert!(broker.is_subscribed(branch));
    }
    let mut order = Vec::new();
    for _ in 0..2 {
        let eight = [(); 8].map(|()| handed_over(&mut broker));
        assert!(broker.wait_for_bundle(MOMENT).unwrap().is_none(), "more than four of a branch");
        assert_eq!(eight.iter().filter(|delivery| delivery.branch == "east").count(), 4);
        for delivery in eight {
            assert!(delivery.is_answerable());
            order.push((delivery.branch.clone(), delivery.payload.clone()));
            broker.acknowledge(delivery).unwrap();
        }
    }
    for branch in ["east", "west"] {
        let own = order.iter().filter(|(of, _)| of == branch).map(|(_, payload)| payload.as_slice());
        assert_eq!(own.collect::<Vec<_>>(), payloads);
        assert_eq!(broker.queue_depth(branch).unwrap(), Some(0));
    }
    publish(&mut broker, "west", b"later").unwrap();
    assert_eq!(handed_over(&mut broker).payload, b"later");
}

#[test]
fn a_branch_with_much_to_say_does_not_keep_another_waiting() {
    let (mut broker, _) = prepared(&["east", "west"]);
    for branch in ["east", "west"] {
        publish(&mut broker, branch, b"1").unwrap();
        publish(&mut broker, branch, b"2").unwrap();
        broker.subscribe(branch).unwrap();
    }
    let first = handed_over(&mut broker);
    let branch = first.branch.clone();
    broker.acknowledge(first).unwrap();
    // Its next one is here as well by now.
    wait_until(SOON, "the next one", || Ok((broker.queue_depth(&branch)? == Some(0)).then_some(()))).unwrap();
    assert_ne!(handed_over(&mut broker).branch, branch);
}

#[test]
fn the_end_of_one_subscription_costs_the_others_nothing() {
    let (mut broker, _) = prepared(&["east", "west"]);
    broker.subscribe("east").unwrap();
    broker.subscribe("west").unwrap();
    let missing = broker.subscribe("nobody");
    assert_failure(missing, Kind::Configuration, "salesync.bundles.nobody", "salesync init");
    publish(&mut broker, "east", b"kept").unwrap();
    let kept = handed_over(&mut broker);
    broker.unsubscribe("west");
    publish(&mut broker, "west", b"of nobody").unwrap();
    assert!(broker.wait_for_bundle(MOMENT).unwrap().is_none());
    assert!(broker.is_connected() && broker.is_subscribed("east") && kept.is_answerable());
    broker.acknowledge(kept).unwrap();

    // What was handed over and not answered comes again.
    broker.subscribe("west").unwrap();
    let unanswered = handed_over(&mut broker);
    broker.unsubscribe("west");
    drop(unanswered);
    broker.subscribe("west").unwrap();
    let again = handed_over(&mut broker);
    assert_eq!((again.payload.as_slice(), again.redelivered), (&b"of nobody"[..], true));
    broker.acknowledge(again).unwrap();
}
