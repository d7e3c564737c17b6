//! What every page has to hold to, whatever it shows: they are found by following their links, and each is looked at on a
//! desk in light and dark, on a phone, and on the narrowest screen. What was seen is kept in `target/page`.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use thirtyfour::prelude::Key;

use super::browser::{Browser, DESK, PHONE, Screen};
use super::kinds::Kinds;
use super::picture::with_few_colours;
use super::site::Site;
use super::world::{busy_branch, eventful_company};
use crate::company::Company;

/// The pages that the documents show: kind, name of the picture, how they are looked at.
const SHOWN: [(&str, &str, Screen, bool); 8] = [
    ("head-office/", "overview", SMALL_DESK, false),
    ("head-office/days", "days", SMALL_DESK, false),
    ("head-office/sales", "sales", SMALL_DESK, false),
    ("head-office/bundles/*/*/*", "bundle", SMALL_DESK, true),
    ("head-office/incidents", "incidents", SMALL_DESK, false),
    ("branch/", "branch", SMALL_DESK, false),
    ("branch/sales/new", "new-sale", PHONE, true),
    ("branch/sync", "sync", PHONE, false),
];
/// A desk that is shown in a document.
const SMALL_DESK: Screen = Screen { width: 1060, height: 680, is_phone: false };
/// What a picture in the documents may have, in bytes.
const PICTURE: usize = 60_000;

/// Puts the usual folder in the place of this one.
const NEUTRAL: &str = "
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(arguments[0], arguments[1]);";

/// HTML, style and script of a page together, in bytes.
const WEIGHT: usize = 100_000;
/// The narrowest screen that shows everything without scrolling sideways: a desk's at four times the size.
const NARROW: Screen = Screen { width: 320, height: 640, is_phone: true };

#[test]
fn every_page_of_head_office_can_be_read_operated_and_carried_by_everybody() {
    let company = eventful_company();
    let site = Site::of(&company.head_office);
    survey("head-office", &site, &company, &["/", "/days", "/sales", "/bundles", "/incidents"]);
}

#[test]
fn every_page_of_a_branch_can_be_read_operated_and_carried_by_everybody() {
    let company = busy_branch();
    let site = Site::of(company.branch());
    survey("branch", &site, &company, &["/", "/sync", "/bundles"]);
}

/// The rules themselves: on a page on which all is wrong, each finds what it is for.
#[test]
fn a_page_on_which_all_is_wrong_breaks_every_rule() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.html");
    fs::write(&file, include_str!("wrong.html")).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let browser = Browser::open();
    browser.look_through(NARROW);
    browser.go(&format!("file://{}", file.display()));
    let found = browser.call(include_str!("rules.js"), &[json!(true)]);
    let found = found.as_array().unwrap().iter().map(|what| what.as_str().unwrap().to_owned());
    let found: Vec<_> = found.chain(nameless(&browser)).chain(tab_order(&browser)).collect();
    for expected in [
        "does not say its language",
        "has no title",
        "there are 2 h1",
        "not one main",
        "not one banner",
        "a nav without a name",
        "no way past the frame",
        "a heading of level 3 under one of level 1",
        "the id twice is there twice",
        "for names gone",
        "a table without a caption",
        "a header cell without scope",
        "a control inside a control",
        "a link that leads nowhere",
        "a tabindex of its own order",
        "a button of unsaid type",
        "a drawing that is neither hidden nor told",
        "a time of yesterday",
        "style or script inside the page",
        "its text has a contrast of 3.54",
        "what is in ::before has a contrast",
        "wide on a screen of 320",
        "reaches beyond the screen",
        "scrolls, but not by keyboard",
        "to touch, close to",
        "a textbox without a name",
        "cannot be seen",
        "is off the screen",
        "stop ",
    ] {
        assert!(found.iter().any(|what| what.contains(expected)), "{expected}: {found:#?}");
    }
}

/// Looks at every kind of page there is.
fn survey(name: &str, site: &Site, company: &Company, known: &[&str]) {
    let browser = Browser::open();
    let mut wrong = Vec::new();
    let mut kinds = Kinds::of(company.branches.iter().map(|branch| branch.name.clone()));
    while let Some((kind, path)) = kinds.next() {
        let page = site.get(&path);
        if !page.header("content-type").starts_with("text/html") {
            continue;
        }
        kinds.follow(&page.text);
        browser.go(&format!("{}{path}", site.url));
        let found = look_at(&browser, &format!("{name}{}", kind.replace(['/', '?', '&', '*'], "-")));
        wrong.extend(found.into_iter().chain(browser.complaints()).map(|what| format!("{path} {what}")));
        for (_, picture, screen, is_dark) in SHOWN.iter().filter(|shown| shown.0 == format!("{name}{kind}")) {
            // As it is before anybody has walked through it.
            browser.go(&format!("{}{path}", site.url));
            let folders =
                company.branches.iter().chain([&company.head_office]).map(|node| node.folder.as_path());
            record(&browser, &folders.collect::<Vec<_>>(), picture, *screen, *is_dark);
        }
    }
    browser.go(&format!("{}/nothing", site.url));
    wrong.extend(look_at(&browser, &format!("{name}-nothing")));
    let missing: Vec<_> = known.iter().filter(|path| !kinds.found.contains_key(**path)).collect();
    assert!(missing.is_empty(), "nothing leads to {missing:?}; there are {:?}", kinds.found);
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Makes the picture for the documents, and puts it there if that is wanted: `SALESYNC_RECORD=1`.
fn record(browser: &Browser, folders: &[&Path], name: &str, screen: Screen, is_dark: bool) {
    for folder in folders {
        browser.call(NEUTRAL, &[json!(folder), json!("/var/lib/salesync")]);
    }
    browser.look_through(screen);
    browser.prefer_dark(is_dark);
    browser.devtools("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
    let picture = with_few_colours(&fs::read(browser.keep(&format!("document-{name}"))).unwrap());
    browser.devtools("Emulation.setScrollbarsHidden", &json!({"hidden": false}));
    assert!(picture.len() < PICTURE, "{name}: {} bytes", picture.len());
    if env::var_os("SALESYNC_RECORD").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/page/{name}.png"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, picture).unwrap();
    }
}

/// What is wrong with the page that is open, in each way of looking at it.
pub fn look_at(browser: &Browser, name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    // It stays as it is while somebody walks through it, also when the words for its times would change.
    browser.script("dispatchEvent(new Event('pagehide'))");
    for (look, screen, is_dark) in [
        ("light", DESK, false),
        ("dark", DESK, true),
        ("phone", PHONE, false),
        ("phone-dark", PHONE, true),
        ("narrow", NARROW, false),
    ] {
        browser.prefer_dark(is_dark);
        browser.look_through(screen);
        // The others look like these.
        if ["light", "dark", "phone"].contains(&look) {
            browser.keep_all(&format!("{name}-{look}"), screen);
        }
        let broken = browser.call(include_str!("rules.js"), &[json!(screen.is_phone)]);
        wrong.extend(
            broken.as_array().unwrap().iter().map(|what| format!("({look}) {}", what.as_str().unwrap())),
        );
    }
    browser.look_through(DESK);
    browser.prefer_dark(false);
    wrong.extend(nameless(browser));
    wrong.extend(tab_order(browser));
    wrong.extend(weight(browser));
    browser.script("document.dispatchEvent(new Event('visibilitychange'))");
    wrong
}

/// What can be operated and has no name, by the browser's own reckoning.
fn nameless(browser: &Browser) -> Vec<String> {
    const OPERATED: [&str; 16] = [
        "button",
        "link",
        "textbox",
        "searchbox",
        "combobox",
        "checkbox",
        "radio",
        "spinbutton",
        "slider",
        "dialog",
        "alertdialog",
        "image",
        "table",
        "navigation",
        "Date",
        "progressbar",
    ];
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false);
    let word = |node: &Value, key: &str| node[key]["value"].as_str().unwrap_or_default().trim().to_owned();
    let roles: Vec<_> = nodes.map(|node| (word(node, "role"), word(node, "name"))).collect();
    assert!(roles.iter().any(|(role, _)| role == "link"), "the tree was not understood: {roles:?}");
    let nameless = roles.iter().filter(|(role, name)| OPERATED.contains(&role.as_str()) && name.is_empty());
    nameless.map(|(role, _)| format!("a {role} without a name")).collect()
}

/// The tab key leads through everything that can be operated, in the order in which it is read, and shows where one is.
fn tab_order(browser: &Browser) -> Vec<String> {
    let times = browser.script(include_str!("stops.js")).as_u64().unwrap();
    // All at once: a request of its own for each would take longer than everything else here.
    browser.keys((0..times).map(|_| Key::Tab.value()).collect::<String>());
    let wrong = browser.script("return walked()");
    wrong.as_array().unwrap().iter().map(|what| what.as_str().unwrap().to_owned()).collect()
}

/// The page with all that it needs is not too heavy for a slow line.
fn weight(browser: &Browser) -> Option<String> {
    let loaded = browser.script(
        "const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
         return loaded.filter((entry) => entry.initiatorType !== 'fetch').map((entry) => [entry.name, entry.decodedBodySize])",
    );
    let sizes = loaded.as_array().unwrap().iter().map(|entry| entry[1].as_u64().unwrap());
    let sum = usize::try_from(sizes.sum::<u64>()).unwrap();
    assert!(loaded.as_array().unwrap().len() >= 2, "a page without style: {loaded}");
    (sum >= WEIGHT).then(|| format!("weighs {sum} bytes: {loaded}"))
}
