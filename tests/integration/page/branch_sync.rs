//! *Sync now* at a branch, and what its pages say of its bundles.

use std::time::Duration;

use salesync::sandbox::wait_until;

use super::branch_sales::{PAPER, hidden};
use super::site::Site;
use crate::company::{Company, Node, SALES};
use crate::line::Line;
use crate::running::Running;

/// Waits until the page of Sync says this.
#[track_caller]
fn says(site: &Site, words: &str) {
    let mut text = String::new();
    let said = wait_until(Duration::from_mins(2), words, || {
        text = site.get("/sync").is(200).text;
        Ok(text.contains(words).then_some(()))
    });
    said.unwrap_or_else(|error| panic!("{error}:\n{text}"));
}

/// Presses *Sync now*, and follows to where that leads.
fn press(site: &Site, words: &str) {
    assert_eq!(site.post("/sync", &[]).is(303).header("location"), "/sync");
    site.get("/sync").is(200).shows(&[words]);
}

const BEGUN: &str = "Synchronising has begun.";

#[test]
fn sync_now_brings_everything_to_head_office_and_says_so() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(east);
    let idle = site.get("/sync").is(200);
    idle.shows(&["It may be pressed at any time", "There is nothing here yet that could go"])
        .hides(&["http-equiv=\"refresh\""]);
    let applier = Running::start(head, &["apply", "--follow"]);
    east.sell("Ink");
    east.sell("Pens");
    press(&site, BEGUN);
    says(&site, "Head office has everything.");
    company.assert_equal("public.sales");
    site.get("/sync")
        .shows(&["Everything is proven to be at head office."])
        .hides(&["http-equiv=\"refresh\""]);
    site.get("/bundles")
        .is(200)
        .shows(&["<span class=\"badge ok\">at head office</span>", "data-label=\"Rows\">2<"]);

    head.sql("ALTER TABLE public.sales ADD CHECK (product <> 'Forbidden')");
    east.sell("Forbidden");
    press(&site, BEGUN);
    says(&site, "All is sent, but head office has not taken all of it.");
    site.get("/bundles")
        .shows(&["<span class=\"badge trouble\">rejected</span>", "Head office has rejected bundle 2: "]);
    applier.stops().ok();
}

#[test]
fn without_a_line_the_sales_are_saved_and_go_when_it_is_back() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let line = Line::to(&company.broker_url);
    line.goes_down();
    east.configure("role = \"branch\"", line.url(), SALES);
    let site = Site::of(east);
    for _ in 0..37 {
        east.sell("Ink");
    }
    press(&site, BEGUN);
    says(&site, "37 sales (7\u{202f}048.87) saved, they go when the line is back.");
    site.get("/sync").shows(&["<small>connecting to amqp://", "1 sealed bundle safe in the archive"]);
    site.get("/bundles").shows(&["<span class=\"badge waiting\">waits for the line</span>"]);

    line.is_repaired();
    press(&site, BEGUN);
    says(&site, "All is sent. Waiting for head office to confirm 1 bundle.");
    head.run(&["apply"]).ok();
    says(&site, "Head office has everything.");
    company.assert_equal("public.sales");
}

#[test]
fn a_second_press_joins_and_beside_another_run_it_waits_for_its_turn() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(east);
    east.sell("Ink");
    let cron = east.halted(&["bundle"], "CutCommitted");
    press(&site, BEGUN);
    says(&site, "Another synchronisation is at work; this one goes on when that has ended.");
    site.get("/sync").shows(&["salesync bundle (server process ", "http-equiv=\"refresh\""]);
    press(&site, "Synchronising is under way already; this is it.");
    east.sell("Pens");
    let applier = Running::start(head, &["apply", "--follow"]);
    cron.go_on().ok();
    says(&site, "Head office has everything.");
    company.assert_equal("public.sales");
    applier.stops().ok();
}

#[test]
fn beside_a_follower_there_is_nothing_to_press_and_that_is_said() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(east);
    east.sell("Ink");
    let follower = Running::start(east, &["bundle", "--follow"]);
    let is_followed = || Ok((east.value("SELECT salesync.is_followed()") == "true").then_some(()));
    wait_until(Duration::from_mins(1), "a follower", is_followed).unwrap();
    press(&site, BEGUN);
    says(&site, "sales go to head office by themselves here");
    head.run(&["apply"]).ok();
    follower.stops().ok();
}

/// A branch with much to send in small bundles, the line it goes over, and its page.
fn on_a_line() -> (Company, Line, Site) {
    let company = Company::of_sales(&["east"]);
    let (east, line) = (company.branch(), Line::to(&company.broker_url));
    east.configure("role = \"branch\"", line.url(), &format!("{SALES}[bundle]\nmax_bytes = \"64 KiB\"\n"));
    east.sell_much();
    let site = Site::of(east);
    (company, line, site)
}

#[test]
fn what_is_under_way_is_told_in_rows_bytes_and_time() {
    let (company, line, site) = on_a_line();
    let head = &company.head_office;
    line.slows_to(100_000);
    press(&site, BEGUN);
    says(&site, "left at the rate so far");
    site.get("/sync").shows(&[
        "<progress max=\"100\" value=\"",
        " rows cut so far, in ",
        " kB of ",
        " on their way for ",
    ]);
    line.is_repaired();
    let applier = Running::start(head, &["apply", "--follow"]);
    says(&site, "Head office has everything.");
    company.assert_equal("public.sales");
    applier.stops().ok();
}

#[test]
fn a_server_that_is_stopped_in_the_middle_loses_nothing() {
    let (company, line, site) = on_a_line();
    let head = &company.head_office;
    line.slows_to(20_000);
    press(&site, BEGUN);
    says(&site, "Sending to head office.");
    site.stops().ok();
    line.is_repaired();
    let applier = Running::start(head, &["apply", "--follow"]);
    company.branch().run(&["sync", "--wait", "1m"]).ok();
    company.assert_equal("public.sales");
    applier.stops().ok();
}

#[test]
fn what_head_office_asks_for_is_told_until_it_is_done() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(east);
    east.sell("Ink");
    company.sync();
    head.run(&["request", "east", "--resend", "1"]).ok();
    std::fs::remove_file(&east.bundles()[0]).unwrap();
    east.run(&["bundle"]).exits(3);
    for page in ["/sync", "/bundles"] {
        site.get(page).is(200).shows(&["Head office asks for", "bundle 1 again: ", ">Not possible</span>"]);
    }
    east.sql("UPDATE salesync.request SET answered_at = NULL, refusal = NULL");
    site.get("/sync").shows(&["goes with the next synchronisation"]);
    head.run(&["request", "east", "--full"]).ok();
    let applier = Running::start(head, &["apply", "--follow"]);
    press(&site, BEGUN);
    says(&site, "Head office has everything.");
    site.get("/bundles").hides(&["Head office asks for"]).shows(&[">1</a></th>"]);
    applier.stops().ok();
}

#[test]
fn the_list_of_bundles_is_turned_over_a_page_at_a_time() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    east.sql(
        "INSERT INTO salesync.bundle (epoch, sequence, bundle_id, manifest_sha256, watermark, part, is_last_part, row_count,
                                      tombstone_count, byte_count, state, cut_at)
         SELECT epoch, n, gen_random_uuid(), '', watermark, 1, true, 1234567, 0, 1, 'applied', cut_at
         FROM salesync.bundle, generate_series(2, 120) n",
    );
    let site = Site::of(east);
    let first = site.get("/bundles").is(200).shows(&[">120</a></th>", "1\u{202f}234\u{202f}567"]);
    let first = first.hides(&[">70</a></th>", "Newest bundles"]);
    let (before, _) = first.text.split_once("\" rel=\"next\"").unwrap();
    let next = before.rsplit_once("href=\"").unwrap().1;
    let second = site.get(next).is(200).shows(&[">70</a></th>", "Newest bundles"]);
    second.hides(&[">71</a></th>"]);
    for query in ["/bundles?before=x", "/bundles?before=1,1", "/bundles?before=%00"] {
        site.get(query).is(400);
    }
}

#[test]
fn a_database_that_is_away_is_told_and_what_was_typed_is_saved_once_when_it_is_back() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let line = Line::to(&east.database_url);
    let by_line =
        Node { name: east.name.clone(), folder: east.folder.clone(), database_url: line.url().to_owned() };
    by_line.configure("role = \"branch\"", &company.broker_url, SALES);
    let site = Site::of(east);
    let blank = site.get("/sales/new").is(200);
    let (form, csrf) = (hidden(&blank, "form"), blank.csrf());
    let typed = [&PAPER[..], &[("form", &*form), ("csrf", &*csrf)]].concat();
    line.goes_down();
    for path in ["/", "/sync", "/bundles", "/sales/1", "/sales/clear?from="] {
        site.get(path).is(503).shows(&["<strong>east</strong>", "check that the server runs"]);
    }
    let kept = site.post_as_is("/sales/new", &typed).is(503);
    kept.shows(&["The sale is not saved.", "name=\"product\" type=\"text\" value=\"Paper\"", &form]);
    line.is_repaired();
    site.post_as_is("/sales/new", &typed).is(303);
    site.post_as_is("/sales/new", &typed).is(303);
    assert_eq!(east.value("SELECT count(*) FROM public.sales"), "1");
}
