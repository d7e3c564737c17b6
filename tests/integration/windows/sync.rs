//! `sync`: everything to head office, and its answer.

use crate::company::{Company, SALES};
use crate::running::Running;

#[test]
fn sync_ends_well_only_when_head_office_has_applied_everything() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.configure("role = \"branch\"", "amqp://salesync:sandbox@127.0.0.1:1/none", SALES);
    let away = east.run(&["sync", "--json"]).exits(75).says(&["connecting to", "safe in the archive"]).json();
    assert_eq!((&away["pending"], &away["proven"]), (&1.into(), &0.into()));
    east.configure("role = \"branch\"", &company.broker_url, SALES);

    // Nobody is at work there.
    let silent = east
        .run(&["sync", "--wait", "1s", "--json"])
        .exits(75)
        .says(&["1 of 1 bundles not answered within 1s"]);
    assert_eq!(silent.json()["bundles"][0]["state"], "published");
    let follower = Running::start(head, &["apply", "--follow"]);
    super::arrives(&company, east);
    east.sell("Pens");
    let proven = east.run(&["sync", "--wait", "1m", "--json"]).ok().json();
    assert_eq!((&proven["proven"], &proven["bundles"][0]["state"]), (&1.into(), &"applied".into()));
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 2);
    let idle = east.run(&["sync", "--json"]).ok().json();
    assert_eq!((&idle["proven"], &idle["bundles"]), (&0.into(), &serde_json::json!([])));

    head.sql("ALTER TABLE public.sales ADD CHECK (product <> 'Forbidden')");
    east.sell("Forbidden");
    let run = east.run(&["sync", "--wait", "1m", "--json"]).exits(3);
    assert_eq!(run.json()["unapplied"][0]["state"], "rejected");
    follower.stops().ok();
}

#[test]
fn what_is_sealed_goes_though_the_cut_has_failed() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.run(&["bundle", "--offline"]).ok();
    east.sql("ALTER TABLE public.sales DISABLE TRIGGER salesync_update");
    let applier = Running::start(head, &["apply", "--follow"]);
    let run = east.run(&["sync", "--wait", "1m", "--json"]).exits(1).says(&["salesync_update is missing"]);
    assert_eq!((&run.json()["proven"], &run.json()["pending"]), (&1.into(), &0.into()));
    applier.stops().ok();
}
