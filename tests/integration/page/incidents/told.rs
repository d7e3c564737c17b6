//! What was: the audit trail, and words from elsewhere that must not do anything but be read.

use super::{form, press, question, with_a_rejected_bundle};
use crate::company::Company;
use crate::decisions::with_sales;
use crate::page::site::{Page, Site};

fn rows(page: &Page) -> usize {
    page.text.matches("<td data-label=\"When\">").count()
}

fn older(page: &Page) -> Option<String> {
    let (before, _) = page.text.split_once("\" rel=\"next\">Older</a>")?;
    before.rsplit_once("href=\"").map(|(_, path)| super::unescaped(path).replace("#history", ""))
}

#[test]
fn the_trail_is_filtered_and_paged_without_losing_or_repeating_an_entry() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    // Many of the same moment, of all kinds: only their keys tell them apart.
    head.sql(
        "INSERT INTO salesync.incident (branch, kind, detail, happened_at)
         SELECT 'east', 'divergence', 'incident ' || n, timestamptz '2026-03-01 12:00Z' + (n / 40) * interval '1 day'
         FROM generate_series(1, 120) n;
         INSERT INTO salesync.decision (branch, verdict, sequence, reason, decided_by, decided_at, carried_out_at)
         SELECT CASE n % 2 WHEN 0 THEN 'east' ELSE 'west' END, 'approve', n, 'decision ' || n,
                CASE n % 4 WHEN 0 THEN 'Ann O''Hara' ELSE 'bob_%' END || ' as salesync',
                timestamptz '2026-03-01 12:00Z' + (n / 40) * interval '1 day', clock_timestamp()
         FROM generate_series(1, 80) n;
         INSERT INTO salesync.request (request_id, branch, wanted, body, requested_at, answered_at)
         SELECT gen_random_uuid(), 'west', 'sync', '', timestamptz '2026-03-01 12:00Z', clock_timestamp()
         FROM generate_series(1, 20)",
    );
    let site = Site::of(head);
    let all = |query: &str| {
        let mut page = site.get(&format!("/incidents?{query}")).is(200);
        let mut texts = vec![page.text.clone()];
        while let Some(path) = older(&page) {
            assert_eq!(rows(&page), 50, "only the last page is not full");
            page = site.get(&path).is(200);
            texts.push(page.text.clone());
        }
        let entries: Vec<String> = texts
            .iter()
            .flat_map(|text| text.split("<td data-label=\"When\">").skip(1))
            .map(|row| row.split("</tr>").next().unwrap().to_owned())
            .collect();
        entries
    };
    let entries = all("");
    assert_eq!(entries.len(), 220);
    for n in 1..=120 {
        assert_eq!(
            entries.iter().filter(|row| row.contains(&format!(">incident {n}<"))).count(),
            1,
            "incident {n}"
        );
    }
    for n in 1..=80 {
        assert_eq!(
            entries.iter().filter(|row| row.contains(&format!(">decision {n}<"))).count(),
            1,
            "decision {n}"
        );
    }
    let days: Vec<&str> = entries.iter().map(|row| &row.split_once("datetime=\"").unwrap().1[..10]).collect();
    assert!(days.is_sorted_by(|newer, older| newer >= older), "the newest come first: {days:?}");

    assert_eq!(all("branch=west").len(), 60);
    assert_eq!(all("kind=divergence").len(), 120);
    assert_eq!(all("kind=request").len(), 20);
    assert_eq!(all("kind=approve&branch=east").len(), 40);
    assert_eq!(all("person=ann+o%27h").len(), 20);
    assert_eq!(all("person=_%25").len(), 60, "these are letters, not wildcards");
    assert_eq!(all("from=2026-03-02&until=2026-03-03&kind=divergence").len(), 80);
    assert_eq!(all("until=2026-03-01&kind=divergence").len(), 39);
}

#[test]
fn words_from_a_bundle_from_a_person_and_from_head_office_are_only_read() {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    // A row that head office refuses, whose words would rewrite a terminal or a page.
    head.sql("ALTER TABLE public.sales ADD CONSTRAINT plain CHECK (product !~ '<')");
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES ('2021-05-02', 'East', E'\\x1b[2J<script>alert(1)</script>\\nhead: all is well', 1, 1, 1, 0, 1)",
    );
    east.run(&["bundle"]).ok();
    let is_clean = |text: &str| {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        assert!(!text.contains('\u{202e}') && !text.contains("\nhead: all is well"), "{text:?}");
    };
    let printed = head.run(&["apply"]).exits(3);
    is_clean(&printed.stdout());
    is_clean(&printed.stderr());
    assert!(printed.stdout().contains("\\u{1b}[2J<script>"), "it is made visible: {}", printed.stdout());
    let told = east.run(&["bundle"]).exits(3);
    is_clean(&told.stdout());
    assert!(told.stdout().contains("\\u{1b}[2J<script>"), "{}", told.stdout());
    let site = Site::of(head);
    let page =
        site.get("/incidents").shows(&["\\u{1b}[2J&#60;script&#62;alert(1)"]).hides(&["<script>alert"]);
    is_clean(&page.text);

    // What a person writes is as harmless, here and at the branch.
    let asked = site.get(&question(&page, "Ask for everything…"));
    let reason = "\u{1b}]0;x\u{7} \u{202e}<b>again</b>";
    press(&site, &asked, "Ask for everything", &[("reason", reason)]);
    let kept = "\\u{1b}]0;x\\u{7} \\u{202e}<b>again</b>";
    assert_eq!(head.value("SELECT reason FROM salesync.decision"), kept);
    let page = site.get("/incidents").shows(&["\\u{202e}&#60;b&#62;again"]).hides(&["<b>again"]);
    is_clean(&page.text);
    let body = "SELECT count(*) FROM salesync.request WHERE published_at IS NOT NULL";
    salesync::sandbox::wait_until(super::LIMIT, body, || Ok((head.value(body) == "1").then_some(())))
        .unwrap();
    is_clean(&east.run(&["-v", "bundle"]).ok().stderr());
}

#[test]
fn a_fork_says_that_it_is_one() {
    let company = with_a_rejected_bundle();
    let head = &company.head_office;
    head.sql(
        "UPDATE salesync.incident SET detail = 'fork: bundle 2 of this epoch is known with another content (manifest x)'",
    );
    let page = Site::of(head)
        .get("/incidents")
        .shows(&["<span class=\"badge trouble\">fork</span>", "Two different bundles claim the same place"]);
    assert!(!form(&page, "Try again").is_empty());
}
