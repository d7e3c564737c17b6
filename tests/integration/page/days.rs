//! The store-day board: what its words mean, that its sums are exact, and a day looked at anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

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
    records
        .map(|record| ((text(&record, 1), text(&record, 2)), [3, 4, 5, 6].map(|index| text(&record, index))))
        .collect()
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
                last_applied_at = last_applied_at - make_interval(days => {days}),
                known_since = known_since - make_interval(days => {days})"
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
    site.get("/days")
        .is(200)
        .shows(&["The rest of the day has yet to come.", "<dt class=\"ok\">complete</dt>"]);
}

#[test]
fn what_head_office_has_is_as_of_the_moment_when_the_cut_looked() {
    let company = Company::of_sales(&["east"]);
    let (head, east) = (&company.head_office, company.branch());
    sell(east, 0);
    let halted = east.halted(&["bundle"], "SnapshotTaken");
    // Not in the cut, though its first bundle is sealed later.
    sell(east, 0);
    let sold_at = east.value("SELECT clock_timestamp()");
    halted.go_on().ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "1");
    let is_earlier = format!("SELECT data_as_of <= '{sold_at}' FROM salesync.branch");
    assert_eq!(head.value(&is_earlier), "true", "a day that ended meanwhile would be called complete");
}

#[test]
fn a_day_that_no_calendar_has_keeps_no_page_from_showing() {
    let company = Company::of_sales(&["east"]);
    company.branch().sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES ('-infinity', 'East', 'Ink', 1, 10.00, 10.00, 0.70, 10.70), ('infinity', 'East', 'Ink', 0, 0, 0, 0, 0),
                ('0044-03-15 BC', 'East', 'Ink', 0, 0, 0, 0, 0), ('300000-01-01', 'East', 'Ink', 0, 0, 0, 0, 0)",
    );
    company.sync();
    company.branch().sql("DELETE FROM public.sales WHERE date = '0044-03-15 BC'");
    company.sync();
    let site = Site::of(&company.head_office);
    for path in ["/", "/days", "/sales", "/bundles", "/incidents", "/metrics"] {
        site.get(path).is(200);
    }
    Site::of(company.branch()).get("/").is(200);
}

#[test]
fn while_bundles_are_held_missing_or_rejected_no_day_is_complete() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    sell(east, 1);
    company.sync();
    let site = Site::of(head);
    assert_eq!(states(&site, "east", 2), ["so far", "complete"]);
    sell(east, 5);
    east.run(&["bundle"]).ok();
    let mut broker = company.broker();
    let lost = broker.next_bundle("east").unwrap().expect("a message");
    broker.acknowledge(lost).unwrap();
    sell(east, 6);
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    assert_eq!(states(&site, "east", 3), ["so far", "partial", "partial"]);
    site.get("/days").is(200).shows(&["It may yet be changed: 1 bundle held, 1 bundle missing."]);
    let yesterday = format!("/days/east/{}", day(head, 1));
    site.get(&yesterday).is(200).shows(&["partial", "1 bundle held, 1 bundle missing.", "counted just now"]);
    // The lost one comes after all.
    head.run(&["apply", east.bundles()[1].to_str().unwrap()]).ok();
    assert_eq!(
        states(&site, "east", 7),
        ["so far", "complete", "no sales", "no sales", "no sales", "complete", "complete"]
    );
}

#[test]
fn in_the_middle_of_a_cut_no_day_is_complete_and_nothing_is_compared() {
    let options = format!("[bundle]\nmax_bytes = \"64 KiB\"\n{SALES}");
    let company = Company::new(&["east"], &options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    sell(east, 1);
    company.sync();
    let site = Site::of(head);
    assert_eq!(states(&site, "east", 2), ["so far", "complete"]);
    let before = head.value("SELECT data_as_of FROM salesync.branch");
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT now()::date - 1, md5(n::text), md5((-n)::text), 1, 1, 1, 0, 1 FROM generate_series(1, 4000) n",
    );
    east.run(&["bundle", "--offline"]).ok();
    let parts = &east.bundles()[1..];
    assert!(parts.len() > 1);
    head.run(&["apply", parts[0].to_str().unwrap()]).ok();
    assert_eq!(states(&site, "east", 2), ["so far", "partial"]);
    assert_eq!(head.value("SELECT data_as_of FROM salesync.branch"), before);
    let yesterday = format!("/days/east/{}", day(head, 1));
    site.get(&yesterday).is(200).shows(&[
        "not compared",
        "a part of a change set has yet to come",
        ">1</td>",
    ]);
    for part in &parts[1..] {
        head.run(&["apply", part.to_str().unwrap()]).ok();
    }
    assert_eq!(states(&site, "east", 2), ["so far", "complete"]);
    // As of the snapshot, and not of any part of it. All of them say so.
    let taken_at = east.value("SELECT DISTINCT cut_at FROM salesync.bundle WHERE sequence > 1");
    assert_eq!(head.value("SELECT data_as_of FROM salesync.branch"), taken_at);
    let said = |part: &PathBuf| {
        let json = east.run(&["inspect", "--json", part.to_str().unwrap()]).ok().json();
        json["manifest"]["cut"]["taken_at"].as_str().unwrap().to_owned()
    };
    assert_eq!(parts.iter().map(said).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn a_sale_that_is_committed_between_the_snapshot_and_the_seal_keeps_its_day_from_being_complete() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    sell(east, 1);
    let halted = east.halted(&["bundle"], "SnapshotTaken");
    let later = east.value("SELECT clock_timestamp()");
    sell(east, 1);
    halted.go_on().ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.value(&format!("SELECT created_at > '{later}' FROM salesync.bundle")), "true");
    // As if it had been midnight just before that sale.
    head.sql(&format!(
        "UPDATE salesync.branch
         SET data_as_of = data_as_of - ('{later}' - date_trunc('day', timestamptz '{later}'))"
    ));
    let site = Site::of(head);
    assert_eq!(states(&site, "east", 2), ["not yet", "partial"]);
    assert_eq!(rows_of_yesterday(&site, head), "1");
    site.get("/").is(200).hides(&["complete up to yesterday"]);
    company.sync();
    assert_eq!(states(&site, "east", 2), ["so far", "complete"]);
    assert_eq!(rows_of_yesterday(&site, head), "2");
    site.get("/").is(200).shows(&["complete up to yesterday"]);
}

fn rows_of_yesterday(site: &Site, head: &Node) -> String {
    cells(site, "")[&("east".to_owned(), day(head, 1))][1].clone()
}

/// What stands in these elements, without thin spaces.
fn texts<'p>(page: &'p Page, before: &str, after: &str) -> Vec<String> {
    let parts = page.text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap());
    parts.map(|text: &'p str| text.replace('\u{202f}', "")).collect()
}

#[test]
fn the_sums_of_the_board_are_those_of_the_table_to_the_cent() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    for (branch, number) in company.branches.iter().zip([40, 13]) {
        branch.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT now()::date - n % 5, 'East', 'Ink', n, 1234.57, n * 1234.57, n * 0.01, n * 1234.58
             FROM generate_series(1, {number}) n"
        ));
    }
    company.sync();
    let page = Site::of(head).get("/days?days=7").is(200);
    let sum = |condition: &str| {
        head.value(&format!("SELECT coalesce(sum(total), 0) FROM public.sales WHERE {condition}"))
    };
    // Of each branch, then of all; the sum of all days, then of each, today first.
    let shown = texts(&page, "<td class=\"sum\"><b>", "</b>");
    let days = (0..7)
        .map(|ago| sum(&format!("date = now()::date - {ago}")))
        .map(|sum| if sum == "0" { "0".to_owned() } else { sum });
    let all = [sum("branch = 'east'"), sum("branch = 'west'"), sum("true")];
    assert_eq!(shown, all.into_iter().chain(days).collect::<Vec<_>>());
    let cells = cells(&Site::of(head), "?days=7");
    assert_eq!(cells.len(), 14);
    for ((branch, day), [_, rows, total, _]) in cells.iter().filter(|(_, cell)| !cell[1].is_empty()) {
        let condition = format!("branch = '{branch}' AND date = '{day}'");
        assert_eq!(*total, sum(&condition), "{condition}");
        assert_eq!(
            *rows,
            head.value(&format!("SELECT count(*) FROM public.sales WHERE {condition}")),
            "{condition}"
        );
    }
}

#[test]
fn a_day_is_counted_anew_when_it_is_opened() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    sell(east, 2);
    company.sync();
    sell(east, 1);
    company.sync();
    let site = Site::of(head);
    let path = format!("/days/east/{}", day(head, 2));
    let epoch = head.value("SELECT epoch FROM salesync.branch");
    site.get(&path).is(200).shows(&[
        "<span class=\"badge ok\">equal</span>",
        &format!("/bundles/east/{epoch}/1\">bundle 1</a>"),
        "One bundle was applied since and did not touch this day.",
    ]);
    head.sql("UPDATE public.sales SET tax = tax + 1; INSERT INTO public.sales
              SELECT branch, 99, date + 50, region, product, qty, cost, amt, tax, total FROM public.sales LIMIT 1");
    site.get(&path).is(200).shows(&[
        "different",
        "1.70 <span class=\"badge trouble\">differs</span>",
        "request east --full",
    ]);
    let with_more = head.value("SELECT max(date) FROM public.sales");
    site.get(&format!("/days/east/{with_more}")).is(200).shows(&["Head office has 1 row on this day"]);
    // The board says what was true when it was applied, and says so.
    site.get("/days").is(200).shows(&["opening a day counts it again now"]);
}

#[test]
fn a_table_with_an_odd_name_is_a_table() {
    let name = "\"<script>alert(1)</script>&x\"";
    let options = format!("{SALES}[[table]]\nname = 'public.{name}'\nday = \"at\"\n");
    let company = Company::new(&["east"], &options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.sql(&format!(
        "CREATE TABLE public.{name} (no integer PRIMARY KEY, at date NOT NULL, amount numeric)"
    ));
    east.run(&["init", "--with-sales"]).ok();
    east.sql(&format!(
        "INSERT INTO public.{name} VALUES (1, now()::date - 1, 3.50), (2, now()::date - 1, 'NaN')"
    ));
    sell(east, 1);
    company.sync();
    let site = Site::of(head);
    let escaped = ["<option>public.&#34;&#60;script&#62;"];
    site.get("/days")
        .is(200)
        .shows(&escaped)
        .shows(&["<caption><span>public.sales: total and rows"])
        .hides(&["<script>"]);
    let page = site.get("/days?days=7&table=public.%22%3Cscript%3Ealert(1)%3C%2Fscript%3E%26x%22").is(200);
    page.shows(&["amount and rows", "<b>3.50</b><small>2 rows</small><small>1 not a number</small>"])
        .hides(&["<script>alert"]);
    site.get(&format!("/days/east/{}", day(head, 1)))
        .is(200)
        .shows(&["3.50 and 1 NaN or infinite"])
        .hides(&["<script>alert"]);
}

#[test]
fn what_is_asked_wrongly_is_answered_clearly() {
    let company = Company::of_sales(&["east"]);
    sell(company.branch(), 1);
    company.sync();
    let site = Site::of(&company.head_office);
    for query in [
        "until=99999-01-01",
        "until=-0001-01-01",
        "until=2026-02-30",
        "until=x%00",
        "days=8",
        "days=-7",
        "table=nope",
        "until=%ff",
    ] {
        site.get(&format!("/days?{query}")).is(400).shows(&["<h1"]);
        site.get(&format!("/days.csv?{query}")).is(400);
    }
    for path in [
        "/days/nobody/2026-01-01",
        "/days/east/2026-13-01",
        "/days/east/99999-01-01",
        "/days/EAST/2026-01-01",
        "/days/east",
        "/days/%ff/2026-01-01",
    ] {
        let status = site.get(path).status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    // As far as the calendar goes.
    for query in ["until=0001-01-01&days=31", "until=9999-12-31", "until=&days=&table="] {
        site.get(&format!("/days?{query}")).is(200);
    }
    site.get("/days/east/0001-01-01").is(200);
    site.get("/days/east/9999-12-31").is(200);
}

#[test]
fn other_days_are_a_link_away() {
    let company = Company::of_sales(&["east"]);
    company.branch().sell("Ink");
    company.sync();
    let site = Site::of(&company.head_office);
    // Nobody has sold anything lately, and nothing is missed: it opens where there is something.
    let today = format!("href=\"/days?until={}&amp;days=14\"", day(&company.head_office, 0));
    site.get("/days").is(200).shows(&["These are the newest days", "10.69", &today]);
    let of_today = format!("/days?until={}", day(&company.head_office, 0));
    site.get(&of_today)
        .is(200)
        .shows(&["The newest business day is 2021-05-02.", "href=\"/days?until=2021-05-02&amp;days=14\""])
        .hides(&["10.69"]);
    let page = site.get("/days?until=2021-05-02&days=7").is(200);
    page.shows(&[
        "href=\"/days?until=2021-04-25&amp;days=7\"",
        "href=\"/days?until=2021-05-09&amp;days=7\"",
        "10.69",
    ]);
    // But days that are missed are told, and not hidden behind older ones.
    age(&company.head_office, 3);
    site.get("/days").is(200).shows(&[">missing</small>"]).hides(&["10.69", "These are the newest days"]);
}
