//! Decisions, requests and changes of head office's tables that cross each other.

use std::fs;

use serde_json::{Value, json};

use crate::company::{Company, Node, SALES};
use crate::decisions::{sell_many, waiting, with_sales};
use crate::requests::{lose_the_next, requests};

/// Whoever applies is at work elsewhere until this is dropped.
pub fn apply_is_busy(head: &Node) -> postgres::Client {
    let mut client = head.client();
    client.query("SELECT pg_advisory_lock(x'73616c65'::int, 3)", &[]).unwrap();
    client
}

fn first_hold(report: &Value) -> (&str, &str) {
    let waiting = &report["waiting"][0];
    (waiting["hold"].as_str().unwrap(), waiting["reason"].as_str().unwrap())
}

#[test]
fn a_rejection_that_comes_too_late_does_not_touch_what_was_applied() {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql("ALTER TABLE public.sales ALTER qty TYPE bigint");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    // Two people decide while nobody can carry it out.
    let busy = apply_is_busy(head);
    head.sql("ALTER TABLE public.sales ALTER qty TYPE bigint");
    let told = head.run(&["retry", "east"]).ok().stdout();
    assert_eq!(told, "recorded; the running apply carries it out\n");
    head.run(&["reject", "east", "2", "--reason", "wrong button"]).ok();
    drop(busy);
    head.run(&["apply"]).ok().says(&["what was decided could not be done", "it is not held any more"]);
    company.assert_equal("public.sales");
    assert_eq!(head.bundles().len(), 2, "what was applied stays in the archive");
    let trouble = "SELECT trouble LIKE '%not held any more%' FROM salesync.decision WHERE verdict = 'reject'";
    assert_eq!(head.value(trouble), "true");
    head.run(&["status", "--check"]).ok();
    east.run(&["bundle"]).ok();
}

#[test]
fn the_last_word_on_a_cut_counts() {
    let company = with_sales(2000);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql("DELETE FROM public.sales");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    let busy = apply_is_busy(head);
    head.run(&["approve", "east", "2"]).ok();
    head.run(&["reject", "east", "2", "--reason", "wrong button"]).ok();
    drop(busy);
    let report = head.run(&["apply", "--json"]).exits(3).json();
    assert!(report["rejected"][0]["reason"].as_str().unwrap().ends_with("wrong button"), "{report}");
    // Nor does it pass when it comes again.
    east.run(&["resend", "2"]).exits(3);
    assert_eq!(first_hold(&head.run(&["apply", "--json"]).exits(3).json()).0, "deletion");
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "2000");
    head.run(&["approve", "east", "2"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn whoever_approves_a_change_of_the_schema_has_not_approved_a_deletion() {
    let company = with_sales(2000);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql("ALTER TABLE public.sales DROP COLUMN tax; DELETE FROM public.sales");
    east.run(&["bundle"]).ok();
    let report = head.run(&["apply", "--json"]).exits(3).json();
    assert_eq!(first_hold(&report).0, "schema");
    let report = head.run(&["approve", "east", "2", "--json"]).exits(3).json();
    let (hold, reason) = first_hold(&report);
    assert!(hold == "deletion" && reason.contains("would delete 2000 of east's 2000 rows"), "{report}");
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "2000");
    // Trying again is no approval, and whoever tries is told.
    let report = head.run(&["retry", "east", "--json"]).exits(3).json();
    assert_eq!(first_hold(&report).0, "deletion");
    head.run(&["approve", "east", "2"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "0");
    head.run(&["status", "--check"]).ok();
}

#[test]
fn rows_that_a_cut_adds_do_not_make_up_for_those_that_it_deletes_in_a_later_part() {
    let company = with_sales(2000);
    let (east, head) = (company.branch(), &company.head_office);
    let options = format!("{SALES}[bundle]\nmax_bytes = \"64 KiB\"\n");
    east.configure("role = \"branch\"", &company.broker_url, &options);
    east.sql("UPDATE public.sales SET product = 'old'");
    company.sync();
    sell_many(east, 12000);
    east.sql(
        "UPDATE public.sales SET product = md5(id::text) WHERE product <> 'old';
         DELETE FROM public.sales WHERE product = 'old'",
    );
    east.run(&["bundle"]).ok();
    let report = head.run(&["apply", "--json"]).exits(3).json();
    assert!(report["applied"].as_array().unwrap().len() > 1, "several parts come before it: {report}");
    let (hold, reason) = first_hold(&report);
    assert!(hold == "deletion" && reason.contains("of east's 2000 rows"), "{report}");
    let number = waiting(head)[0]["sequence"].to_string();
    head.run(&["approve", "east", &number]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn changes_of_a_table_that_head_office_has_lost_wait_until_all_of_it_comes() {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    head.sql("DROP TABLE public.sales");
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    let report = head.run(&["apply", "--json"]).exits(3).json();
    let (hold, reason) = first_hold(&report);
    assert_eq!(hold, "schema");
    assert!(reason.contains("table public.sales: head office has lost it"), "{reason}");
    assert_eq!(head.value("SELECT to_regclass('public.sales')"), "", "nothing was made of it");
    // That it still waits is not told again, to nobody.
    head.run(&["apply"]).ok();
    let told = "SELECT count(*) || ' ' || (SELECT count(*) FROM salesync.receipt WHERE outcome = 'held')
                FROM salesync.delivery WHERE outcome = 'held'";
    assert_eq!(head.value(told), "1 1");
    head.run(&["request", "east", "--full"]).ok();
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    head.run(&["status", "--check"]).ok();
}

#[test]
fn a_column_that_is_new_again_is_not_mixed_with_its_earlier_values() {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql("ALTER TABLE public.sales DROP COLUMN region; UPDATE public.sales SET product = 'a'");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    head.sql("ALTER TABLE public.sales ALTER region DROP NOT NULL");
    head.run(&["approve", "east", "2"]).ok();
    east.sql(
        "ALTER TABLE public.sales ADD COLUMN region text; UPDATE public.sales SET product = 'b' WHERE id = 1",
    );
    east.run(&["bundle"]).ok();
    let report = head.run(&["apply", "--json"]).exits(3).json();
    let (hold, reason) = first_hold(&report);
    assert_eq!(hold, "schema");
    assert!(reason.contains("\"region\": it is new at the branch"), "{reason}");
    head.run(&["request", "east", "--full"]).ok();
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    // A column that head office has made beforehand, and that is empty, is the branch's.
    head.sql("ALTER TABLE public.sales ADD COLUMN note text");
    east.sql("ALTER TABLE public.sales ADD COLUMN note text");
    east.sql("UPDATE public.sales SET note = 'x' WHERE id = 1");
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn a_request_to_a_branch_that_has_never_been_heard_of_is_answered_by_its_bundle() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    lose_the_next(&company, 0);
    head.run(&["request", "east", "--resend", "1"]).ok();
    assert_eq!(requests(head), json!([{"wanted": "resend", "first": 1, "last": 1, "sent": true}]));
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    assert_eq!(requests(head), json!([]));
}

#[test]
fn a_bundle_that_came_before_a_request_was_sent_is_not_its_answer() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    head.configure("role = \"head-office\"", "amqp://guest:guest@127.0.0.1:1/x", "[branches.east]\n");
    head.run(&["request", "east", "--sync-now"]).ok();
    head.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    // This morning's bundle is taken from the queue before the request leaves.
    head.run(&["apply"]).ok();
    assert_eq!(requests(head)[0]["sent"], json!(true));
    let sent = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(sent["bundles"][0]["sequence"], 2, "the branch has heard of it: {sent}");
    head.run(&["apply"]).ok();
    assert_eq!(requests(head), json!([]));
}

#[test]
fn a_rejected_bundle_counts_once_however_often_it_is_tried_and_one_whose_file_is_gone_is_named() {
    let company = with_sales(1);
    let (east, head) = (company.branch(), &company.head_office);
    head.sql("ALTER TABLE public.sales ADD CONSTRAINT no_pens CHECK (product <> 'Pens')");
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    head.run(&["retry", "east"]).exits(3);
    head.run(&["retry", "east"]).exits(3);
    assert_eq!(head.run(&["status", "--json"]).ok().json()["branches"][0]["rejected"], 1);

    head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_pens");
    fs::remove_dir_all(head.folder.join("bundles/_rejected")).unwrap();
    head.run(&["retry", "east"]).ok().says(&["`salesync request east --resend 2` brings it again"]);
    head.run(&["request", "east", "--resend", "2"]).ok();
    east.run(&["bundle"]).exits(3);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    head.run(&["status", "--check"]).ok();
}

#[test]
fn a_wider_key_at_head_office_takes_ranges_and_changes_alike() {
    let options =
        "[bundle]\nmax_bytes = \"64 KiB\"\n[[table]]\nname = \"public.t\"\n[[table]]\nname = \"public.u\"\n";
    let company = Company::new(&["east", "west"], options);
    let head = &company.head_office;
    head.run(&["init"]).ok();
    for branch in &company.branches {
        branch.sql(
            "CREATE TABLE public.t (code varchar(12) PRIMARY KEY, price numeric(12,2), noise text);
             CREATE TABLE public.u (id integer PRIMARY KEY, code varchar(12), noise text);
             INSERT INTO public.t SELECT CASE n % 3 WHEN 0 THEN 'ä' WHEN 1 THEN 'Z' ELSE 'a-' END || n, n / 7.0,
                    md5(n::text) || md5((-n)::text) FROM generate_series(1, 3000) n;
             INSERT INTO public.u SELECT n - 1500, 'x', md5(n::text) || md5((-n)::text) FROM generate_series(1, 3000) n",
        );
        branch.run(&["init"]).ok();
    }
    company.sync();
    head.sql(
        "ALTER TABLE public.t ALTER code TYPE text, ALTER price TYPE numeric;
         ALTER TABLE public.u ALTER id TYPE bigint, ALTER code TYPE varchar(40)",
    );
    let east = &company.branches[0];
    for since in ["last", "all", "last"] {
        east.sql(
            "DELETE FROM public.t WHERE random() < 0.05; DELETE FROM public.u WHERE random() < 0.05;
             UPDATE public.t SET price = price + 0.10 WHERE random() < 0.1;
             UPDATE public.u SET id = id + 100000 WHERE random() < 0.02",
        );
        east.run(&["bundle", "--since", since]).ok();
        head.run(&["apply"]).ok();
        company.assert_equal("public.t");
        company.assert_equal("public.u");
    }
}
