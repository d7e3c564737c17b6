//! Incidents, over plain HTTP: what is found, what it says, what its buttons do.

mod asked;
mod decided;
mod in_a_browser;
mod old_forms;
mod told;

use std::time::Duration;

use salesync::sandbox::wait_until;

use super::site::{Page, Site};
use crate::company::Company;
use crate::decisions::with_sales;

const LIMIT: Duration = Duration::from_mins(1);

/// A branch whose second bundle would delete 6000 of its 6000 rows, and is held.
fn with_a_held_deletion() -> Company {
    let company = with_sales(6000);
    company.branch().sql("DELETE FROM public.sales");
    company.branch().run(&["bundle"]).ok();
    company.head_office.run(&["apply"]).exits(3);
    company
}

/// A branch whose second bundle was rejected, since head office wants no pens, and whose third waits behind it.
fn with_a_rejected_bundle() -> Company {
    let company = with_sales(3);
    let (east, head) = (company.branch(), &company.head_office);
    head.sql("ALTER TABLE public.sales ADD CONSTRAINT no_pens CHECK (product <> 'Pens')");
    for product in ["Pens", "Paper"] {
        east.sell(product);
        east.run(&["bundle"]).ok();
    }
    head.run(&["apply"]).exits(3);
    company
}

/// The fields of a form, by name.
type Form = Vec<(String, String)>;

/// The text of an attribute as it is meant.
fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    text.split_once(begin)?.1.split_once(end).map(|(found, _)| found)
}

/// The form with the button that begins with this.
fn form(page: &Page, button: &str) -> Form {
    let forms =
        page.text.split("<form ").skip(1).filter_map(|rest| rest.split_once("</form>").map(|(form, _)| form));
    let has_it = |form: &&str| {
        form.split("<button")
            .skip(1)
            .any(|rest| rest.split_once('>').is_some_and(|(_, label)| label.starts_with(button)))
    };
    let form = forms.filter(|form| form.contains("method=\"post\"")).find(has_it);
    let form = form.unwrap_or_else(|| panic!("there is no button {button:?}:\n{}", page.text));
    let hidden = form.split("<input type=\"hidden\" ").skip(1);
    let field = |text: &str| {
        let (name, value) =
            (between(text, "name=\"", "\"").unwrap(), between(text, "value=\"", "\"").unwrap());
        (name.to_owned(), unescaped(value))
    };
    hidden.map(field).collect()
}

/// Where the link with this label leads that asks first.
fn question(page: &Page, label: &str) -> String {
    let links = page.text.split("<a class=\"button").skip(1);
    let mut links = links.filter(|link| link.contains("data-ask") && link.contains(&format!(">{label}</a>")));
    let link = links.next().unwrap_or_else(|| panic!("nothing asks {label:?}:\n{}", page.text));
    unescaped(between(link, "href=\"", "\"").unwrap())
}

/// Sends a form with these fields besides.
fn send(site: &Site, form: &Form, besides: &[(&str, &str)]) -> Page {
    let fields: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(besides.iter().copied())
        .collect();
    site.post_as_is("/incidents", &fields)
}

/// Presses a button, and follows where it leads.
fn press(site: &Site, page: &Page, button: &str, besides: &[(&str, &str)]) -> Page {
    let answer = send(site, &form(page, button), besides).is(303);
    site.get(answer.header("location")).is(200)
}

/// Waits until the page shows this, and not that.
fn comes_to_show(site: &Site, shown: &[&str], hidden: &[&str]) -> Page {
    let mut last = String::new();
    let found = wait_until(LIMIT, "the page to show it", || {
        let page = site.get("/incidents");
        last.clone_from(&page.text);
        let is_so = shown.iter().all(|words| page.text.contains(words))
            && !hidden.iter().any(|words| page.text.contains(words));
        Ok(is_so.then_some(page))
    });
    found.unwrap_or_else(|error| panic!("{error}: {shown:?}, not {hidden:?}:\n{last}"))
}
