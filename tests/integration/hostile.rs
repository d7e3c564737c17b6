//! What a program in the place of a branch could send, and that it harms that branch alone.

use salesync::domain::BundleId;

use crate::company::{Company, Node};
use crate::delivery::{enqueue, file, manifest_of, rejection, seal, sealed, text};
use crate::forge::{forged, written};
use crate::servers::control_broker;

/// East and west, each with a sale at head office and a second one in a bundle that was not sent.
fn two_branches() -> (Company, [usize; 2]) {
    let company = Company::of_sales(&["east", "west"]);
    company.branches.iter().for_each(|branch| branch.sell("Ink"));
    company.sync();
    company.branches.iter().for_each(|branch| seal(branch, 1));
    (company, [0, 1])
}

#[test]
fn no_branch_can_name_the_branch_of_its_rows() {
    let (company, [east, west]) = two_branches();
    let (east, west, head) = (&company.branches[east], &company.branches[west], &company.head_office);
    let (mut manifest, _) = manifest_of(&east.bundles()[1]);
    manifest.tables[0].columns[3].name = "branch".into();
    let forged = written(manifest, &[b"77,2021-05-02,East,west,1,1,1,0,1\n"]);
    enqueue(&company, "east", &forged);
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("column \"branch\""), "{reason}");
    assert_eq!(head.rows("public.sales", "branch = 'west'").len(), 1);
    west.run(&["bundle"]).ok();
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn a_business_day_that_is_no_date_is_rejected_and_not_tried_for_ever() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    let no_date = forged(&east.bundles()[0], |manifest| {
        manifest.tables[0].day_totals.as_mut().unwrap().column = "qty".into();
    });
    enqueue(&company, "east", &no_date);
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("business days"), "{reason}");
}

/// The server gives up on east's rows, each time.
#[test]
fn a_bundle_that_exhausts_the_database_delays_no_other_branch() {
    let (company, [east, west]) = two_branches();
    let (east, west, head) = (&company.branches[east], &company.branches[west], &company.head_office);
    head.sql(
        "CREATE FUNCTION public.exhausted() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER exhausted BEFORE INSERT ON public.sales FOR EACH ROW
         WHEN (NEW.branch = 'east') EXECUTE FUNCTION public.exhausted()",
    );
    company.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).ok()));
    head.run(&["apply"]).exits(69).says(&["no space left"]);
    assert_eq!(head.rows("public.sales", "branch = 'west'"), west.rows("public.sales", "true"));
    assert_eq!(head.rows("public.sales", "branch = 'east'").len(), 1);

    let files = [east, west].map(|branch| branch.bundles().pop().unwrap());
    seal(west, 1);
    let third = west.bundles().pop().unwrap();
    head.run(&["apply", text(&files[0]), text(&files[1]), text(&third)]).exits(69);
    assert_eq!(head.rows("public.sales", "branch = 'west'"), west.rows("public.sales", "true"));

    head.sql("DROP TRIGGER exhausted ON public.sales");
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn an_answer_is_never_longer_than_a_message_may_be() {
    let (company, [east, _]) = two_branches();
    let (east, head) = (&company.branches[east], &company.head_office);
    let (manifest, _) = manifest_of(&east.bundles()[1]);
    let endless = format!("77,{},East,Ink,1,1,1,0,1\n", "9".repeat(20 << 20));
    enqueue(&company, "east", &written(manifest, &[endless.as_bytes()]));
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("invalid input syntax") && reason.len() < 5000, "{} bytes", reason.len());
    assert_eq!(head.value("SELECT count(*) FROM salesync.receipt WHERE length(body) > 20000"), "0");
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn a_duplicate_is_answered_with_its_own_answer_and_not_with_that_of_another_content() {
    let (company, [east, west]) = two_branches();
    let (east, west, head) = (&company.branches[east], &company.branches[west], &company.head_office);
    let applied = manifest_of(&west.bundles()[0]).0.bundle_id;
    let same_id = |node: &Node| {
        forged(&node.bundles()[0], |manifest| {
            manifest.bundle_id = applied;
            manifest.tool = "salesync 0.0.0".into();
        })
    };
    for node in [east, west] {
        rejection(head, &["apply", "--json", text(&file(node, "same-id.bundle", &same_id(node)))]);
    }
    head.sql("UPDATE salesync.receipt SET published_at = now()");
    west.run(&["resend", "1"]).ok();
    assert_eq!(head.run(&["apply", "--json", text(&west.bundles()[0])]).ok().json()["duplicates"], 1);
    let unsent =
        "SELECT string_agg(branch || ' ' || outcome, ' ') FROM salesync.receipt WHERE published_at IS NULL";
    assert_eq!(head.value(unsent), "west applied");
}

#[test]
fn what_waits_for_the_first_bundle_of_a_new_epoch_is_shown() {
    let company = sealed(3);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    let new_epoch = |path| {
        forged(path, |manifest| {
            manifest.epoch = manifest.epoch.following();
            manifest.bundle_id = BundleId::generate();
        })
    };
    let third = file(east, "third.bundle", &new_epoch(&east.bundles()[2]));
    head.run(&["apply", text(&third)]).exits(3);
    let status = head.run(&["status", "--check", "--json"]).exits(3).json();
    assert_eq!(status["branches"][0]["held"], serde_json::json!([3]));
    assert_eq!(status["branches"][0]["missing"], serde_json::json!([1, 2]));

    // Once another epoch has begun, nobody waits for it.
    let first = forged(&east.bundles()[0], |manifest| {
        manifest.epoch = manifest.epoch.following().following();
        manifest.bundle_id = BundleId::generate();
    });
    head.run(&["apply", text(&file(east, "first.bundle", &first))]).ok();
    head.run(&["status", "--check"]).ok();
}

#[test]
fn an_epoch_that_was_passed_over_does_not_come_back() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    let all_over = ["bundle", "--offline", "--since", "all"];
    east.sell("Of the second epoch");
    east.run(&all_over).ok();
    let second_epoch = newest_epoch(east);
    east.sell("Of the third epoch");
    east.run(&all_over).ok();
    head.run(&["apply", text(&newest_epoch(east))]).ok();
    company.assert_equal("public.sales");

    let reason = rejection(head, &["replay", "--json", "../east/bundles"]);
    assert!(reason.contains("older than head office's"), "{reason}");
    rejection(head, &["apply", "--json", text(&second_epoch)]);
    company.assert_equal("public.sales");
    company.branch().sell("And so on");
    company.sync();
    company.assert_equal("public.sales");
}

/// The last bundle of the branch's newest epoch: epochs follow each other by name.
fn newest_epoch(branch: &Node) -> std::path::PathBuf {
    branch.bundles().pop().unwrap()
}

const SWALLOW: &str = "
    CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;";

#[test]
fn rows_that_head_offices_own_triggers_swallow_are_missed() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    let swallowing = |event: &str, rows: &str, words: &str| {
        head.sql(&format!(
            "{SWALLOW} CREATE TRIGGER swallow BEFORE {event} ON public.sales FOR EACH ROW EXECUTE FUNCTION public.swallow()"
        ));
        east.sql(rows);
        east.run(&["bundle", "--offline"]).ok();
        let newest = east.bundles().pop().unwrap();
        let reason = rejection(head, &["apply", "--json", text(&newest)]);
        assert!(reason.contains(words), "{reason}");
        head.sql("DROP FUNCTION public.swallow CASCADE");
        head.run(&["apply", text(&newest)]).ok();
        company.assert_equal("public.sales");
    };
    let another = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                   SELECT date, region, 'Paper', qty, cost, amt, tax, total FROM public.sales WHERE id = 1";
    swallowing("INSERT", another, "took 0 rows of the declared 1");
    swallowing("UPDATE", "UPDATE public.sales SET region = 'West' WHERE id = 1", "found only 0 places");
}

#[test]
fn a_table_of_head_offices_own_with_another_key_is_left_alone() {
    let company = sealed(1);
    let head = &company.head_office;
    head.sql(
        "CREATE TABLE public.sales (branch text DEFAULT 'head', id bigint PRIMARY KEY);
         INSERT INTO public.sales VALUES ('head', 1000)",
    );
    company.branch().run(&["bundle"]).ok();
    let waiting = head.run(&["apply", "--json"]).exits(3).json()["waiting"][0].clone();
    assert_eq!(waiting["hold"], "schema");
    assert!(waiting["reason"].as_str().unwrap().contains("primary key is (id)"), "{waiting}");
    assert_eq!(head.rows("public.sales", "branch = 'head'"), ["1000"]);
}

#[test]
fn what_is_not_in_the_ledger_after_the_commit_stays_in_the_queue() {
    let company = sealed(1);
    let head = &company.head_office;
    head.sql(&format!(
        "{SWALLOW} CREATE TRIGGER swallow BEFORE INSERT ON salesync.bundle FOR EACH ROW EXECUTE FUNCTION public.swallow()"
    ));
    company.branch().run(&["bundle"]).ok();
    head.run(&["apply"]).exits(1).says(&["reading back the record", "it is not there"]);
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(1));
}

#[test]
fn a_key_that_cannot_be_compared_is_rejected_and_not_tried_for_ever() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    let (mut manifest, _) = manifest_of(&east.bundles()[0]);
    manifest.tables[0].columns[0].type_name = "json[]".into();
    let rows: [&[u8]; 2] = [b"{1},2021-05-02,East,Ink,1,1,1,0,1\n", b"{2},2021-05-02,East,Ink,1,1,1,0,1\n"];
    enqueue(&company, "east", &written(manifest, &rows));
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("comparison function"), "{reason}");
}

/// Such a message costs head office its connection, and stays at the head of its queue.
#[test]
fn a_message_that_cannot_be_read_stops_its_own_branch_only() {
    let company = Company::of_sales(&["east", "west"]);
    let (west, head) = (&company.branches[1], &company.head_office);
    west.sell("Ink");
    west.run(&["bundle"]).ok();
    let vhost = company.broker_url.rsplit('/').next().unwrap();
    control_broker(&[
        "eval",
        &format!(
            r#"rabbit_basic:publish(rabbit_basic:delivery(false, false, rabbit_basic:message(
                rabbit_misc:r(<<"{vhost}">>, exchange, <<"salesync.bundles">>), <<"east">>,
                [{{message_id, <<255, 254>>}}, {{delivery_mode, 2}}], <<"body">>), undefined))."#
        ),
    ]);
    head.run(&["apply"]).exits(65).says(&["salesync.bundles.east", "cannot be read"]);
    assert_eq!(head.value("SELECT string_agg(branch, ',') FROM public.sales"), "west");
}
