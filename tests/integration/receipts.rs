//! Head office's answers, and what the branch does with them.

use crate::company::Company;

#[test]
fn a_receipt_proves_the_bundle_and_lets_the_log_forget() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    east.sell("Pens");
    company.sync();
    // The second run brought the receipt of the first bundle.
    assert_eq!(
        east.value("SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle"),
        "applied,published"
    );
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "1");

    let settled = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(settled["receipts"], 1);
    assert_eq!(
        east.value("SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle"),
        "applied,applied"
    );
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 2);

    // What was pruned is missed by nobody.
    east.sell("Paper");
    east.sql("DELETE FROM public.sales WHERE product = 'Ink'; UPDATE public.sales SET region = 'West' WHERE product = 'Pens'");
    company.sync();
    company.assert_equal("public.sales");
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.incident"), "0");
}

#[test]
fn the_log_keeps_what_head_office_has_not_applied() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    company.sync();
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "2");
    east.run(&["bundle", "--since", "1"]).ok();
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    east.run(&["bundle", "--since", "1"]).exits(2).says(&["has forgotten", "--since all"]);
}

#[test]
fn a_duplicate_is_answered_again_and_a_held_bundle_is_told() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    for product in ["Ink", "Pens", "Paper"] {
        east.sell(product);
        east.run(&["bundle", "--offline"]).ok();
    }
    let files = east.bundles();
    company.head_office.run(&["apply", files[0].to_str().unwrap()]).ok();
    company.head_office.run(&["apply", files[2].to_str().unwrap()]).exits(3);
    // The receipts of files wait for a broker.
    company.head_office.run(&["apply"]).ok();
    east.run(&["bundle"]).exits(3);
    let states = "SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle";
    assert_eq!(east.value(states), "applied,published,held");
    // The bundles come again by the queue; the missing one lets the held one in.
    company.head_office.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value(states), "applied,applied,applied");
    company.assert_equal("public.sales");
}
