//! What people decide on the page is carried out.

use salesync::domain::{PublicKey, SigningKey};
use salesync::sandbox::wait_until;

use super::{
    LIMIT, comes_to_show, form, press, question, send, with_a_held_deletion, with_a_rejected_bundle,
};
use crate::company::Node;
use crate::contested::apply_is_busy;
use crate::decisions::sell_many;
use crate::enrolled::{enrolled, know_branches, public_key};
use crate::page::site::Site;
use crate::rights::as_role;
use crate::running::Running;

const CARRIED_OUT: &str = "SELECT string_agg(verdict || ' ' || coalesce(sequence::text, '-') || ' by ' || split_part(decided_by, ' as ', 1)
                                  || coalesce(': ' || reason, ''), '; ' ORDER BY decision_id)
                           FROM salesync.decision WHERE carried_out_at IS NOT NULL AND trouble IS NULL";

fn comes_to(node: &Node, sql: &str, value: &str) {
    let found = wait_until(LIMIT, sql, || Ok((node.value(sql) == value).then_some(())));
    found.unwrap_or_else(|error| panic!("{error}; it is {:?}", node.value(sql)));
}

#[test]
fn a_rejected_bundle_is_found_explained_and_retried_when_its_cause_is_gone() {
    let company = with_a_rejected_bundle();
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(head);
    let page = site.get("/incidents?branch=east").is(200).shows(&[
        "<span class=\"badge trouble\">rejected</span> east: bundle 2 was rejected",
        "east&#39;s later bundle 3 waits behind it. Other branches go on.",
        "constraint no_pens",
        "_rejected/east/",
        "salesync retry east",
        "salesync request east --resend 2",
    ]);
    // The cause is still there: it is told with the next page, and nothing else has happened.
    press(&site, &page, "Try again", &[]).shows(&["Recorded: what waits of east is tried again."]);
    let page = comes_to_show(&site, &["It was rejected 2 times."], &["under way"]);
    head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_pens");
    press(&site, &page, "Try again", &[]);
    let page = comes_to_show(&site, &["Nothing waits for a person."], &[]);
    company.assert_equal("public.sales");
    assert_eq!(head.value(CARRIED_OUT), "retry - by local (page); retry - by local (page)");
    // Who decided it stands beside what it was.
    page.shows(&[
        "bundle 2 was rejected",
        "<span class=\"badge ok\">applied</span>",
        "Decided: local (page) as ",
    ]);
    assert_eq!(
        east.run(&["bundle", "--json"]).ok().json()["unapplied"],
        serde_json::json!([]),
        "the branch is told"
    );
}

#[test]
fn a_key_that_comes_into_force_while_the_page_runs_counts_for_what_is_tried_again() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let know = |key: PublicKey, more: &str| {
        know_branches(&company, &format!("[branches.east]\npublic_key = \"{key}\"\n{more}"));
    };
    know(SigningKey::generate().unwrap().public(), "");
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    let site = Site::of(head);
    site.get("/incidents").is(200).shows(&["none of east"]).hides(&["silent for too long"]);
    know(public_key(east), "expect_every = \"1ms\"\n");
    let page = comes_to_show(&site, &["silent for too long"], &[]);
    press(&site, &page, "Try again", &[]);
    comes_to(head, "SELECT count(*) FROM salesync.bundle WHERE state = 'applied'", "1");
    company.assert_equal("public.sales");
}

#[test]
fn a_held_deletion_is_approved_by_a_button_that_first_names_the_numbers() {
    let company = with_a_held_deletion();
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Tape");
    east.run(&["bundle"]).exits(3);
    head.run(&["apply"]).exits(3);
    let site = Site::of(head);
    let page = site.get("/incidents").shows(&[
        "east: bundle 2 waits for a decision",
        "6\u{202f}000 of 6\u{202f}000 rows of east would be deleted.",
        "east&#39;s later bundle 3 waits behind it.",
        "salesync approve east 2",
    ]);
    let asked = site.get(&question(&page, "Approve…")).is(200).shows(&[
        "Approve bundle 2 of east?",
        "6\u{202f}000 of 6\u{202f}000 rows of east in public.sales will be deleted.",
        "It lets in what waits behind it: bundle 3.",
        "more than max_delete_fraction = 0.2 lets pass",
    ]);
    let approve = form(&asked, "Approve: delete 6\u{202f}000 rows");
    // Sent without the answer to the question, it only asks.
    let unconfirmed: Vec<_> = approve.iter().filter(|(name, _)| name != "confirmed").cloned().collect();
    send(&site, &unconfirmed, &[]).is(200).shows(&["Approve bundle 2 of east?"]);
    assert_eq!(head.value("SELECT count(*) FROM salesync.decision"), "0");

    let answer = send(&site, &approve, &[("reason", "the shop was closed")]).is(303);
    assert_eq!(answer.header("location"), "/incidents?branch=east");
    site.get("/incidents?branch=east").shows(&["Recorded: bundle 2 of east is approved."]);
    comes_to_show(&site, &["Nothing waits for a person.", "carried out", "the shop was closed"], &[]);
    company.assert_equal("public.sales");
    assert_eq!(head.value(CARRIED_OUT), "approve 2 by local (page): the shop was closed");
    east.run(&["bundle"]).ok();
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 3, "the branch is told");
}

#[test]
fn a_rejection_wants_a_reason_which_the_branch_is_told() {
    let company = with_a_held_deletion();
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(head);
    let asked = site.get(&question(&site.get("/incidents"), "Reject…")).is(200).shows(&[
        "Reject bundle 2 of east?",
        "Nothing of it is applied: 0 rows and 6\u{202f}000 tombstones",
        "east is told, and has to send everything again: about 6\u{202f}000 rows, ",
    ]);
    let reject = form(&asked, "Reject bundle 2");
    send(&site, &reject, &[("reason", "  ")]).is(422).shows(&["aria-invalid=\"true\"", "Say why"]);
    assert_eq!(head.value("SELECT count(*) FROM salesync.decision"), "0");
    send(&site, &reject, &[("reason", "wrong button")]).is(303);
    comes_to_show(&site, &["bundle 2 was rejected", "wrong button"], &["under way", "waits for a decision"]);
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "6000");
    // It is written down first, and then sent.
    let unsent = "SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL";
    wait_until(LIMIT, "the answer to be sent", || Ok((head.value(unsent) == "0").then_some(()))).unwrap();
    let told = east.run(&["bundle"]).exits(3).stdout();
    assert!(told.contains("local (page)") && told.contains("has rejected it: wrong button"), "{told}");

    // The rows are put back, and everything is asked for: what it costs is told before.
    sell_many(east, 5900);
    let page = site.get("/incidents");
    let asked = site
        .get(&question(&page, "Ask for everything…"))
        .shows(&["The branch sends everything again: about 6\u{202f}000 rows, ", "by its last figures."]);
    press(&site, &asked, "Ask for everything", &[])
        .shows(&["Recorded: east is asked for every table whole."]);
    comes_to_show(&site, &["east: asked for everything", "east answers when it connects."], &[]);
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    let asked = site.get(&question(&site.get("/incidents"), "Approve…"));
    press(&site, &asked, "Approve: delete", &[]);
    comes_to_show(&site, &["Nothing waits for a person.", ">answered</span>"], &[]);
    company.assert_equal("public.sales");
}

#[test]
fn beside_a_daemon_a_decision_of_the_page_is_carried_out_by_it() {
    let company = with_a_held_deletion();
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(head);
    let daemon = Running::start(head, &["apply", "--follow", "-v"]);
    east.sell("Tape");
    east.run(&["bundle"]).exits(3);
    daemon.has_said("east 3: held");
    let asked = site.get(&question(&site.get("/incidents"), "Approve…"));
    press(&site, &asked, "Approve: delete", &[]);
    daemon.has_said("east 2: applied, 0 rows, 6000 tombstones");
    daemon.has_said("east 3: applied");
    comes_to_show(&site, &["Nothing waits for a person."], &[]);
    company.assert_equal("public.sales");
    assert_eq!(head.value(CARRIED_OUT), "approve 2 by local (page)");
    daemon.stops().ok();
}

#[test]
fn what_is_decided_while_another_one_is_at_work_who_does_nothing_about_it_is_carried_out_after_that() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    let site = Site::of(head);
    let busy = apply_is_busy(head);
    let asked = site.get(&question(&site.get("/incidents"), "Approve…"));
    press(&site, &asked, "Approve: delete", &[]);
    comes_to_show(
        &site,
        &["recorded; the running apply carries it out", "east: bundle 2 approved, recorded", "under way"],
        &[],
    );
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "6000");
    drop(busy);
    comes_to_show(&site, &["Nothing waits for a person."], &["the running apply carries it out"]);
    company.assert_equal("public.sales");
}

#[test]
fn while_the_broker_is_away_it_is_decided_and_the_branch_is_told_later() {
    let company = with_a_held_deletion();
    let (east, head) = (company.branch(), &company.head_office);
    let away = "amqp://nobody:nothing@127.0.0.1:1/none";
    head.configure("role = \"head-office\"", away, "[branches.east]\n");
    let site = Site::of(head);
    let asked = site.get(&question(&site.get("/incidents"), "Approve…"));
    press(&site, &asked, "Approve: delete", &[]);
    comes_to_show(
        &site,
        &["the branches are told by the next <code>salesync apply</code>"],
        &["waits for a decision"],
    );
    company.assert_equal("public.sales");
    head.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    east.run(&["bundle"]).exits(3);
    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 2);
}

#[test]
fn what_is_decided_while_an_apply_empties_the_queues_is_carried_out_by_it_in_the_end() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    // It has looked for decisions before it takes this up, and does not come to an end.
    let mut blocker = head.client();
    company.branch().sell("Tape");
    company.branch().run(&["bundle"]).exits(3);
    blocker.batch_execute("BEGIN; LOCK TABLE salesync.delivery IN ACCESS EXCLUSIVE MODE").unwrap();
    let apply = Running::start(head, &["apply"]);
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    comes_to(head, waits, "true");
    let told = head.run(&["approve", "east", "2"]).ok().stdout();
    assert_eq!(told, "recorded; the running apply carries it out\n");
    blocker.batch_execute("COMMIT").unwrap();
    let printed = apply.ends().exits_with_any(&[0, 3]).stdout();
    assert!(printed.contains("east 2: applied, 0 rows, 6000 tombstones"), "{printed}");
    company.assert_equal("public.sales");
}

#[test]
fn with_the_rights_to_decide_only_it_is_recorded_and_the_next_apply_carries_it_out() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    // Once more after `init`: some rights are on what that has made.
    head.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    let page_role = Node {
        name: head.name.clone(),
        folder: head.folder.clone(),
        database_url: as_role(&head.database_url, "salesync_operate"),
    };
    page_role.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    let site = Site::of(&page_role);
    let asked = site.get(&question(&site.get("/incidents"), "Approve…"));
    press(&site, &asked, "Approve: delete", &[]);
    comes_to_show(
        &site,
        &[
            "permission denied",
            "what was decided is recorded, and the next <code>salesync apply</code> carries it out",
            "bundle 2 approved, recorded",
        ],
        &[],
    );
    assert_eq!(head.value("SELECT count(*) FROM salesync.decision WHERE carried_out_at IS NULL"), "1");
    head.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    head.run(&["apply"]).ok();
    comes_to_show(&site, &["Nothing waits for a person."], &[]);
    company.assert_equal("public.sales");
}
