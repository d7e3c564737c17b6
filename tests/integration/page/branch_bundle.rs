//! A branch's page of a bundle: its life as the branch knows it, its content, its file.

use std::fs;

use super::site::{Page, Site};
use crate::company::{Company, Node};

/// The address of the newest bundle, as the list has it.
fn newest(site: &Site) -> String {
    let list = site.get("/bundles").is(200);
    let (_, rest) = list.text.split_once("href=\"/bundles/").expect("a link to a bundle");
    format!("/bundles/{}", rest.split('"').next().unwrap())
}

/// What the branch has noted, as a page writes it.
fn noted(node: &Node, column: &str) -> String {
    let sql = format!(
        "SELECT to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM salesync.bundle"
    );
    node.value(&sql)
}

fn not_yet(page: &Page) -> usize {
    page.text.matches(">not yet</td>").count()
}

#[test]
fn a_bundle_tells_its_life_at_its_branch_from_the_cut_to_the_receipt() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("<b>Paper</b>");
    east.run(&["bundle", "--offline"]).ok();
    let site = Site::of(east);
    let address = newest(&site);
    let page = site.get(&address).is(200);
    assert_eq!(not_yet(&page), 4, "{}", page.text);
    page.shows(&[
        "<h1>Bundle 1</h1>",
        "waits for the line",
        "Part 1, the last, of the snapshot",
        &noted(east, "cut_at"),
        &noted(east, "sealed_at"),
        &east.value("SELECT manifest_sha256 FROM salesync.bundle"),
        "1 row, 0 tombstones",
        "known at one end",
        "public.sales, inserts: 1",
        "&#60;b&#62;Paper&#60;/b&#62;",
    ]);

    east.run(&["bundle"]).ok();
    let page = site.get(&address).is(200);
    assert_eq!(not_yet(&page), 2, "{}", page.text);
    page.shows(&[
        "sent, not confirmed",
        "A broker has it on disk.",
        &noted(east, "published_at"),
        &noted(east, "confirmed_at"),
    ]);

    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    let page = site.get(&address).is(200);
    assert_eq!(not_yet(&page), 0, "{}", page.text);
    // Rows and six sums of each of both ends.
    assert_eq!(page.text.matches("<span class=\"badge ok\">equal</span>").count(), 7, "{}", page.text);
    page.shows(&[
        "at head office",
        "Rows added: 1, overwritten: 0, deleted: 0.",
        &noted(east, "applied_at"),
        "Head office&#39;s answer came: applied.",
        "salesync-receipt/1",
    ]);

    let file = site.get(&format!("{address}/file")).is(200);
    assert_eq!(file.bytes, fs::read(&east.bundles()[0]).unwrap());
    assert!(file.header("content-disposition").ends_with("_0000000001.bundle\""), "{file:?}");
    fs::copy(&east.bundles()[0], east.bundles()[0].with_file_name("0000000009.bundle")).unwrap();
    for nowhere in [
        address.replace("/1", "/9"),
        address.replace("/1", "/0"),
        address.replace("/1", "/-1"),
        address.replace("/1", "/99999999999999999999"),
        "/bundles/..%2f..%2fsalesync.toml/1".to_owned(),
        "/bundles/%00/1".to_owned(),
    ] {
        site.get(&nowhere).is(404);
        site.get(&format!("{nowhere}/file")).is(404).hides(&["[database]"]);
    }
    let file = east.bundles().into_iter().find(|path| path.ends_with("0000000001.bundle")).unwrap();
    fs::remove_file(file).unwrap();
    site.get(&address).is(200).shows(&["The file is not in the archive any more", "at head office"]);
    site.get(&format!("{address}/file")).is(404);
}
