//! What people do with the pages from beginning to end, in a browser.

use serde_json::json;
use thirtyfour::prelude::Key;

use super::browser::Browser;
use super::everywhere::look_at;
use super::site::Site;
use crate::company::{Company, Node, SALES};
use crate::line::Line;
use crate::running::Running;

/// What nobody may run who only looks at it. It ends in no quotation mark, so that it can be looked for.
const HOSTILE: &str = "<script>window.ran = 1</script><img src=x onerror=window.ran=1>";

/// A branch and head office with their pages. Head office applies what comes.
struct Office {
    company: Company,
    _apply: Running,
    head: Site,
    east: Site,
}

impl Office {
    fn open() -> Self {
        Self::of(Company::of_sales(&["east"]))
    }

    fn of(company: Company) -> Self {
        let apply = Running::start(&company.head_office, &["apply", "--follow"]);
        let (head, east) = (Site::of(&company.head_office), Site::of(company.branch()));
        Self { company, _apply: apply, head, east }
    }

    /// A browser that looks at a page of head office.
    fn at_head(&self, path: &str) -> Browser {
        let browser = Browser::open();
        browser.go(&format!("{}{path}", self.head.url));
        // What a page that was loaded again would have forgotten.
        browser.script("window.isFirst = true");
        browser
    }

    /// A browser at the branch.
    fn at_east(&self) -> Browser {
        let browser = Browser::open();
        browser.go(&self.east.url);
        browser
    }

    fn head_office(&self) -> &Node {
        &self.company.head_office
    }
}

/// Types a sale in at the branch.
fn sell(browser: &Browser, product: &str, qty: &str, cost: &str) {
    browser.press("Sales");
    browser.press("New sale");
    browser.fill("Region", "East");
    browser.fill("Product", product);
    browser.fill("Qty", qty);
    browser.fill("Cost", cost);
    browser.press("Save");
    browser.sees("Saved: sale");
}

/// Presses the button, and waits until head office has everything.
fn sync(browser: &Browser) {
    browser.press("Sync");
    browser.press("Sync now");
    browser.sees("Head office has everything.");
}

/// Each of the pages shows this, and was not loaded again for it.
fn all_see(pages: &[&Browser], words: &str) {
    for page in pages {
        page.sees(words);
        assert_eq!(page.script("return window.isFirst"), json!(true), "{} was loaded again", page.path());
    }
}

#[test]
fn a_sale_is_entered_corrected_and_voided_and_the_pages_that_are_open_at_head_office_follow() {
    let office = Office::open();
    // Long ago, so that head office has a table already.
    office.company.branch().sell("Tea");
    office.company.branch().run(&["bundle"]).ok();
    let (overview, days, sales) = (office.at_head("/"), office.at_head("/days"), office.at_head("/sales"));
    let open = [&overview, &days, &sales];
    let east = office.at_east();

    east.press("New sale");
    east.fill("Region", "East");
    east.fill("Product", "Paper");
    east.fill("Qty", "73");
    east.fill("Cost", "12.95");
    // As it is typed.
    assert_eq!(east.script("return document.getElementById('total').value"), "1011.52");
    east.press("Save");
    east.sees("Saved: sale 2, 73 Paper at 12.95, East");
    sync(&east);
    all_see(&open, "1\u{202f}011.52");

    east.press("Sales");
    east.press("Correct sale 2");
    east.fill("Qty", "10");
    east.press("Save");
    east.sees("Corrected: sale 2 is now 10 Paper at 12.95");
    sync(&east);
    all_see(&open, "138.57");

    east.press("Sales");
    east.press("Void sale 2");
    east.sees("10 Paper at 12.95");
    east.press("Void this sale");
    east.sees("Voided: sale 2");
    sync(&east);
    for page in open {
        page.sees_no_more("138.57");
        assert_eq!(page.complaints(), Vec::<String>::new());
    }
    assert_eq!(office.head_office().value("SELECT string_agg(product, ',') FROM public.sales"), "Tea");
    assert_eq!(east.complaints(), Vec::<String>::new());
}

#[test]
fn without_a_line_sales_are_saved_and_go_when_it_is_back() {
    let company = Company::of_sales(&["east"]);
    let line = Line::to(&company.broker_url);
    company.branch().configure("role = \"branch\"", line.url(), SALES);
    let office = Office::of(company);
    let east = office.at_east();
    line.goes_down();
    sell(&east, "Paper", "2", "10");
    east.press("Sync");
    east.press("Sync now");
    east.sees("1 sale (21.40) saved, they go when the line is back.");
    sell(&east, "Pens", "1", "5");
    east.press("Sync");
    east.press("Sync now");
    east.sees("2 sales (26.75) saved, they go when the line is back.");
    assert_eq!(office.head_office().value("SELECT count(*) FROM salesync.delivery"), "0");
    line.is_repaired();
    sync(&east);
    east.press("Sales");
    east.sees("Everything is proven to be at head office.");
    office.company.assert_equal("public.sales");
}

#[test]
fn a_rejected_bundle_is_found_explained_and_tried_again() {
    let office = Office::open();
    let east = office.at_east();
    sell(&east, "Paper", "73", "12.95");
    sync(&east);
    office.head_office().sql("ALTER TABLE public.sales ADD CONSTRAINT no_returns CHECK (qty > 0)");
    let head = office.at_head("/");
    sell(&east, "Paper", "-1", "12.95");
    east.press("Sync");
    east.press("Sync now");
    east.sees("Head office has rejected bundle 2");

    all_see(&[&head], "1 bundle was rejected");
    head.press("Incidents");
    head.sees_in(".matter", "no_returns");
    office.head_office().sql("ALTER TABLE public.sales DROP CONSTRAINT no_returns");
    head.press("Try again");
    head.sees("Nothing waits for a person.");
    sync(&east);
    head.press("Overview");
    head.sees("Fine");
    office.company.assert_equal("public.sales");
    assert_eq!([head.complaints(), east.complaints()].concat(), Vec::<String>::new());
}

/// A dialog keeps the focus while it is open, and gives it back.
#[test]
fn a_deletion_that_is_held_is_approved_in_a_dialog_that_names_the_numbers() {
    let office = Office::open();
    let east = office.at_east();
    office.company.branch().sell_much();
    sync(&east);
    east.press("Sales");
    east.press("Clear sales");
    east.press("Count them");
    east.sees("Head office holds such a deletion");
    east.press("Delete 10\u{202f}000 sales");
    east.sees("Cleared");
    east.press("Sync");
    east.press("Sync now");
    east.sees("Head office has held bundle 2");

    let head = office.at_head("/incidents");
    head.press("Approve…");
    let asked = head.sees_in("dialog[open]", "10\u{202f}000");
    assert!(asked.contains("salesync approve east 2"), "{asked}");
    for _ in 0..12 {
        head.keys(Key::Tab);
        let outside = "const e = document.activeElement; return e !== document.body && !e.closest('dialog')";
        assert_eq!(head.script(outside), json!(false), "the focus has left the dialog");
    }
    head.keys(Key::Escape);
    head.until("the dialog's end", || head.texts("dialog").is_empty().then_some(()));
    assert_eq!(head.script("return document.activeElement.textContent"), "Approve…");
    assert_eq!(office.head_office().value("SELECT count(*) FROM public.sales"), "10000");

    head.keys(Key::Enter);
    head.sees_in("dialog[open]", "10\u{202f}000");
    head.press("Approve: delete 10\u{202f}000 rows");
    head.sees("Nothing waits for a person.");
    sync(&east);
    assert_eq!(office.head_office().value("SELECT count(*) FROM public.sales"), "0");
    assert_eq!([head.complaints(), east.complaints()].concat(), Vec::<String>::new());
}

#[test]
fn what_people_type_is_text_on_every_page() {
    let office = Office::open();
    let east = office.at_east();
    sell(&east, HOSTILE, "1", "2.50");
    east.sees(HOSTILE);
    for page in ["/", "/sales/1", "/sales/1/void"] {
        east.go(&format!("{}{page}", office.east.url));
        let shown =
            "return document.body.innerText + [...document.querySelectorAll('input')].map((i) => i.value)";
        assert!(east.script(shown).as_str().unwrap().contains(HOSTILE), "{page}");
    }
    sync(&east);
    let head = office.at_head("/sales");
    head.sees(HOSTILE);
    for browser in [&head, &east] {
        assert_eq!(browser.script("return window.ran === undefined"), json!(true));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    }
}

#[test]
fn without_script_a_sale_is_entered_sent_and_seen() {
    let office = Office::open();
    let east = Browser::without_script();
    east.go(&office.east.url);
    sell(&east, "Paper", "73", "12.95");
    sync(&east);
    let head = Browser::without_script();
    for page in ["/", "/days", "/sales"] {
        head.go(&format!("{}{page}", office.head.url));
        head.sees("1\u{202f}011.52");
    }
    east.press("Sales");
    east.press("Void sale 1");
    east.press("Void this sale");
    east.sees("Voided: sale 1");
}

/// With nothing but the keyboard: to the content, through the form, into the list.
#[test]
fn a_sale_is_entered_with_the_keyboard_alone() {
    let office = Office::open();
    let east = office.at_east();
    tab_to(&east, "New sale");
    east.keys(Key::Enter);
    east.sees("Product");
    // The first field has the focus already; a date has three parts and a picture.
    tab_to(&east, "region");
    east.keys("East" + Key::Tab + "Paper" + Key::Tab + "73" + Key::Tab + "12.95" + Key::Enter);
    east.sees("Saved: sale 1, 73 Paper at 12.95, East");
    tab_to(&east, "Sync");
    east.keys(Key::Enter);
    tab_to(&east, "Sync now");
    east.keys(Key::Enter);
    east.sees("Head office has everything.");
}

#[test]
fn people_log_in_see_what_they_may_and_log_out() {
    let company = Company::of_sales(&["east"]);
    let head_office = &company.head_office;
    let hash = head_office.run_with(&["hash-password"], b"rain on the roof\n").ok().stdout();
    let user = |name: &str, role: &str| {
        format!("[[serve.users]]\nname = \"{name}\"\npassword = \"{}\"\nrole = \"{role}\"\n", hash.trim())
    };
    let options = ["[branches.east]\n", &user("Ann", "operate"), &user("Bob", "view")].concat();
    head_office.configure("role = \"head-office\"", &company.broker_url, &options);
    let site = Site::of(head_office);
    let browser = Browser::open();
    let log_in = |name: &str, password: &str| {
        browser.fill("Name", name);
        browser.fill("Password", password);
        browser.press("Log in");
    };

    browser.go(&format!("{}/incidents?branch=east", site.url));
    browser.sees("Log in");
    assert_eq!(look_at(&browser, "login"), Vec::<String>::new());
    log_in("Ann", "rain on the river");
    browser.sees("The name or the password is wrong.");
    assert_eq!(look_at(&browser, "login-wrong"), Vec::<String>::new());
    log_in("Ann", "rain on the roof");
    browser.sees_in("form.viewer", "Ann");
    assert_eq!(browser.path(), "/incidents?branch=east");
    browser.sees("Ask a branch");

    browser.press("Log out");
    browser.sees("Password");
    browser.go(&site.url);
    browser.sees("Password");
    log_in("Bob", "rain on the roof");
    browser.sees_in("form.viewer", "Bob may look");
    browser.press("Incidents");
    browser.sees("Nothing waits for a person.");
    assert!(!browser.text("main").contains("Ask a branch"));

    browser.press("Log out");
    for _ in 0..8 {
        if browser.text("h1") == "Please wait" {
            break;
        }
        log_in("Ann", "rain on the river");
        browser.until("an answer", || {
            let answer = browser.text("main");
            ["is wrong", "Please wait"].iter().any(|said| answer.contains(said)).then_some(())
        });
    }
    browser.sees("The name or the password was wrong too often.");
}

/// Presses the tab key until the focus is on what has this name or text.
fn tab_to(browser: &Browser, name: &str) {
    let here =
        "const e = document.activeElement; return e === document.body ? '' : e.name || e.textContent.trim()";
    for _ in 0..60 {
        if browser.script(here) == name {
            return;
        }
        browser.keys(Key::Tab);
    }
    panic!("the tab key does not lead to {name}");
}
