//! Receipts and requests: a branch believes head office's own.

use chrono::{SecondsFormat, TimeDelta, Utc};
use salesync::broker::Broker;
use salesync::domain::{Epoch, Request, SigningKey, Wanted};
use serde_json::{Value, json};

use crate::company::Company;
use crate::enrolled::{KEY, enrolled, key_of, know_head_office, public_key};

/// A connection of somebody who may publish whatever he likes, and signs with this key.
fn somebody(company: &Company, key: Option<SigningKey>) -> Broker {
    company.broker().signing_with(key)
}

/// One bundle that head office has applied, and one that it has not; and its answer to the first.
fn one_proven(company: &Company) -> Value {
    let (east, head) = (&company.branches[0], &company.head_office);
    east.sell("Ink");
    company.sync();
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    serde_json::from_str(&head.value("SELECT body FROM salesync.receipt WHERE branch = 'east'")).unwrap()
}

/// The receipt that head office would send for the second bundle.
fn forged_receipt(company: &Company, of_first: &Value) -> String {
    let mut receipt = of_first.clone();
    let second = |column: &str| {
        company.branches[0].value(&format!("SELECT {column} FROM salesync.bundle WHERE sequence = 2"))
    };
    receipt["sequence"] = json!(2);
    receipt["bundle_id"] = json!(second("bundle_id"));
    receipt["manifest_sha256"] = json!(second("manifest_sha256"));
    receipt.to_string()
}

#[test]
fn a_receipt_that_head_office_has_not_signed_proves_nothing_and_prunes_nothing() {
    let company = enrolled(&["east", "west"]);
    let (east, head) = (&company.branches[0], &company.head_office);
    let answer = one_proven(&company);
    let forgery = forged_receipt(&company, &answer);
    let states = "SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle";
    let stranger = SigningKey::generate().unwrap();
    let mut refused = 0;
    let mut is_refused = |key: Option<SigningKey>, words: &str| {
        somebody(&company, key).publish_receipt("east", "x", forgery.as_bytes()).unwrap();
        let run = east.run(&["bundle", "--json"]).exits(3).says(&["is kept and not used", words]);
        assert_eq!((&run.json()["refused"], &run.json()["receipts"]), (&json!(1), &json!(0)));
        assert_eq!(east.value(states), "applied,published");
        assert_eq!(
            east.value("SELECT count(*) FROM salesync.log_1"),
            "1",
            "the log has forgotten what is not proven"
        );
        refused += 1;
        let kept = east.value("SELECT count(*) FROM salesync.receipt WHERE refusal IS NOT NULL");
        assert_eq!(kept, refused.to_string());
    };
    is_refused(None, "it is not signed");
    is_refused(Some(stranger), "none of those that are known");
    is_refused(Some(key_of(&company.branches[1])), "none of those that are known");
    // Signed by head office, but as a request.
    let as_request = somebody(&company, Some(key_of(head))).publish_request("east", "x", forgery.as_bytes());
    as_request.unwrap();
    east.run(&["bundle"]).ok().says(&["a request cannot be read"]);
    // Head office's own answer does prove it.
    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value(states), "applied,applied");
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    company.assert_equal("public.sales");
}

/// A forged one may say what stops a branch that believes it.
#[test]
fn a_forged_answer_stops_no_branch() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let mut unknown = one_proven(&company);
    unknown["sequence"] = json!(9);
    unknown["clock_skew_ms"] = json!(-86_400_000);
    somebody(&company, None).publish_receipt("east", "x", unknown.to_string().as_bytes()).unwrap();
    somebody(&company, None).publish_receipt("east", "x", b"\0").unwrap();
    east.sell("Paper");
    east.run(&["bundle"]).exits(3).says(&["of bundle 9 is kept and not used", "cannot be read"]);
    let clock = east.run(&["status", "--json"]).ok().json()["clock"]["at_most_ms"].as_i64().unwrap();
    assert!(clock > -86_400_000, "{clock}");
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
}

#[test]
fn a_request_that_head_office_has_not_signed_is_not_followed() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    one_proven(&company);
    let epoch = |node: &str| east.value(&format!("SELECT epoch FROM salesync.{node}"));
    let before = epoch("node");
    let request = Request::new("east".parse().unwrap(), Wanted::Full, "forged".to_owned());
    let (id, body) = (request.request_id.to_string(), serde_json::to_string(&request).unwrap());
    for key in [None, Some(SigningKey::generate().unwrap())] {
        somebody(&company, key).publish_request("east", &id, body.as_bytes()).unwrap();
        east.run(&["bundle"]).exits(3).says(&["a request for every table whole is kept and not followed"]);
        assert_eq!(epoch("node"), before);
    }
    assert_eq!(east.value("SELECT count(*) FROM salesync.request WHERE refusal IS NOT NULL"), "2");
    // Head office may mean the same, under the same id.
    somebody(&company, Some(key_of(head))).publish_request("east", &id, body.as_bytes()).unwrap();
    east.run(&["bundle"]).ok();
    assert!(epoch("node").parse::<Epoch>().unwrap() > before.parse().unwrap());
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn head_offices_key_is_changed_as_a_branchs_is() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let old = public_key(head);
    east.sell("Ink");
    company.sync();
    std::fs::remove_file(head.folder.join(KEY)).unwrap();
    head.run(&["keygen"]).ok();
    let new = public_key(head);
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    company.sync();
    east.run(&["bundle"]).exits(3).says(&["none of those that are known"]);
    let [past, future] = [-1, 60]
        .map(|minutes| (Utc::now() + TimeDelta::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Secs, true));
    let keys = |end: &str| {
        format!("public_keys = [{{ key = \"{old}\", revoked_at = {end} }}, {{ key = \"{new}\" }}]\n")
    };
    know_head_office(&company, east, &keys(&future));
    // What was refused is asked for again.
    east.run(&["resend", "2"]).ok();
    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    know_head_office(&company, east, &keys(&past));
    east.sell("Paper");
    company.sync();
    east.run(&["bundle"]).ok();
    company.assert_equal("public.sales");
    // Whoever had the old key may have made the branch forget what head office never had.
    head.sql("DELETE FROM public.sales WHERE product = 'Paper'");
    head.run(&["request", "east", "--full"]).ok();
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_branch_that_knows_no_key_of_head_office_takes_answers_as_ever() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    assert_eq!(east.run(&["bundle", "--json"]).ok().json()["receipts"], 1);
    assert_eq!(east.value("SELECT signature FROM salesync.receipt"), "");
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
}
