//! The question that comes before what cannot be taken back, in a browser.

use std::time::Duration;

use salesync::sandbox::wait_until;

use crate::page::browser::Browser;
use crate::page::everywhere::look_at;
use crate::page::site::Site;
use crate::page::world::eventful_company;

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_dialog_asks_first_and_the_page_shows_by_itself_what_has_become_of_it() {
    let company = eventful_company();
    let head = &company.head_office;
    let site = Site::of(head);
    let browser = Browser::open();
    browser.go(&format!("{}/incidents", site.url));
    for words in [
        "west: bundle 3 waits for a decision",
        "south: bundle 3 was rejected",
        "north: bundle 3 has not come",
        "harbour: silent for too long",
        "island: silent for too long",
    ] {
        browser.sees(words);
    }
    assert_eq!(look_at(&browser, "head-office-incidents-eventful"), Vec::<String>::new());

    browser.press("Approve…");
    browser.sees_in("dialog", "Approve bundle 3 of west?");
    let numbers = browser.text("dialog strong");
    assert!(numbers.contains(" rows of west in public.sales will be deleted."), "{numbers}");
    assert_eq!(browser.path(), "/incidents");
    browser.keep("incidents-dialog");
    // What happens meanwhile is shown when the question is out of the way, for what has asked it has to stay.
    browser
        .script("window.asker = document.querySelector('a[data-ask]'); performance.clearResourceTimings()");
    head.run(&["request", "harbour", "--sync-now"]).ok();
    wait_until(LIMIT, "the page to fetch itself", || {
        let fetched = "return performance.getEntriesByType('resource').some((entry) => entry.name.endsWith('/incidents'))";
        Ok((browser.script(fetched) == true).then_some(()))
    })
    .unwrap();
    browser.sees_in("dialog", "Approve bundle 3 of west?");
    assert_eq!(browser.script("return window.asker.isConnected"), true);
    browser.press("Cancel");
    browser.sees_no_more("Approve bundle 3 of west?");
    browser.script("document.activeElement.blur()");
    browser.sees("harbour: asked for a bundle");
    assert_eq!(browser.path(), "/incidents");
    assert_eq!(head.value("SELECT count(*) FROM salesync.decision WHERE verdict <> 'request'"), "0");

    let deleted = numbers.split(" of ").next().unwrap();
    browser.press("Approve…");
    browser.sees_in("dialog", "Approve bundle 3 of west?");
    browser.fill("Why", "old sales were moved");
    browser.press(&format!("Approve: delete {deleted} rows"));
    browser.sees("Recorded: bundle 3 of west is approved.");
    assert_eq!(browser.path(), "/incidents?branch=west");
    // Nobody loads it again.
    browser.sees("Nothing waits for a person.");
    browser.sees("old sales were moved");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn without_script_a_page_asks_the_same() {
    let company = eventful_company();
    let site = Site::of(&company.head_office);
    let browser = Browser::without_script();
    browser.go(&format!("{}/incidents?branch=south", site.url));
    browser.press("Ask for everything…");
    browser.sees("Ask south for everything?");
    browser.sees("The branch sends everything again: about ");
    assert!(browser.path().starts_with("/incidents/confirm?"), "{}", browser.path());
    // Who looks at it is a script, too.
    browser.lets_scripts_run(true);
    assert_eq!(look_at(&browser, "head-office-incidents-question"), Vec::<String>::new());
    browser.lets_scripts_run(false);
    browser.press("Ask for everything");
    browser.sees("Recorded: south is asked for every table whole.");
    browser.sees("south: asked for everything");
}
