//! A page grows old, and a form is sent by whom it should not: nothing is changed, and that is said.

use super::{Form, comes_to_show, form, question, send, with_a_held_deletion, with_a_rejected_bundle};
use crate::company::Node;
use crate::page::site::Site;

fn decisions(head: &Node) -> String {
    head.value("SELECT coalesce(string_agg(verdict, ' ' ORDER BY decision_id), '') FROM salesync.decision")
}

fn with(form: &Form, name: &str, value: &str) -> Form {
    let value_of = |(field, old): &(String, String)| {
        (field.clone(), if field == name { value.to_owned() } else { old.clone() })
    };
    form.iter().map(value_of).collect()
}

#[test]
fn who_decides_second_is_told_and_changes_nothing() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    let site = Site::of(head);
    let page = site.get("/incidents");
    let approve = form(&site.get(&question(&page, "Approve…")), "Approve: delete");
    let reject = form(&site.get(&question(&page, "Reject…")), "Reject bundle 2");
    send(&site, &reject, &[("reason", "wrong button")]).is(303);
    // Another person had the same page open; and somebody presses twice.
    let told = ["has decided meanwhile (reject 2, ", "nothing was changed; look at the branch as it is now"];
    send(&site, &approve, &[]).is(409).shows(&told);
    send(&site, &reject, &[("reason", "wrong button")]).is(409).shows(&told);
    comes_to_show(&site, &["bundle 2 was rejected"], &["under way"]);
    site.get(&question(&page, "Approve…")).is(409).shows(&["it is not held any more"]);
    assert_eq!(decisions(head), "reject");
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "6000");
}

#[test]
fn a_form_that_speaks_of_something_else_than_is_so_changes_nothing() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    let site = Site::of(head);
    let approve = form(&site.get(&question(&site.get("/incidents"), "Approve…")), "Approve: delete");
    for (name, value, words) in [
        ("hold", "schema", "it waits for something else now"),
        ("epoch", "0196d4a0-0000-7000-8000-000000000000", "it waits for something else now"),
        ("sequence", "7", "it is not held any more"),
    ] {
        send(&site, &with(&approve, name, value), &[]).is(409).shows(&[words, "nothing was changed"]);
    }
    for (name, value) in [
        ("hold", "x"),
        ("epoch", "x"),
        ("sequence", "0"),
        ("sequence", "-1"),
        ("sequence", "99999999999999999999"),
        ("seen", ""),
        ("seen", "x"),
        ("verdict", "delete"),
        ("branch", "East'"),
    ] {
        send(&site, &with(&approve, name, value), &[]).is(400);
    }
    send(&site, &with(&approve, "branch", "west"), &[]).is(400).shows(&["does not know a branch west"]);
    send(&site, &approve, &[("reason", &"x".repeat(501))]).is(400).shows(&["500 characters at most"]);
    assert_eq!(decisions(head), "");
}

#[test]
fn what_was_applied_meanwhile_is_not_tried_again() {
    let company = with_a_rejected_bundle();
    let head = &company.head_office;
    let site = Site::of(head);
    let retry = form(&site.get("/incidents"), "Try again");
    head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_pens");
    let file = head.value("SELECT file FROM salesync.incident WHERE sequence = 2");
    head.run(&["apply", &file]).ok();
    send(&site, &retry, &[]).is(409).shows(&["what was to be tried again is applied meanwhile"]);
    assert_eq!(decisions(head), "");
}

#[test]
fn a_form_without_the_right_token_changes_nothing() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    let site = Site::of(head);
    let approve = form(&site.get(&question(&site.get("/incidents"), "Approve…")), "Approve: delete");
    send(&site, &with(&approve, "csrf", "wrong"), &[]).is(403);
    let without: Form = approve.iter().filter(|(name, _)| name != "csrf").cloned().collect();
    send(&site, &without, &[]).is(403);
    assert_eq!(decisions(head), "");
    send(&site, &approve, &[]).is(303);
    assert_eq!(decisions(head), "approve");
}

#[test]
fn what_the_address_asks_for_is_checked() {
    let company = with_a_held_deletion();
    let site = Site::of(&company.head_office);
    for query in [
        "branch=East",
        "branch=%00",
        "branch=%ff",
        "kind=nothing",
        "from=99999-01-01",
        "from=2026-02-30",
        "until=-1",
        "before=x",
        "before=2026-11-21T10:00:00Z_%27",
        "before=99999-01-01T00:00:00Z_a",
    ] {
        site.get(&format!("/incidents?{query}")).is(400);
    }
    site.get(&format!("/incidents?person={}", "x".repeat(101))).is(400);
    site.get("/incidents?branch=west").is(404);
    site.get("/incidents/confirm?branch=west&verdict=sync").is(404);
    for query in
        ["", "branch=east", "branch=east&verdict=approve", "branch=east&verdict=resend&first=3&last=2"]
    {
        site.get(&format!("/incidents/confirm?{query}")).is(400);
    }
    let unlikely = "/incidents?branch=east&kind=&person=%25_%27&from=1970-01-01&until=9998-12-31&unknown=1";
    site.get(unlikely).is(200).shows(&["Nothing of that kind."]);
}

#[test]
fn whoever_may_only_look_has_no_buttons_and_is_refused_and_whoever_operates_is_named() {
    let company = with_a_held_deletion();
    let head = &company.head_office;
    let hash = head.run_with(&["hash-password"], b"a password of their own").ok().stdout();
    let user = |name: &str, role: &str| {
        format!("[[serve.users]]\nname = \"{name}\"\nrole = \"{role}\"\npassword = \"{}\"\n", hash.trim_end())
    };
    let users = format!("[branches.east]\n{}{}", user("anna", "operate"), user("bert", "view"));
    head.configure("role = \"head-office\"", &company.broker_url, &users);
    let site = Site::of(head);
    let log_in = |name: &str| {
        site.forget();
        site.post_as_is("/login", &[("name", name), ("password", "a password of their own")]).is(303);
        site.get("/incidents").is(200).shows(&["bundle 2 waits for a decision", "salesync approve east 2"])
    };
    let page = log_in("anna");
    let approve = form(&site.get(&question(&page, "Approve…")), "Approve: delete");

    let looks = log_in("bert").hides(&["data-ask", "action=\"/incidents\">", "Ask a branch", "Try again"]);
    site.get(&question(&page, "Approve…")).is(403);
    let stolen = with(&approve, "csrf", &looks.csrf());
    send(&site, &stolen, &[]).is(403).shows(&["you may look, and change nothing"]);
    send(&site, &approve, &[]).is(403);
    assert_eq!(decisions(head), "");

    let page = log_in("anna");
    // The form of an earlier session is none of this one.
    send(&site, &approve, &[]).is(403);
    let approve = form(&site.get(&question(&page, "Approve…")), "Approve: delete");
    send(&site, &approve, &[]).is(303);
    comes_to_show(&site, &["Nothing waits for a person."], &[]);
    assert_eq!(head.value("SELECT split_part(decided_by, ' as ', 1) FROM salesync.decision"), "anna (page)");
}
