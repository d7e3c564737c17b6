//! Head office's ledger and the life of each bundle: what they tell is what the database and the archive have.

use std::collections::BTreeSet;
use std::fs;

use super::site::{Page, Site};
use crate::company::{Company, Node};
use crate::delivery::{enqueue, file, manifest_of, sealed, text};
use crate::forge::forged;

/// The address of a bundle of east.
fn address(head: &Node, sequence: u32) -> String {
    let sql = format!("SELECT epoch FROM salesync.bundle WHERE branch = 'east' AND sequence = {sequence}");
    format!("/bundles/east/{}/{sequence}", head.value(&sql))
}

fn links(page: &Page, start: &str) -> Vec<String> {
    let hrefs =
        page.text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&"));
    hrefs.filter(|href| href.starts_with(start)).collect()
}

fn rejected_address(page: &Page) -> String {
    links(page, "/bundles/_rejected/").remove(0)
}

#[test]
fn a_bundle_tells_its_whole_life() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    east.run(&["bundle"]).ok();
    company.sync();
    let site = Site::of(head);
    let page = site.get(&address(head, 2)).is(200);
    let rfc = |column: &str| {
        let sql = "SELECT to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                   FROM salesync.bundle WHERE sequence = 2";
        head.value(&sql.replace("{}", column))
    };
    let fact = |column: &str| head.value(&format!("SELECT {column} FROM salesync.bundle WHERE sequence = 2"));
    let previous = head.value("SELECT manifest_sha256 FROM salesync.bundle WHERE sequence = 1");
    let page = page.shows(&[
        "<h1>Bundle 2 of east</h1>",
        "<span class=\"badge ok\">applied</span>",
        &fact("bundle_id"),
        &fact("manifest_sha256"),
        &previous,
        &rfc("created_at"),
        &rfc("received_at"),
        &rfc("applied_at"),
        "the branch&#39;s clock",
        "By the queue.",
        "A broker has it.",
        "Rows added: 1, overwritten: 0, deleted: 0.",
        "salesync-receipt/1",
        "public.sales, inserts: 1",
    ]);
    let taken_at = company.branch().value(
        "SELECT to_char(cut_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
         FROM salesync.bundle WHERE sequence = 2",
    );
    let station = "<th scope=\"row\">Cut</th>\n<td data-label=\"When\"><time datetime=";
    let page = page.shows(&[&format!("{station}\"{taken_at}\"")]);
    // Rows and six sums of each of both ends, and the chain.
    assert_eq!(page.text.matches("<span class=\"badge ok\">equal</span>").count(), 8, "{}", page.text);
    assert!(!page.text.contains(">different<"), "{}", page.text);
    // When it was published its branch tells with the next one.
    page.shows(&["the branch tells it with a later bundle", "By the queue.", "or was about to"]);
    east.sell("Pens");
    company.sync();
    let page = site.get(&address(head, 2)).is(200).hides(&["the branch tells it with a later bundle"]);
    for (name, column) in [("Published", "published_at"), ("Confirmed", "confirmed_at")] {
        let at = east.value(&format!(
            "SELECT to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM salesync.bundle WHERE sequence = 2"
        ));
        let station =
            format!("<th scope=\"row\">{name}</th>\n<td data-label=\"When\"><time datetime=\"{at}\"");
        assert!(page.text.contains(&station), "{station}: {}", page.text);
    }
    let of = |node: &Node| {
        node.value("SELECT string_agg(sequence || ' ' || extract(epoch FROM published_at) || ' ' || extract(epoch FROM confirmed_at), ', ' ORDER BY sequence) FROM salesync.bundle WHERE confirmed_at IS NOT NULL AND sequence < 3")
    };
    assert_eq!(of(head), of(east));
    assert_eq!(
        east.value(
            "SELECT string_agg(sequence::text, ' ' ORDER BY sequence) FROM salesync.bundle WHERE is_told"
        ),
        "1 2"
    );
    let before = links(&page, "/bundles/east/").into_iter().find(|link| link.ends_with("/1")).unwrap();
    site.get(&before).is(200).shows(&["<h1>Bundle 1 of east</h1>", "the first bundle of its epoch"]);
}

#[test]
fn totals_that_differ_are_told() {
    let company = sealed(1);
    company.branch().run(&["bundle"]).ok();
    company.sync();
    let head = &company.head_office;
    head.sql(
        "UPDATE salesync.receipt SET body = replace(body, '\"sum\":\"10.69\"', '\"sum\":\"10.68\"') WHERE outcome = 'applied'",
    );
    let page = Site::of(head).get(&address(head, 1)).is(200);
    page.shows(&["<span class=\"badge trouble\">different</span>", ">10.69<", ">10.68<"]);
}

#[test]
fn the_file_that_is_fetched_is_the_archives() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    east.run(&["bundle"]).ok();
    let mut damaged = fs::read(&east.bundles()[0]).unwrap();
    damaged[600] ^= 1;
    enqueue(&company, "east", &damaged);
    head.run(&["apply"]).exits(3);
    let site = Site::of(head);
    let page = site.get(&format!("{}/file", address(head, 1))).is(200);
    assert_eq!(
        page.bytes,
        fs::read(head.bundles().iter().find(|path| !text(path).contains("_rejected")).unwrap()).unwrap()
    );
    assert_eq!(page.header("content-type"), "application/x-tar");
    assert!(page.header("content-disposition").ends_with("_0000000001.bundle\""), "{page:?}");
    assert_eq!(page.header("content-length"), page.bytes.len().to_string());
    let rejected = rejected_address(&site.get("/bundles?outcome=rejected").is(200));
    site.get(&rejected).is(200).shows(&["The file is damaged", "<h1>Rejected bundle of east</h1>"]);
    assert_eq!(site.get(&format!("{rejected}/file")).is(200).bytes, damaged);
}

#[test]
fn no_address_reaches_a_file_that_the_ledger_does_not_know() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    east.run(&["bundle"]).ok();
    company.sync();
    let site = Site::of(head);
    let good = address(head, 1);
    // A file that lies in the archive and is in no ledger.
    let known = head.bundles().remove(0);
    fs::copy(&known, known.with_file_name("0000000009.bundle")).unwrap();
    head.sql("INSERT INTO salesync.incident (branch, kind, detail, file) VALUES
              ('east', 'rejected', 'x', '../../../../etc/passwd'), ('east', 'rejected', 'x', 'salesync.toml'),
              ('..', 'rejected', 'x', repeat('a', 64) || '.bundle'), (NULL, 'rejected', 'x', repeat('b', 64) || '.bundle')");
    let addresses = [
        good.replace("/1", "/9"),
        good.replace("/1", "/0"),
        good.replace("/1", "/18446744073709551616"),
        good.replace("east", "west"),
        good.replace("east", "..%2feast"),
        good.replace("east", "_rejected"),
        "/bundles/east/..%2f..%2fsalesync.toml/1".to_owned(),
        "/bundles/_rejected/1".to_owned(),
        "/bundles/_rejected/2".to_owned(),
        "/bundles/_rejected/3".to_owned(),
        "/bundles/_rejected/4".to_owned(),
        "/bundles/_rejected/-1".to_owned(),
        "/bundles/_rejected/x%00".to_owned(),
    ];
    for address in addresses {
        site.get(&format!("{address}/file")).is(404).hides(&["root:", "[database]"]);
        assert!([200, 404].contains(&site.get(&address).status), "{address}");
    }
    site.get("/bundles/_rejected/1").is(200).shows(&["is no file of the archive"]);
}

#[test]
fn a_file_that_is_missing_damaged_or_another_is_told() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    east.run(&["bundle"]).ok();
    company.sync();
    let site = Site::of(head);
    let [first, second] = &head.bundles()[..] else { panic!("two bundles") };
    let bytes = fs::read(first).unwrap();
    let mut damaged = bytes.clone();
    let last = damaged.len() - 1500;
    damaged[last] ^= 1;
    fs::write(first, &damaged).unwrap();
    site.get(&address(head, 1)).is(200).shows(&["The file is damaged", "applied"]);
    fs::copy(second, first).unwrap();
    site.get(&address(head, 1)).is(200).shows(&["is another bundle than the one that the ledger knows"]);
    fs::remove_file(first).unwrap();
    site.get(&address(head, 1)).is(200).shows(&["The file is not in the archive any more", "applied"]);
    site.get(&format!("{}/file", address(head, 1))).is(404);
    fs::create_dir(first).unwrap();
    site.get(&address(head, 1)).is(200).shows(&["The file cannot be read"]);
}

#[test]
fn the_first_rows_are_shown_and_are_no_script() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("<script>alert(1)</script>");
    (0..3).for_each(|number| east.sell(&format!("Ink {number}")));
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-02', '', 'Tea ' || n, 1, 1, 1, 0, 1 FROM generate_series(1, 60) n",
    );
    company.sync();
    let page = Site::of(head).get(&address(head, 1)).is(200);
    let page = page.hides(&["<script>alert", "Tea 50<"]);
    page.shows(&[
        "&#60;script&#62;alert(1)&#60;/script&#62;",
        "<td>Tea 46</td>",
        "<td class=\"num\">1.00</td>",
        "14 more; a page shows 50 at most",
    ]);
}

#[test]
fn a_held_and_a_rejected_bundle_have_a_page_with_what_was_decided() {
    let company = sealed(3);
    let (east, head) = (company.branch(), &company.head_office);
    let bundles = east.bundles();
    head.run(&["apply", text(&bundles[0])]).ok();
    head.run(&["apply", text(&bundles[2])]).exits_with_any(&[0, 3]);
    let fork = forged(&bundles[0], |manifest| manifest.tool = "another 0.1.0".to_owned());
    head.run(&["apply", text(&file(head, "fork.bundle", &fork))]).exits(3);
    let site = Site::of(head);
    let waiting = site.get(&address(head, 3)).is(200);
    waiting.shows(&[
        "<span class=\"badge waiting\">held</span>",
        "bundle 2 of east has not come",
        "As a file",
    ]);
    let first = site.get(&address(head, 1)).is(200);
    let first = first.shows(&[
        "<span class=\"badge ok\">applied</span>",
        "fork: bundle 1 of this epoch is known",
        "rejected, decided",
    ]);
    site.get(&rejected_address(&first))
        .is(200)
        .shows(&["public.sales, inserts: 1", &manifest_of(&file(head, "f", &fork)).1.to_string()]);
    // Nothing of this number has come.
    site.get(&address(head, 1).replace("/1", "/2")).is(404);
    head.run(&["reject", "east", "3", "--reason", "not <b>ours</b>"]).exits_with_any(&[0, 3]);
    let epoch = head.value("SELECT epoch FROM salesync.bundle");
    let page = site.get(&format!("/bundles/east/{epoch}/3")).is(200);
    page.shows(&[
        "<span class=\"badge trouble\">rejected</span>",
        "not &#60;b&#62;ours&#60;/b&#62;",
        "the rejected file",
    ]);
}

#[test]
fn a_bundle_that_was_held_and_then_applied_has_one_line_as_it_stands() {
    let company = sealed(3);
    let (east, head) = (company.branch(), &company.head_office);
    let bundles = east.bundles();
    head.run(&["apply", text(&bundles[0])]).ok();
    head.run(&["apply", text(&bundles[2])]).exits_with_any(&[0, 3]);
    let site = Site::of(head);
    let found = |query: &str| {
        let page = site.get(&format!("/bundles?{query}")).is(200);
        let mut found: Vec<_> = links(&page, "/bundles/east/")
            .iter()
            .map(|link| link.rsplit('/').next().unwrap().to_owned())
            .collect();
        found.sort();
        found
    };
    assert_eq!(
        (found("outcome=held"), found("outcome=applied")),
        (vec!["3".to_owned()], vec!["1".to_owned()])
    );
    head.run(&["apply", text(&bundles[1])]).ok();
    assert_eq!(head.value("SELECT count(*) FROM salesync.delivery WHERE sequence = 3"), "2");
    assert_eq!(found(""), ["1", "2", "3"]);
    assert_eq!((found("outcome=held"), found("outcome=applied").len()), (Vec::new(), 3));
}

#[test]
fn the_ledger_is_searched_by_all_that_it_says() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    for round in 1..=3 {
        company.branches.iter().for_each(|branch| branch.sell(&format!("Ink {round}")));
        company.sync();
    }
    let bundles = head.bundles();
    head.run(&["apply", text(&bundles[0])]).ok();
    let site = Site::of(head);
    let found = |query: &str| {
        let page = site.get(&format!("/bundles?{query}")).is(200);
        links(&page, "/bundles/")
            .iter()
            .map(|link| link.split('/').collect::<Vec<_>>())
            .filter(|parts| parts.len() == 5)
            .map(|parts| format!("{} {}", parts[2], parts[4]))
            .collect::<Vec<_>>()
    };
    let newest = found("");
    assert_eq!(newest.len(), 6);
    let expected = head.column("SELECT branch || ' ' || sequence FROM salesync.delivery WHERE outcome <> 'duplicate' ORDER BY delivery_id DESC");
    assert_eq!(newest, expected);
    assert_eq!(found("branch=west&sequence=2"), ["west 2"]);
    assert_eq!(found("branch=west&sequence=2-9").len(), 2);
    assert_eq!(found("outcome=duplicate"), ["east 1"]);
    assert_eq!(found("outcome=applied").len(), 6);
    assert_eq!(found("outcome=held"), Vec::<String>::new());
    let value = |column: &str| {
        head.value(&format!("SELECT {column} FROM salesync.bundle WHERE branch = 'west' AND sequence = 3"))
    };
    assert_eq!(found(&format!("hash={}", &value("manifest_sha256")[..12])), ["west 3"]);
    assert_eq!(found(&format!("id={}", value("bundle_id"))), ["west 3"]);
    assert_eq!(found(&format!("id={}", value("left(bundle_id::text, 35)"))), ["west 3"]);
    assert_eq!(found("id=f"), Vec::<String>::new());
    let today = value("(received_at AT TIME ZONE 'UTC')::date");
    assert_eq!(found(&format!("from={today}&to={today}")).len(), 6);
    assert_eq!(found("to=2020-01-01"), Vec::<String>::new());
    for query in [
        "branch=East",
        "outcome=x",
        "sequence=-",
        "id=x",
        "hash=%25",
        "from=99999-01-01",
        "before=x",
        "after=%00",
        "id=%FF",
    ] {
        site.get(&format!("/bundles?{query}")).is(400);
    }
}

#[test]
fn the_pages_of_the_ledger_reach_every_line_exactly_once_while_bundles_arrive() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    let bundle = east.bundles().remove(0);
    let again = |count: usize| {
        let files = vec![text(&bundle); count];
        head.run(&[&["apply"], &files[..]].concat()).ok();
    };
    again(121);
    let site = Site::of(head);
    let times = |page: &Page| links(page, "/bundles/east/").len();
    let mut page = site.get("/bundles?outcome=duplicate").is(200);
    let mut seen = vec![times(&page)];
    while let Some(older) = links(&page, "/bundles?").into_iter().find(|link| link.contains("before=")) {
        again(1);
        page = site.get(&older).is(200);
        seen.push(times(&page));
    }
    assert_eq!(seen, [50, 50, 20]);
    let mut seen = BTreeSet::new();
    let mut count = times(&page);
    while let Some(newer) = links(&page, "/bundles?").into_iter().find(|link| link.contains("after=")) {
        assert!(seen.insert(newer.clone()), "{newer} leads in a circle");
        page = site.get(&newer).is(200);
        count += times(&page);
    }
    assert_eq!(count, 122);
}
