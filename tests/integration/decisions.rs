//! What waits for a person at head office, and what people decide.

use serde_json::{Value, json};

use crate::company::{Company, Node, SALES};

/// A branch with so many sales, synced.
pub fn with_sales(count: u32) -> Company {
    let company = Company::of_sales(&["east"]);
    sell_many(company.branch(), count);
    company.sync();
    company
}

pub fn sell_many(branch: &Node, count: u32) {
    branch.sql(&format!(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT date '2021-05-02' + n % 30, 'East', 'Ink', 1, 2, 2, 0.14, 2.14 FROM generate_series(1, {count}) n"
    ));
}

pub fn waiting(head: &Node) -> Vec<Value> {
    let status = head.run(&["status", "--json"]).ok().json();
    status["branches"][0]["waiting"].as_array().unwrap().clone()
}

#[test]
fn a_bundle_that_would_empty_head_office_waits_until_it_is_approved() {
    let company = with_sales(6000);
    let (east, head) = (company.branch(), &company.head_office);
    let before = head.value("SELECT count(*) FROM public.sales");
    // A restore went wrong: hardly anything is left, and a new epoch says so.
    east.sql("TRUNCATE public.sales");
    sell_many(east, 10);
    east.run(&["bundle", "--since", "all"]).ok();
    let report = head.run(&["apply", "--json"]).exits(3).json();
    let reason = "it would delete 6000 of east's 6000 rows in public.sales, more than max_delete_fraction = 0.2 lets pass";
    assert_eq!(
        report["waiting"],
        json!([{"branch": "east", "sequence": 1, "hold": "deletion", "reason": reason}])
    );
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), before);
    // The branch is told, and what comes behind it waits too. None of it is tried again by itself.
    east.sell("Pens");
    let told = east.run(&["bundle", "--json"]).exits(3).json();
    assert_eq!(told["unapplied"], json!([{"sequence": 1, "state": "held", "reason": reason}]));
    let behind = head.run(&["apply", "--json"]).exits(3).json()["waiting"][0].clone();
    assert_eq!((&behind["sequence"], &behind["hold"]), (&json!(2), &json!("gap")));
    assert!(
        behind["reason"].as_str().unwrap().contains("bundle 1 of east is held: it would delete"),
        "{behind}"
    );
    head.run(&["apply"]).ok();
    head.run(&["status", "--check"]).exits(3);
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident WHERE kind = 'held'"), "1");
    assert_eq!(head.value("SELECT count(*) FROM salesync.request"), "0", "nothing is missing");

    head.run(&["approve", "east", "2"]).exits(2).says(&["nothing is to be decided"]);
    head.run(&["approve", "east", "7"]).exits(2).says(&["not held; held: 1, 2"]);
    let approved =
        head.run(&["approve", "east", "1", "--reason", "the shop was closed", "--json"]).ok().json();
    assert_eq!(approved["applied"].as_array().unwrap().len(), 2, "{approved}");
    company.assert_equal("public.sales");
    let decision =
        "SELECT verdict || ' ' || sequence || ': ' || reason FROM salesync.decision WHERE decided_by <> ''";
    assert_eq!(head.value(decision), "approve 1: the shop was closed");
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident WHERE resolved_at IS NULL"), "0");
    head.run(&["status", "--check"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.run(&["status", "--json"]).ok().json()["unproven"], json!([]));
}

#[test]
fn the_parts_of_a_cut_are_one_deletion_and_small_ones_pass() {
    let company = with_sales(6000);
    let (east, head) = (company.branch(), &company.head_office);
    // Under the fraction, and under a thousand rows.
    east.sql("DELETE FROM public.sales WHERE id <= 1100");
    company.sync();
    east.sql("DELETE FROM public.sales WHERE id <= 1500");
    company.sync();
    company.assert_equal("public.sales");
    // Every part of it is small.
    let options = format!("{SALES}[bundle]\nmax_bytes = \"64 KiB\"\n");
    east.configure("role = \"branch\"", &company.broker_url, &options);
    east.sql("ALTER TABLE public.sales ADD COLUMN noise text");
    company.sync();
    east.sql(
        "DELETE FROM public.sales WHERE id > 5500 OR id % 3 = 0;
         UPDATE public.sales SET noise = (SELECT string_agg(md5(id::text || n), '') FROM generate_series(1, 8) n)",
    );
    east.run(&["bundle", "--since", "all"]).ok();
    assert!(
        east.value("SELECT count(*) FROM salesync.bundle JOIN salesync.node USING (epoch)")
            .parse::<u32>()
            .unwrap()
            > 4
    );
    let report = head.run(&["apply", "--json"]).exits(3).json();
    let (applied, first) = (report["applied"].as_array().unwrap(), &report["waiting"][0]);
    assert!(!applied.is_empty(), "the first parts delete few rows: {report}");
    assert_eq!(first["hold"], "deletion");
    // Whoever approves one part approves the cut.
    head.run(&["approve", "east", &first["sequence"].to_string()]).ok();
    assert_eq!(waiting(head), Vec::<Value>::new());
    company.assert_equal("public.sales");
    // The next cut is judged by itself.
    east.sql("DELETE FROM public.sales");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
}

#[test]
fn a_rejected_deletion_is_told_to_the_branch_and_a_new_epoch_goes_on() {
    let company = with_sales(2000);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql("DELETE FROM public.sales");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    head.run(&["reject", "east", "2"]).exits(2);
    let rejected = head.run(&["reject", "east", "2", "--reason", "wrong button", "--json"]).exits(3).json();
    assert!(rejected["rejected"][0]["reason"].as_str().unwrap().ends_with("has rejected it: wrong button"));
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "2000");
    let told = east.run(&["bundle"]).exits(3).stdout();
    assert!(told.contains("wrong button"), "{told}");
    head.run(&["reject", "east", "2", "--reason", "again"])
        .exits(2)
        .says(&["no bundle of this branch is held"]);
    // The rows are put back, and everything is said anew.
    sell_many(east, 1900);
    east.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).exits(3).stdout();
    head.run(&["approve", "east", "1"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn after_the_constraint_is_mended_retry_applies_what_was_rejected_and_what_waits() {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    head.sql("ALTER TABLE public.sales ADD CONSTRAINT no_pens CHECK (product <> 'Pens')");
    for product in ["Pens", "Paper", "Ink"] {
        east.sell(product);
        east.run(&["bundle"]).ok();
    }
    let report = head.run(&["apply", "--json"]).exits(3).json();
    let reason = report["rejected"][0]["reason"].as_str().unwrap();
    assert!(["table sales", "constraint no_pens"].iter().all(|named| reason.contains(named)), "{reason}");
    assert_eq!(report["waiting"][0]["reason"], "bundle 2 of east was rejected");
    assert_eq!(head.value("SELECT count(*) FROM salesync.request"), "0", "it would only be rejected again");
    // While nothing is mended, nothing comes of it.
    head.run(&["retry", "east"]).exits(3);
    head.run(&["retry", "west"]).exits(2).says(&["does not know a branch west"]);
    assert_eq!(head.run(&["status", "--json"]).ok().json()["branches"][0]["held"], json!([3, 4]));

    head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_pens");
    let retried = head.run(&["retry", "east", "--json"]).ok().json();
    let numbers: Vec<&Value> =
        retried["applied"].as_array().unwrap().iter().map(|it| &it["sequence"]).collect();
    assert_eq!(numbers, [2, 3, 4]);
    company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 4);
    head.run(&["status", "--check"]).ok();
    assert_eq!(head.run(&["retry", "east"]).ok().stdout(), "nothing has arrived\n");
    head.run(&["verify", "bundles"]).ok();
}

#[test]
fn a_change_of_the_schema_that_loses_something_waits_and_names_it() {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    let held_for = |change: &str, words: &[&str]| {
        east.sql(change);
        east.sql("UPDATE public.sales SET product = product || '!'");
        east.run(&["bundle"]).ok();
        let report = head.run(&["apply", "--json"]).exits(3).json();
        let waiting = report["waiting"][0].clone();
        assert_eq!(waiting["hold"], "schema", "{report}");
        let reason = waiting["reason"].as_str().unwrap();
        assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
        waiting["sequence"].to_string()
    };
    let before = head.rows("public.sales", "true");
    // Renamed: nothing of it is guessed.
    let number = held_for(
        "ALTER TABLE public.sales RENAME region TO area; ALTER TABLE public.sales ALTER area DROP NOT NULL",
        &["public.sales", "no column \"region\" any more", "new \"area\" of type text"],
    );
    assert_eq!(head.rows("public.sales", "true"), before);
    head.sql("ALTER TABLE public.sales ALTER region DROP NOT NULL");
    // That it still waits is no news; whoever tries again is told.
    head.run(&["apply"]).ok();
    head.run(&["retry", "east"]).exits(3);
    head.run(&["status", "--check"]).exits(3);
    head.run(&["approve", "east", &number]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales WHERE area = 'East'"), "3");

    // Another type: approving cannot mend it, the named change of the table does, and by itself.
    let number =
        held_for("ALTER TABLE public.sales ALTER qty TYPE bigint", &["\"qty\"", "bigint", "integer"]);
    head.run(&["approve", "east", &number]).exits(3);
    head.sql("ALTER TABLE public.sales ALTER qty TYPE bigint");
    head.run(&["apply"]).ok();

    // Head office is ahead of a branch that comes later to the wider type.
    head.sql("ALTER TABLE public.sales ALTER cost TYPE numeric(18,2)");
    east.sql("UPDATE public.sales SET area = NULL WHERE id = 2; DELETE FROM public.sales WHERE id = 3");
    company.sync();

    let rows = "SELECT string_agg(ROW(id, product, qty, cost)::text, ' ' ORDER BY id) FROM public.sales";
    assert_eq!(head.value(rows), east.value(rows));
}

#[test]
fn with_schema_changes_held_the_exact_statement_is_named_and_either_way_goes_on() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let policy = |word: &str| {
        let options = format!("[branches.east]\n[apply]\nschema_changes = \"{word}\"\n");
        head.configure("role = \"head-office\"", &company.broker_url, &options);
    };
    policy("ask");
    head.run(&["status"]).exits(78).says(&["line 10", "`apply` or `hold`", "hint: "]);
    policy("hold");
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    let told = head.run(&["apply"]).exits(3).stdout();
    let table = "CREATE TABLE \"public\".\"sales\" (branch text NOT NULL DEFAULT current_setting('salesync.branch'), \
                 \"id\" bigint, \"date\" date, \"region\" text, \"product\" text, \"qty\" integer, \"cost\" numeric(12,2), \
                 \"amt\" numeric(14,2), \"tax\" numeric(14,2), \"total\" numeric(14,2), PRIMARY KEY (branch, \"id\") \
                 WITH (deduplicate_items = off)) PARTITION BY LIST (branch)";
    let partition = "ATTACH PARTITION \"public\".\"sales_east\" FOR VALUES IN ('east')";
    assert!(told.contains("table public.sales is not at head office (CREATE TABLE"), "{told}");
    assert!(told.contains(table) && told.contains(partition), "{told}");
    head.run(&["approve", "east", "1"]).ok();
    company.assert_equal("public.sales");

    east.sql("ALTER TABLE public.sales ADD COLUMN \"my note\" text");
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    let told = head.run(&["apply"]).exits(3).stdout();
    let statement = "ALTER TABLE \"public\".\"sales\" ADD COLUMN \"my note\" text";
    assert!(told.contains(&format!("({statement})")), "{told}");
    head.sql(statement);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn one_branch_rejected_and_one_held_do_not_delay_a_third() {
    let company = Company::of_sales(&["east", "north", "west"]);
    let head = &company.head_office;
    let [east, north, west] = &company.branches[..] else { panic!("there are three") };
    company.sync();
    let round = || {
        company.branches.iter().for_each(|branch| {
            branch.sell("Ink");
            branch.run(&["bundle"]);
        });
    };
    round();
    head.run(&["apply"]).ok();
    head.sql("ALTER TABLE public.sales ADD CHECK (branch <> 'east' OR product <> 'Pens')");
    east.sell("Pens");
    // One of north's is lost on its way.
    north.sell("Paper");
    north.run(&["bundle"]).ok();
    let mut broker = company.broker();
    let lost = broker.next_bundle("north").unwrap().unwrap();
    broker.acknowledge(lost).unwrap();
    // So that it cannot be sent again.
    std::fs::remove_file(&north.bundles()[2]).unwrap();
    for sold in 2..4 {
        round();
        let drained = head.run(&["apply", "--json"]).exits(3).json();
        let applied: Vec<&Value> =
            drained["applied"].as_array().unwrap().iter().map(|it| &it["branch"]).collect();
        assert_eq!(applied, ["west"], "{drained}");
        let of = |branch: &Node| {
            head.value(&format!("SELECT count(*) FROM public.sales WHERE branch = '{}'", branch.name))
        };
        assert_eq!([of(east), of(north), of(west)], ["1".to_owned(), "1".to_owned(), sold.to_string()]);
    }
    let status = head.run(&["status", "--json"]).ok().json();
    assert_eq!(status["branches"][0]["rejected"], 1);
    assert_eq!(
        (&status["branches"][1]["held"], &status["branches"][1]["missing"]),
        (&json!([4, 5]), &json!([3]))
    );
}
