//! The line is down: bundles wait on disk, and go when it is back.

use crate::company::{Company, SALES};

#[test]
fn sealed_bundles_wait_for_the_broker_and_go_oldest_first() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");

    east.configure("role = \"branch\"", "amqp://salesync:sandbox@127.0.0.1:1/none", SALES);
    east.run(&["bundle"]).exits(75).says(&["connecting to", "safe in the archive", "is the broker running"]);
    east.sql("UPDATE public.sales SET product = 'Blue ink'");
    let left = east.run(&["bundle", "--json"]).exits(75).json();
    assert_eq!(left["pending"], 2);
    assert_eq!(left["bundles"][0]["state"], "sealed");

    east.configure("role = \"branch\"", &company.broker_url, SALES);
    let sent = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(sent["pending"], 0);
    let sequences: Vec<_> =
        sent["bundles"].as_array().unwrap().iter().map(|b| b["sequence"].as_u64()).collect();
    assert_eq!(sequences, [Some(1), Some(2)]);
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}
