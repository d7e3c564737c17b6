//! Many branches, and branches that get into each other's way.

use super::{LIMIT, STUCK, applied, comes_to, ends_well, for_each_branch, held_up, with_a_bundle_of_each};
use crate::company::{Company, SALES};
use crate::delivery::enqueue;
use crate::running::Running;
use salesync::sandbox::wait_until;

#[test]
fn many_branches_bundles_are_each_applied_once_and_in_order_whatever_else_comes() {
    const BUNDLES: usize = 3;
    let names: Vec<String> = (1..=21).map(|number| format!("branch-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let company = Company::of_sales(&names);
    let head = &company.head_office;
    for_each_branch(&company, |number, branch| {
        for bundle in 1..=BUNDLES {
            branch.sell(&format!("Ink {bundle}"));
            branch.run(&["bundle"]).ok();
            // What is no bundle stands between those that are.
            if bundle == 1 && number % 7 == 3 {
                enqueue(&company, &branch.name, b"no bundle");
            }
            // One gets lost.
            if bundle == 1 && number % 7 == 5 {
                let mut broker = company.broker();
                let lost = broker.next_bundle(&branch.name).unwrap().unwrap();
                broker.acknowledge(lost).unwrap();
            }
        }
    });
    let report = head.run(&["apply", "--json", "--workers", "4"]).exits(3).json();
    let (gaps, damaged) = (3, 3);
    assert_eq!(report["applied"].as_array().unwrap().len(), (names.len() - gaps) * BUNDLES);
    assert_eq!(report["held"], gaps * (BUNDLES - 1));
    assert_eq!(report["rejected"].as_array().unwrap().len(), damaged);
    // The report is by branch, whoever was first.
    let told: Vec<(&str, u64)> = report["applied"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bundle| (bundle["branch"].as_str().unwrap(), bundle["sequence"].as_u64().unwrap()))
        .collect();
    assert!(told.is_sorted(), "{told:?}");
    let out_of_order = "SELECT count(*) FROM (SELECT sequence < lag(sequence) OVER (PARTITION BY branch ORDER BY delivery_id)
                        FROM salesync.delivery WHERE outcome = 'applied') AS bundle(is_early) WHERE is_early";
    assert_eq!(head.value(out_of_order), "0");
    // What was lost is asked for, and everything comes to rest.
    company.heal();
    company.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).exits_with_any(&[0, 3])));
    company.assert_equal("public.sales");
    let doubled = "SELECT count(*) FROM (SELECT FROM salesync.delivery WHERE outcome = 'applied'
                   GROUP BY branch, sequence HAVING count(*) > 1) AS doubled";
    assert_eq!(head.value(doubled), "0");
}

#[test]
fn with_one_worker_the_branches_take_turns() {
    let company = with_a_bundle_of_each(&["east", "west"]);
    super::bundle_of_each(&company);
    super::bundle_of_each(&company);
    company.head_office.run(&["apply", "--workers", "1"]).ok();
    let order =
        "SELECT string_agg(branch, ' ' ORDER BY delivery_id) FROM salesync.delivery WHERE sequence > 1";
    assert_eq!(company.head_office.value(order), "east west east west east west");
}

#[test]
fn a_lock_that_somebody_holds_on_one_branch_keeps_no_other_waiting() {
    for command in [&["apply", "--workers", "2"][..], &["apply", "--workers", "2", "--follow"]] {
        let (company, locks, applying) = held_up(&["east", "north", "west"], &["east"], command);
        let head = &company.head_office;
        comes_to(head, &applied(&["north", "west"]), "4");
        assert_eq!(head.value(&applied(&["east"])), "1");
        // Answered too.
        let mut broker = company.broker();
        wait_until(LIMIT, "the other branches' answers", || {
            let is_answered =
                broker.queue_depth("west")? == Some(0) && broker.queue_depth("north")? == Some(0);
            let receipts = "SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL";
            Ok((is_answered && head.value(receipts) == "0").then_some(()))
        })
        .unwrap();
        drop(locks);
        comes_to(head, &applied(&["east"]), "2");
        ends_well(applying, command);
        assert_eq!(head.run(&["apply", "--json"]).ok().json()["duplicates"], 0);
        company.assert_equal("public.sales");
    }
}

#[test]
fn a_follower_that_is_asked_to_stop_waits_for_the_bundles_under_way_and_answers_for_them() {
    let both = ["east", "west"];
    let (company, locks, daemon) = held_up(&both, &both, &["apply", "--follow", "--workers", "2"]);
    let head = &company.head_office;
    daemon.signal("TERM");
    drop(locks);
    daemon.ends().ok();
    company.assert_equal("public.sales");
    let report = head.run(&["apply", "--json"]).ok().json();
    assert_eq!(
        (report["duplicates"].as_u64(), report["applied"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
}

/// Holds back whoever wants to make a table, without being in the way of anybody who looks.
const NO_NEW_TABLES: &str = "BEGIN; LOCK TABLE pg_catalog.pg_class IN SHARE MODE";

#[test]
fn two_branches_bring_the_same_new_table_and_then_the_same_new_column_at_once() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    let both_wait = |hold: &str| {
        company.branches.iter().for_each(|branch| {
            branch.sell("Ink");
            branch.run(&["bundle"]).ok();
        });
        let mut client = head.client();
        client.batch_execute(hold).unwrap();
        let applying = Running::start(head, &["apply", "--workers", "2"]);
        comes_to(head, STUCK, "2");
        client.batch_execute("COMMIT").unwrap();
        applying.ends().ok();
        company.assert_equal("public.sales");
    };
    both_wait(NO_NEW_TABLES);
    company.branches.iter().for_each(|branch| branch.sql("ALTER TABLE public.sales ADD COLUMN note text"));
    both_wait("BEGIN; SELECT FROM public.sales");
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
}

#[test]
fn branches_whose_rows_wait_for_each_other_at_head_office_are_applied_one_after_the_other() {
    let company = Company::new(&["east", "west"], SALES);
    let head = &company.head_office;
    head.run(&["init"]).ok();
    company.branches.iter().for_each(|branch| drop(branch.run(&["init", "--with-sales"]).ok()));
    company.sync();
    super::bundle_of_each(&company);
    company.head_office.run(&["apply"]).ok();
    // Each branch's bundle takes the two rows in its own order, so that both wait for each other.
    head.sql(
        "CREATE TABLE public.counter (name text PRIMARY KEY, n int NOT NULL); INSERT INTO public.counter VALUES ('east', 0), ('west', 0);
         CREATE FUNCTION public.count_sale() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE public.counter SET n = n + 1 WHERE name = NEW.branch;
             PERFORM pg_advisory_xact_lock_shared(7);
             UPDATE public.counter SET n = n + 1 WHERE name <> NEW.branch;
             RETURN NEW;
         END $$;
         CREATE TRIGGER counting BEFORE INSERT ON public.sales FOR EACH ROW EXECUTE FUNCTION public.count_sale()",
    );
    super::bundle_of_each(&company);
    let mut gate = head.client();
    gate.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(7)").unwrap();
    let applying = Running::start(head, &["apply", "--workers", "2", "-v"]);
    comes_to(head, STUCK, "2");
    gate.batch_execute("COMMIT").unwrap();
    applying.ends().ok().says(&["deadlock detected", "tried again"]);
    company.assert_equal("public.sales");
    assert_eq!(head.value("SELECT string_agg(n::text, ' ') FROM public.counter"), "2 2");
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
}
