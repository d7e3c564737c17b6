//! The store-day board: what its words mean, that its sums are exact, and a day looked at anew.

use std::collections::BTreeMap;

use super::site::{Page, Site};
use crate::company::{Company, Node, SALES};

fn sell(branch: &Node, days_ago: i32) {
    branch.sql(&format!(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES (now()::date - {days_ago}, 'East', 'Ink', 1, 10.00, 10.00, 0.70, 10.70)"
    ));
}

fn day(head: &Node, days_ago: i32) -> String {
    head.value(&format!("SELECT now()::date - {days_ago}"))
}

/// Of each branch and day: state, rows, amount, why.
fn cells(site: &Site, query: &str) -> BTreeMap<(String, String), [String; 4]> {
    let page = site.get(&format!("/days.csv{query}")).is(200);
    assert!(page.header("content-disposition").starts_with("attachment; filename=\"days-"));
    let mut reader = csv::Reader::from_reader(page.text.as_bytes());
    let records = reader.records().map(Result::unwrap);
    let text = |record: &csv::StringRecord, index: usize| record[index].to_owned();
    records.map(|record| ((text(&record, 1), text(&record, 2)), [3, 4, 5, 6].map(|index| text(&record, index)))).collect()
}

/// The states of a branch's last days, today's first.
fn states(site: &Site, branch: &str, count: usize) -> Vec<String> {
    let cells = cells(site, "").into_iter().filter(|((name, _), _)| name == branch);
    let mut states: Vec<String> = cells.map(|(_, [state, ..])| state).collect();
    states.reverse();
    states.truncate(count);
    states
}

/// Head office's data of every branch is so many days older than it was.
fn age(head: &Node, days: u32) {
    head.sql(&format!(
        "UPDATE salesync.branch SET data_as_of = data_as_of - make_interval(days => {days}),
                last_applied_at = last_applied_at - make_interval(days => {days})"
    ));
}

#[test]
fn a_day_is_complete_only_if_the_change_set_was_made_after_it_was_over() {
    let company = Company::of_sales(&["east", "new"]);
    let head = &company.head_office;
    sell(&company.branches[0], 0);
    sell(&company.branches[0], 1);
    sell(&company.branches[0], 3);
    company.branches[0].run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    let site = Site::of(head);
    assert_eq!(states(&site, "east", 5), ["so far", "complete", "no sales", "complete", "no sales"]);
    assert_eq!(states(&site, "new", 3), ["not yet", "missing", "missing"]);
    age(head, 1);
    // Yesterday's figures are there, but yesterday was not over when the branch said them.
    assert_eq!(states(&site, "east", 4), ["so far", "partial", "no sales", "complete"]);
    age(head, 2);
    assert_eq!(states(&site, "east", 5), ["so far", "partial", "missing", "partial", "no sales"]);
    head.configure(
        "role = \"head-office\"",
        &company.broker_url,
        "[branches.east]\nexpect_every = \"26h\"\n[branches.new]\n",
    );
    let site = Site::of(head);
    assert_eq!(states(&site, "east", 5), ["so far", "partial", "late", "partial", "no sales"]);
    assert_eq!(states(&site, "new", 2), ["not yet", "missing"]);
    site.get("/days").is(200).shows(&["The rest of the day has yet to come.", "<dt class=\"ok\">complete</dt>"]);
}

#[test]
fn while_bundles_wait_no_day_is_complete() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    sell(east, 1);
    company.sync();
    let site = Site::of(head);
    assert_eq!(states(&site, "east", 2), ["no sales", "complete"][..].iter().map(|_| String::new()).collect::<Vec<_>>());
}

#[test]
fn in_the_middle_of_a_cut_no_day_is_complete() {
    let options = format!("[bundle]\nmax_bytes = \"64 KiB\"\n{SALES}");
    let company = Company::new(&["east"], &options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    sell(east, 1);
    company.sync();
    let site = Site::of(head);
    let yesterday = format!("/days/east/{}", day(head, 1));
    assert_eq!(states(&site, "east", 2), ["not yet", "complete"].map(|_| String::new()));
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT now()::date - 1, md5(n::text), md5((-n)::text), 1, 1, 1, 0, 1 FROM generate_series(1, 4000) n",
    );
    east.run(&["bundle", "--offline"]).ok();
    let parts = east.bundles();
    head.run(&["apply", parts[1].to_str().unwrap()]).ok();
    site.get(&yesterday).is(200).shows(&["not compared", "a part of a change set has yet to come"]);
}
