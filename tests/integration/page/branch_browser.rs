//! A branch's page in a browser: what a sale comes to while it is typed, and typing one sale after another.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use salesync::branch::import::{Field, ImportOptions, SaleRules, SaleText};
use serde_json::{Value, json};
use thirtyfour::Key;

use super::browser::Browser;
use super::site::Site;
use crate::company::Company;

/// What the server makes of these texts: the three amounts, or nothing.
fn by_the_server(qty: &str, cost: &str, tax_rate: &str) -> Option<[String; 3]> {
    let tax_rate = Decimal::from_str_exact(tax_rate).unwrap();
    let rules = SaleRules::new(&ImportOptions { date_format: None, tax_rate }).unwrap();
    let mut text = SaleText::default();
    for (field, value) in [(Field::Date, "2021-04-29"), (Field::Region, "East"), (Field::Product, "Pens")] {
        text.set(field, value);
    }
    text.set(Field::Qty, qty);
    text.set(Field::Cost, cost);
    let sale = rules.check(&text).ok()?;
    Some([sale.amt, sale.tax, sale.total].map(|money| money.to_string()))
}

/// Texts that somebody may type, right and wrong ones, small, large and at the edges.
fn texts() -> Vec<[String; 3]> {
    let mut random = fastrand::Rng::with_seed(5);
    let odd = [
        "",
        "-",
        ".",
        "0",
        "-0",
        "00",
        "007",
        "1,000",
        "1,00",
        "0,950",
        ",100",
        "1,000,000",
        "1.",
        ".5",
        "-.5",
        "1.5.2",
        "1 0",
        "+1",
        "1e3",
        "12.9500",
        "12.955",
        "2147483647",
        "-2147483648",
        "2147483648",
        "-2147483649",
        "99999999999",
        "9999999999.99",
        "10000000000",
        "0.00",
        "-0.00",
        "\u{663}",
        "abc",
        "1,0115.2",
        "1,011.52",
        "-1,011.5",
        "0000000000000.10",
        " 5 ",
    ];
    let mut all = Vec::new();
    for qty in odd {
        for cost in odd {
            all.push([qty.to_owned(), cost.to_owned(), "0.07".to_owned()]);
        }
    }
    let rates = ["0.07", "0", "1", "0.19", "0.055", "0.000001", "0.123456", "0.5"];
    for _ in 0..4000 {
        let size = random.u32(0..10);
        let qty = random.i64(-(10_i64.pow(size))..=10_i64.pow(size));
        let cents = random.i64(-(10_i64.pow(12))..10_i64.pow(12)) / 10_i64.pow(random.u32(0..12));
        let rate = rates[random.usize(..rates.len())];
        all.push([qty.to_string(), Decimal::new(cents, 2).to_string(), rate.to_owned()]);
    }
    all
}

#[test]
fn what_a_sale_comes_to_is_the_same_in_the_browser_and_at_the_server() {
    let company = Company::of_sales(&["east"]);
    let (site, browser) = (Site::of(company.branch()), Browser::open());
    browser.go(&format!("{}/sales/new", site.url));
    let texts = texts();
    let script = format!(
        "return {}.map((text) => {{ const found = amounts(...text); return found && [found.amt, found.tax, found.total]; }})",
        serde_json::to_string(&texts).unwrap()
    );
    let found = browser.script(&script);
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), texts.len());
    let (mut amounts, mut differences) = (0, String::new());
    for ([qty, cost, rate], found) in texts.iter().zip(found) {
        let expected = by_the_server(qty, cost, rate);
        amounts += usize::from(expected.is_some());
        let expected = expected.map_or(Value::Null, |expected| expected.to_vec().into());
        if *found != expected {
            writeln!(differences, "{qty:?} at {cost:?}, {rate}: {found}, not {expected}").unwrap();
        }
    }
    assert_eq!(differences, "");
    assert!(amounts > 2000 && amounts < texts.len(), "only {amounts} of {} say something", texts.len());
}

/// The key, pressed without waiting for the page that it leads to.
fn press_enter(browser: &Browser) {
    for kind in ["keyDown", "keyUp"] {
        let key =
            json!({"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        browser.devtools("Input.dispatchKeyEvent", &key);
    }
}

#[test]
fn one_sale_after_another_is_typed_without_a_mouse() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let (site, browser) = (Site::of(east), Browser::open());
    browser.go(&format!("{}/sales/new?date=2021-04-29", site.url));
    let focus = || browser.script("return document.activeElement.id");
    assert_eq!(focus(), "date");
    let press_tab = || browser.keys(Key::Tab);
    while focus() == "date" {
        press_tab();
    }
    for (text, next) in [("East", "product"), ("Paper", "qty"), ("73", "cost")] {
        browser.keys(text);
        press_tab();
        assert_eq!(focus(), next);
    }
    browser.keys("12.9");
    let amounts = || {
        browser
            .script("return ['amt', 'tax', 'total'].map((id) => document.getElementById(id).value).join(' ')")
    };
    assert_eq!(amounts(), "941.70 65.92 1007.62");
    browser.keys("5x");
    assert_eq!(amounts(), "  ");
    press_enter(&browser);
    browser.sees("The sale is not saved: 1 field cannot be taken like this.");
    assert_eq!(focus(), "cost");
    browser.keep("branch-mistake");
    browser.keys("12.95");
    assert_eq!(amounts(), "945.35 66.17 1011.52");
    browser.keep("branch-new-sale");
    press_enter(&browser);
    browser.sees("Saved: sale 1, 73 Paper at 12.95, East, 2021-04-29");
    assert_eq!(focus(), "date");
    assert_eq!(
        east.value("SELECT amt || ' ' || tax || ' ' || total FROM public.sales"),
        "945.35 66.17 1011.52"
    );
    let is_expected = |complaint: &String| {
        ["favicon", "status of 422", "Autofocus"].iter().any(|word| complaint.contains(word))
    };
    let complaints: Vec<String> =
        browser.complaints().into_iter().filter(|complaint| !is_expected(complaint)).collect();
    assert_eq!(complaints, [""; 0]);
}
