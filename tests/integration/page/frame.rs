//! What all pages have in common.

use super::site::Site;
use crate::company::Company;

#[test]
fn every_page_says_of_which_node_it_is_and_where_one_is() {
    let company = Company::of_sales(&["east"]);
    let head_office = Site::of(&company.head_office);
    head_office.get("/").is(200).shows(&[
        "<strong>head</strong> <span class=\"muted\">head office</span>",
        "<a href=\"/\" aria-current=\"page\">Overview</a>",
        "<a href=\"/days\">Days</a>",
        "<a class=\"skip\" href=\"#main\">",
    ]);
    let branch = Site::of(company.branch());
    branch.get("/").is(200).shows(&["<strong>east</strong> <span class=\"muted\">branch</span>"]);
}

#[test]
fn a_page_that_does_not_exist_is_refused_in_the_style_of_the_house() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    for (path, method) in [("/nothing", "get"), ("/assets/nothing.css", "get"), ("/", "post")] {
        let page = if method == "get" { site.get(path).is(404) } else { site.post(path, &[]).is(405) };
        let page = page.shows(&["<strong>head</strong>", "<a href=\"/\">To the first page</a>"]);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
}

#[test]
fn every_answer_keeps_the_browser_strict() {
    let company = Company::of_sales(&["east"]);
    let site = Site::of(&company.head_office);
    for path in ["/", "/nothing", "/healthz", "/events?age=x"] {
        let page = site.get(path);
        let policy = page.header("content-security-policy");
        for word in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(word), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
    }
    assert_eq!(site.get("/").header("cache-control"), "no-store");
}
