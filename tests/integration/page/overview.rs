//! Head office's overview: the state in a sentence, trouble first, figures that are those of `status`.

use std::fs;

use chrono::TimeDelta;
use salesync::sandbox::wait_until;
use serde_json::Value;

use super::site::{Page, Site};
use super::world::eventful_company;
use crate::company::{Company, Node};
use crate::forge::forged;

/// Longer than a round of questions to the broker, on a busy machine.
const LIMIT: std::time::Duration = std::time::Duration::from_mins(2);

/// What the page shows of a branch.
fn line<'p>(page: &'p Page, branch: &str) -> &'p str {
    let start = page.text.find(&format!("<tbody id=\"branch-{branch}\">")).expect("a line of this branch");
    let rest = &page.text[start..];
    &rest[..rest.find("</tbody>").unwrap()]
}

fn headline(page: &Page) -> &str {
    let (_, rest) = page.text.split_once("<h1 class=\"headline").expect("a headline");
    rest.split_once('>').unwrap().1.split_once("</h1>").unwrap().0
}

/// The page once it says this.
fn once(site: &Site, words: &str) -> Page {
    let found = wait_until(LIMIT, words, || {
        let page = site.get("/").is(200);
        Ok(page.text.contains(words).then_some(page))
    });
    found.unwrap_or_else(|error| panic!("{error}: {}", site.get("/").text))
}

fn shows_all(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

#[test]
fn a_head_office_that_knows_no_branch_says_what_to_do() {
    let company = Company::new(&[], "");
    company.head_office.run(&["init"]).ok();
    let page = Site::of(&company.head_office).get("/").is(200);
    assert_eq!(headline(&page), "Head office knows no branch yet");
    page.shows(&["<code>[branches.east]</code>", "<code>salesync init</code>"]).hides(&["<table"]);
}

#[test]
fn before_anything_has_come_a_branch_is_new_and_then_it_is_complete_up_to_yesterday() {
    let long = "b".repeat(63);
    let company = Company::of_sales(&["east", &long]);
    let site = Site::of(&company.head_office);
    let page = site.get("/").is(200);
    assert_eq!(headline(&page), "Nothing has come from any branch yet");
    shows_all(line(&page, &long), &["New", "Nothing has come from it yet."]);
    company.branches[0].sell("Ink");
    company.sync();
    let page = site.get("/").is(200);
    assert_eq!(headline(&page), "All 2 branches are complete up to yesterday");
    shows_all(
        line(&page, "east"),
        &["badge ok", "Fine", "10.69", "1 row, 2021-05-02", "/days/east/2021-05-02"],
    );
    // What head office knows of its branches is read again when it has changed.
    let known = "[branches.east]\nexpect_every = \"1ms\"\n";
    company.head_office.configure("role = \"head-office\"", &company.broker_url, known);
    shows_all(line(&once(&site, ">Late<"), "east"), &["expected every 0 s"]);
}

#[test]
fn each_trouble_stands_first_with_its_sentence_and_its_command() {
    let company = eventful_company();
    let page = Site::of(&company.head_office).get("/").is(200);
    assert_eq!(headline(&page), "5 of 6 branches need you");
    page.shows_in_order(&[
        "branch-north",
        "branch-south",
        "branch-west",
        "branch-harbour",
        "branch-island",
        "branch-east",
    ]);
    shows_all(line(&page, "east"), &["badge ok", "Fine"]);
    shows_all(
        line(&page, "harbour"),
        &["Late", "expected every 26 h", "salesync request harbour --sync-now"],
    );
    shows_all(
        line(&page, "island"),
        &["Late", "Nothing has ever come from it, known for 3 days", "salesync request island --sync-now"],
    );
    shows_all(
        line(&page, "north"),
        &["Gap", "has not come", "salesync request north --resend 3", "1 held, 1 missing"],
    );
    shows_all(line(&page, "south"), &["Rejected", "1 bundle was rejected", "salesync retry south"]);
    shows_all(line(&page, "west"), &["Decide", "waits for your decision", "salesync approve west 3"]);
    for branch in ["north", "south", "west"] {
        shows_all(line(&page, branch), &[&format!("href=\"/incidents?branch={branch}\"")]);
    }
    // Whatever `status` says of a branch, the page says too.
    let status = company.head_office.run(&["status", "--json"]).ok().json();
    for branch in status["branches"].as_array().unwrap() {
        let text = line(&page, branch["branch"].as_str().unwrap());
        assert_eq!(text.contains(">Late<"), branch["late"].as_bool().unwrap(), "{text}");
        for (name, count) in [
            ("held", len(&branch["held"])),
            ("missing", len(&branch["missing"])),
            ("rejected", branch["rejected"].as_u64().unwrap()),
        ] {
            assert_eq!(text.contains(&format!("{count} {name}")), count > 0, "{name} in {text}");
        }
        if let Some(sequence) = branch["last_sequence"].as_u64() {
            shows_all(text, &[&format!(">{sequence}</a>"), &branch["data_as_of"].as_str().unwrap()[..16]]);
        }
    }
}

fn len(list: &Value) -> u64 {
    list.as_array().unwrap().len() as u64
}

#[test]
fn the_sum_is_that_of_today_or_of_the_newest_business_day() {
    let company = Company::of_sales(&["east", "west"]);
    let site = Site::of(&company.head_office);
    for branch in &company.branches {
        branch.sell("<script>alert(1)</script>");
    }
    company.sync();
    site.get("/").is(200).shows(&["Newest business day, 2 May 2021", "21.38", "total of 2 rows, 2 branches"]);
    // What is dated ahead does not count.
    company.branches[0].sql(
        "UPDATE public.sales SET date = now()::date WHERE id = 1;
         INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES ('2999-01-01', 'East', 'Ink', 1, 1, 1, 0, 1)",
    );
    company.sync();
    site.get("/").is(200).shows(&["<dt>Today, ", "10.69", "total of 1 row, 1 branch", "1 row, today"]);
}

#[test]
fn how_many_bundles_wait_at_the_broker_is_asked_in_the_background() {
    let company = Company::of_sales(&["east", "west"]);
    company.branches[0].sell("Ink");
    company.branches[0].run(&["bundle"]).ok();
    let site = Site::of(&company.head_office);
    let page = once(&site, "<dd>1 bundle</dd>");
    shows_all(line(&page, "east"), &["<td class=\"num\" data-label=\"In its queue\">1</td>"]);
    shows_all(line(&page, "west"), &["<td class=\"num\" data-label=\"In its queue\">0</td>"]);
}

/// Head office's configuration with this section in place of its broker's.
fn with_broker(node: &Node, section: &str) {
    let file = node.folder.join("salesync.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("[broker]\n").unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    fs::write(file, format!("{before}{section}{after}")).unwrap();
}

#[test]
fn a_broker_that_is_away_is_told_and_one_that_is_not_configured_is_no_matter() {
    let company = Company::of_sales(&["east"]);
    company.branch().sell("Ink");
    company.sync();
    with_broker(&company.head_office, "[broker]\nurl = \"amqp://guest:s3cret@127.0.0.1:1/x\"\n");
    let page = once(&Site::of(&company.head_office), "broker not reachable since");
    page.shows(&["nothing listens there", "east is complete up to yesterday"]).hides(&["s3cret"]);
    with_broker(&company.head_office, "");
    let page = Site::of(&company.head_office).get("/").is(200);
    page.shows(&["east is complete up to yesterday"]).hides(&["queue", "broker"]);
}

#[test]
fn a_clock_that_is_ahead_an_unfinished_cut_and_open_requests_are_told() {
    let company = Company::of_sales(&["east", "west"]);
    company.branches.iter().for_each(|branch| branch.sell("Ink"));
    company.sync();
    company.head_office.run(&["request", "east", "--resend", "1..3"]).ok();
    company.head_office.sql(
        "UPDATE salesync.bundle SET created_at = received_at + interval '5 minutes' WHERE branch = 'east';
         UPDATE salesync.branch SET is_at_cut = false WHERE name = 'west'",
    );
    let page = Site::of(&company.head_office).get("/").is(200);
    assert_eq!(headline(&page), "1 of 2 branches is complete up to yesterday");
    shows_all(
        line(&page, "east"),
        &["300.0 s ahead", "Its clock is ahead by 5 min or more.", "Asked for bundles 1 to 3"],
    );
    shows_all(line(&page, "west"), &["In the middle", "has yet to come"]);
}

#[test]
fn data_is_as_of_the_cut_and_never_newer_than_the_day_it_came() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.run(&["bundle", "--offline"]).ok();
    // A branch whose clock is a day ahead.
    let bundle = forged(&east.bundles()[0], |manifest| {
        manifest.cut.taken_at += TimeDelta::days(1);
        manifest.created_at += TimeDelta::days(1);
    });
    let file = east.folder.join("ahead.bundle");
    fs::write(&file, bundle).unwrap();
    head.run(&["apply", file.to_str().unwrap()]).ok();
    let came = head.value("SELECT received_at FROM salesync.bundle");
    assert_eq!(head.value("SELECT data_as_of FROM salesync.branch"), came);
    let page = Site::of(head).get("/").is(200);
    shows_all(line(&page, "east"), &["just now", "Its clock is ahead by"]);
    assert_eq!(headline(&page), "east is complete up to yesterday");
}

#[test]
fn a_server_whose_clock_is_ahead_does_not_keep_the_branch_from_cutting() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql(
        "ALTER FUNCTION pg_catalog.transaction_timestamp() RENAME TO right_transaction_timestamp;
         CREATE FUNCTION pg_catalog.transaction_timestamp() RETURNS timestamptz STABLE LANGUAGE sql
         RETURN pg_catalog.clock_timestamp() + interval '1 hour'",
    );
    east.sell("Ink");
    east.run(&["bundle", "--offline"]).ok();
    let file = &east.bundles()[0];
    let manifest = &east.run(&["inspect", "--json", file.to_str().unwrap()]).ok().json()["manifest"];
    assert_eq!(manifest["created_at"], manifest["cut"]["taken_at"]);
    head.run(&["apply", file.to_str().unwrap()]).ok();
    let sql = "SELECT r.data_as_of = b.received_at AND b.created_at > b.received_at
               FROM salesync.branch r JOIN salesync.bundle b ON b.branch = r.name";
    assert_eq!(head.value(sql), "true");
}
