//! Day totals: which days a bundle speaks of, and that head office compares them all.

use serde_json::{Value, json};

use crate::company::{Company, Node, SALES};

/// The days of the last bundle with their row counts.
fn days_of_last(node: &Node) -> Vec<(String, u64)> {
    let files = node.bundles();
    let last = files.last().unwrap().to_str().unwrap();
    let bundle = node.run(&["inspect", "--json", last]).ok().json();
    let days = bundle["manifest"]["tables"][0]["day_totals"]["days"].as_array().unwrap().clone();
    let day = |day: &Value| (day[0].as_str().unwrap().to_owned(), day[1].as_u64().unwrap());
    days.iter().map(day).collect()
}

/// One sale on each of the first days of June.
fn sell_on(node: &Node, days: &[u8]) {
    for day in days {
        node.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             VALUES ('2021-06-{day:02}', 'East', 'Ink', 1, 2, 2, 0.14, 2.14)"
        ));
    }
}

#[test]
fn a_day_that_only_lost_rows_is_stated_and_compared() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    sell_on(east, &[1, 1, 2, 3]);
    company.sync();
    let day = |day: &str, rows| (format!("2021-06-{day}"), rows);
    assert_eq!(days_of_last(east), [day("01", 2), day("02", 1), day("03", 1)]);

    east.sql("DELETE FROM public.sales WHERE id = 1 OR date = '2021-06-02'");
    company.sync();
    assert_eq!(days_of_last(east), [day("01", 1), day("02", 0)]);
    company.assert_equal("public.sales");

    // A row that head office lacks on a day shows although the bundle has a tombstone for that day only.
    sell_on(east, &[1]);
    company.sync();
    head.sql("DELETE FROM public.sales WHERE date = '2021-06-01' AND id = 2");
    east.sql("DELETE FROM public.sales WHERE id = (SELECT max(id) FROM public.sales)");
    east.run(&["bundle"]).ok();
    let told = head.run(&["apply"]).exits(3).stdout();
    let figures = ["day 2021-06-01: the branch has 1 row (qty 1,", "head office has 0 rows (qty 0,"];
    assert!(figures.iter().all(|figure| told.contains(figure)), "{told}");
}

#[test]
fn a_row_that_moves_to_another_day_changes_both() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    sell_on(east, &[1, 1, 2, 3]);
    company.sync();
    east.sql("UPDATE public.sales SET date = '2021-06-05' WHERE id = 1");
    company.sync();
    let day = |day: &str, rows| (format!("2021-06-{day}"), rows);
    assert_eq!(days_of_last(east), [day("01", 1), day("05", 1)]);
    // With its key, and by way of a third day; truncated with all that is left.
    east.sql("UPDATE public.sales SET id = 99, date = '2021-06-07' WHERE date = '2021-06-02'");
    company.sync();
    assert_eq!(days_of_last(east), [day("02", 0), day("07", 1)]);
    east.sql("BEGIN; UPDATE public.sales SET date = '2021-06-08' WHERE date = '2021-06-03'; TRUNCATE public.sales; COMMIT");
    sell_on(east, &[4]);
    company.sync();
    let emptied = ["01", "03", "05", "07", "08"].map(|name| day(name, 0));
    let mut expected = emptied.to_vec();
    expected.insert(2, day("04", 1));
    assert_eq!(days_of_last(east), expected);
    company.assert_equal("public.sales");
}

#[test]
fn a_business_day_is_a_date_or_a_time_and_a_change_of_it_is_not_silent() {
    let company = Company::new(&["east"], SALES);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    for wrong in ["region", "nothing", "qty"] {
        let table = format!("[[table]]\nname = \"public.sales\"\nday = \"{wrong}\"\n");
        east.configure("role = \"branch\"", &company.broker_url, &table);
        east.run(&["init", "--with-sales"]).exits(78).says(&["no column", wrong, "hint: "]);
    }
    east.configure("role = \"branch\"", &company.broker_url, "tables = [\"public.sales\"]\n");
    east.run(&["init"]).ok();
    east.sell("Ink");
    company.sync();
    // The log has known of no day: it is captured anew, and the table travels whole.
    east.configure("role = \"branch\"", &company.broker_url, SALES);
    east.sell("Pens");
    east.run(&["bundle"]).exits(78).says(&["captured as none", "\"date\"", "salesync init"]);
    let tracked = east.run(&["init", "--json"]).ok().json()["tracked"].clone();
    assert_eq!(tracked, json!(["public.sales"]));
    company.sync();
    assert_eq!(days_of_last(east), [("2021-05-02".to_owned(), 2)]);
    company.assert_equal("public.sales");

    // A time with a zone falls on the same day in every session.
    east.sql(
        "ALTER TABLE public.sales ADD sold_at timestamptz;
         UPDATE public.sales SET sold_at = '2021-05-02 23:30:00+00'",
    );
    let table = "[[table]]\nname = \"public.sales\"\nday = \"sold_at\"\n";
    east.configure("role = \"branch\"", &company.broker_url, table);
    east.run(&["init"]).ok();
    company.sync();
    east.sql("SET timezone = 'Pacific/Auckland'; DELETE FROM public.sales WHERE product = 'Ink'");
    company.sync();
    assert_eq!(days_of_last(east), [("2021-05-02".to_owned(), 1)]);
    company.assert_equal("public.sales");
}
