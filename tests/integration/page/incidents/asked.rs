//! What the page asks of a branch, and what appears though nobody has written it down.

use super::{comes_to_show, form, press, question, send};
use crate::company::Company;
use crate::page::site::Site;
use crate::requests::with_a_lost_bundle;

#[test]
fn a_bundle_that_is_missing_is_asked_for_by_a_button_and_answered() {
    let company = with_a_lost_bundle();
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["apply"]).exits(3);
    let site = Site::of(head);
    let page = site.get("/incidents").shows(&[
        "<span class=\"badge trouble\">gap</span> east: bundle 2 has not come",
        "bundle 2 of east has not come",
        "east was asked for it (",
        "salesync request east --resend 2",
    ]);
    press(&site, &page, "Ask for bundle 2 again", &[])
        .shows(&["Recorded: east is asked for bundle 2 again."]);
    let sent = "SELECT count(*) FROM salesync.request WHERE published_at IS NOT NULL";
    let found =
        salesync::sandbox::wait_until(super::LIMIT, sent, || Ok((head.value(sent) == "2").then_some(())));
    found.unwrap();
    east.run(&["bundle"]).exits(3);
    head.run(&["apply"]).ok();
    // One answer serves both: what head office has asked by itself, and what somebody has.
    site.get("/incidents").shows(&[
        "Nothing waits for a person.",
        "head office itself",
        "local (page) as ",
        ">answered</span>",
    ]);
    company.assert_equal("public.sales");
    // The audit trail connects the decision with what was asked.
    let joined = "SELECT string_agg(wanted || ' ' || first_sequence, ',') FROM salesync.request JOIN salesync.decision USING (request_id)";
    assert_eq!(head.value(joined), "resend 2");
}

#[test]
fn any_branch_can_be_asked_for_a_bundle_for_some_again_or_for_everything() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    let site = Site::of(head);
    let asked = site
        .get("/incidents/confirm?branch=east&verdict=sync&first=&last=")
        .is(200)
        .shows(&["for a bundle now?"]);
    press(&site, &asked, "Ask for a bundle now", &[("reason", "closing time")]);
    comes_to_show(&site, &["east: asked for a bundle now", "east answers when it connects."], &[]);
    let sent = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(sent["bundles"][0]["sequence"], 2, "also if nothing was sold");
    head.run(&["apply"]).ok();
    comes_to_show(&site, &["Nothing waits for a person.", "closing time", ">answered</span>"], &[]);

    let asked = site
        .get("/incidents/confirm?branch=east&verdict=resend&first=1&last=2")
        .shows(&["for the bundles 1 to 2 again?"]);
    press(&site, &asked, "Ask again", &[]);
    comes_to_show(&site, &["asked for the bundles 1 to 2 again", "east answers when it connects."], &[]);
    let sent = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(sent["bundles"].as_array().unwrap().len(), 2, "{sent}");
    head.run(&["apply"]).ok();
    comes_to_show(&site, &["Nothing waits for a person."], &[]);

    let asked = site.get("/incidents/confirm?branch=east&verdict=full").shows(&["about 1 row, "]);
    press(&site, &asked, "Ask for everything", &[]);
    comes_to_show(&site, &["east: asked for everything", "east answers when it connects."], &[]);
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    comes_to_show(&site, &["Nothing waits for a person."], &[]);
    assert_eq!(head.value("SELECT count(DISTINCT epoch) FROM salesync.bundle"), "2");
    company.assert_equal("public.sales");
}

#[test]
fn a_branch_that_is_silent_appears_though_there_is_no_incident() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    company.sync();
    head.configure(
        "role = \"head-office\"",
        &company.broker_url,
        "[branches.east]\nexpect_every = \"1ms\"\n[branches.west]\n",
    );
    let site = Site::of(head);
    let page = site.get("/incidents").shows(&[
        "<span class=\"badge late\">late</span> east: silent for too long",
        "A bundle is expected every 0 s, and none has been applied since.",
        "salesync request east --sync-now",
    ]);
    press(&site, &page, "Ask for a bundle now", &[]);
    comes_to_show(&site, &["east: asked for a bundle now"], &[]);
    site.get("/incidents?branch=west")
        .shows(&["Nothing waits for a person."])
        .hides(&["silent for too long"]);
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
}

#[test]
fn a_request_made_twice_by_the_same_form_is_one() {
    let company = Company::of_sales(&["east"]);
    company.sync();
    let site = Site::of(&company.head_office);
    let asked = site.get("/incidents/confirm?branch=east&verdict=full");
    let full = form(&asked, "Ask for everything");
    send(&site, &full, &[]).is(303);
    send(&site, &full, &[]).is(409).shows(&["has decided meanwhile (request,", "nothing was changed"]);
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.request"), "1");
    // Whoever has seen that may ask again.
    let asked = site.get("/incidents/confirm?branch=east&verdict=full");
    press(&site, &asked, "Ask for everything", &[]);
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.request"), "2");
    let page = site.get("/incidents");
    assert!(!page.text.contains("data-ask"), "nothing is to be decided: {}", question(&page, "Approve…"));
}
