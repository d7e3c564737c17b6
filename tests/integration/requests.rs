//! What head office asks of a branch, and what the branch does about it.

use std::fs;

use serde_json::{Value, json};

use crate::company::{Company, Node};

/// Three bundles of which the second is lost on its way.
pub fn with_a_lost_bundle() -> Company {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    for product in ["Ink", "Pens", "Paper"] {
        east.sell(product);
        east.run(&["bundle"]).ok();
        if product == "Pens" {
            lose_the_next(&company, 1);
        }
    }
    company
}

/// The message that is `behind` others in the queue of east is lost.
pub fn lose_the_next(company: &Company, behind: usize) {
    let mut broker = company.broker();
    let mut messages: Vec<_> = (0..=behind).map(|_| broker.next_bundle("east").unwrap().unwrap()).collect();
    let lost = messages.pop().unwrap();
    broker.acknowledge(lost).unwrap();
    for message in messages {
        broker.return_to_queue(message).unwrap();
    }
    broker.close();
}

pub fn requests(head: &Node) -> Value {
    let mut status = head.run(&["status", "--json"]).ok().json();
    let mut requests = status["branches"][0]["requests"].take();
    for request in requests.as_array_mut().unwrap() {
        request.as_object_mut().unwrap().remove("requested_at");
    }
    requests
}

#[test]
fn a_bundle_that_was_lost_is_asked_for_and_sent_again_by_itself() {
    let company = with_a_lost_bundle();
    let (east, head) = (company.branch(), &company.head_office);
    let report = head.run(&["apply", "--json"]).exits(3).json();
    assert_eq!(report["waiting"][0]["reason"], "bundle 2 of east has not come");
    let asked = json!([{"wanted": "resend", "first": 2, "last": 2, "sent": true}]);
    assert_eq!(requests(head), asked);
    // Nobody asks twice for the same while nothing new has come.
    head.run(&["apply"]).ok();
    assert_eq!(requests(head), asked);

    // The branch has nothing new to say, and answers.
    let sent = east.run(&["bundle", "--json"]).exits(3).json();
    assert_eq!(sent["bundles"][0]["sequence"], 2);
    assert_eq!(sent["bundles"].as_array().unwrap().len(), 1);
    let report = head.run(&["apply", "--json"]).ok().json();
    assert_eq!(report["applied"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(requests(head), json!([]));
    company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
    assert_eq!(east.run(&["bundle", "--json"]).ok().json()["bundles"], json!([]));
}

#[test]
fn a_bundle_that_is_lost_again_is_asked_for_again_when_the_next_one_comes() {
    let company = with_a_lost_bundle();
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["apply"]).exits(3);
    east.run(&["bundle"]).exits(3);
    lose_the_next(&company, 0);
    head.run(&["apply"]).ok();
    assert_eq!(requests(head).as_array().unwrap().len(), 1);
    east.sell("Tape");
    east.run(&["bundle"]).exits(3);
    head.run(&["apply"]).exits(3);
    assert_eq!(requests(head).as_array().unwrap().len(), 2);
    east.run(&["bundle"]).exits(3);
    head.run(&["apply"]).ok();
    assert_eq!(requests(head), json!([]), "one answer serves both");
    company.assert_equal("public.sales");
}

#[test]
fn a_file_that_is_gone_at_the_branch_is_told_once_and_everything_can_be_asked_for() {
    let company = with_a_lost_bundle();
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["apply"]).exits(3);
    let file = &east.bundles()[1];
    fs::remove_file(file).unwrap();
    east.sell("Tape");
    // What is new goes all the same.
    let run = east.run(&["bundle", "--json"]).exits(3);
    run.says(&["salesync: answering head office, which asks for bundle 2 again", "hint: ", "--since all"]);
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(1));
    assert_eq!(east.value("SELECT refusal LIKE '%0000000002.bundle%' FROM salesync.request"), "true");
    head.run(&["apply"]).exits(3);

    let asked =
        head.run(&["request", "east", "--full", "--reason", "the archive is lost", "--json"]).ok().json();
    assert_eq!((&asked["wanted"], &asked["sent"]), (&json!("full"), &json!(true)));
    let sent = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(sent["bundles"][0]["sequence"], 1, "a new epoch");
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    assert_eq!(requests(head), json!([]));
    assert_eq!(head.value("SELECT reason FROM salesync.decision"), "the archive is lost");
    // It was asked for once, and is done once.
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(DISTINCT epoch) FROM salesync.bundle"), "2");
    head.run(&["status", "--check"]).ok();
}

#[test]
fn a_bundle_now_comes_even_if_nothing_has_changed() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    head.run(&["request", "west", "--sync-now"]).exits(2).says(&["west", "hint: "]);
    head.run(&["request", "east"]).exits(2);
    head.run(&["request", "east", "--sync-now", "--full"]).exits(2);
    head.run(&["request", "east", "--sync-now"]).ok();
    let sent = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!((&sent["bundles"][0]["sequence"], &sent["bundles"][0]["rows"]), (&json!(2), &json!(0)));
    let report = head.run(&["apply", "--json"]).ok().json();
    assert_eq!(report["applied"][0]["sequence"], 2);
    assert_eq!(requests(head), json!([]));
    // With changes it is the ordinary bundle.
    head.run(&["request", "east", "--sync-now"]).ok();
    east.sell("Pens");
    assert_eq!(east.run(&["bundle", "--json"]).ok().json()["bundles"].as_array().unwrap().len(), 1);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    head.run(&["request", "east", "--resend", "2..3"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["duplicates"], 2);
    assert_eq!(requests(head), json!([]));
}

#[test]
fn a_request_waits_for_the_broker_and_nonsense_is_passed_over() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    let good = company.broker_url.clone();
    head.configure("role = \"head-office\"", "amqp://guest:guest@127.0.0.1:1/x", "[branches.east]\n");
    head.run(&["request", "east", "--sync-now"]).ok().says(&["goes with the next `salesync apply`"]);
    assert_eq!(requests(head)[0]["sent"], json!(false));
    head.configure("role = \"head-office\"", &good, "[branches.east]\n");
    head.run(&["apply"]).ok();
    assert_eq!(requests(head)[0]["sent"], json!(true));

    let mut broker = company.broker();
    let id = "0196d4a0-0000-7000-8000-000000000000";
    for body in [
        "",
        "{}",
        r#"{"format":"salesync-request/2"}"#,
        r#"{"format":"salesync-request/1","request_id":"0196d4a0-0000-7000-8000-000000000000","branch":"west","wanted":"full","reason":"","requested_at":"2021-05-02T00:00:00Z"}"#,
        r#"{"format":"salesync-request/1","request_id":"0196d4a0-0000-7000-8000-000000000000","branch":"east","wanted":{"resend":{"epoch":null,"first":9,"last":2}},"reason":"","requested_at":"2021-05-02T00:00:00Z"}"#,
    ] {
        broker.publish_request("east", id, body.as_bytes()).unwrap();
    }
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.request WHERE answered_at IS NOT NULL"), "1");
    assert_eq!(east.value("SELECT count(*) FROM salesync.request"), "1");
    assert_eq!(east.value("SELECT count(DISTINCT epoch) FROM salesync.bundle"), "1");
}

#[test]
fn what_is_sealed_goes_though_the_answer_to_a_request_has_to_wait() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    east.sell("Pens");
    east.run(&["bundle", "--offline"]).ok();
    east.sell("Paper");
    head.run(&["request", "east", "--full"]).ok();
    east.sql("ALTER TABLE public.sales DISABLE TRIGGER salesync_update");
    for _ in 0..2 {
        east.run(&["bundle"]).exits(1).says(&["salesync_update is missing or disabled"]);
    }
    // No epoch has begun that could not be cut, neither this way nor by hand.
    east.run(&["bundle", "--since", "all"]).exits(1);
    let epoch_is_old =
        "SELECT epoch = (SELECT min(epoch::text) FROM salesync.bundle)::uuid FROM salesync.node";
    assert_eq!(east.value(epoch_is_old), "true");
    assert_eq!(east.value("SELECT state FROM salesync.bundle WHERE sequence = 2"), "published");
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "2");
    assert_eq!(requests(head).as_array().unwrap().len(), 1, "it is still open");

    east.run(&["init"]).ok();
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    assert_eq!(requests(head), json!([]));
    assert_eq!(east.value("SELECT count(DISTINCT epoch) FROM salesync.bundle"), "2");
}
