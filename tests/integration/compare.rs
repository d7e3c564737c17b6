//! Head office's tables against the branches' last word on each business day.

use std::fs;

use salesync::domain::{ColumnTotal, DayTotal};
use serde_json::Value;

use crate::company::{Company, Node, SALES};
use crate::forge::forged;

/// A sale of one piece on this day.
fn sell_on(branch: &Node, day: &str) {
    branch.sql(&format!(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES ('{day}', 'East', 'Ink', 1, 10.00, 10.00, 0.70, 10.70)"
    ));
}

fn compared(head: &Node, arguments: &[&str], status: i32) -> Value {
    head.run(&[&["compare", "--json"], arguments].concat()).exits(status).json()
}

/// `(day, equal)` of a branch.
fn days(report: &Value, branch: usize) -> Vec<(&str, bool)> {
    let days = report["branches"][branch]["days"].as_array().unwrap().iter();
    days.map(|day| (day["day"].as_str().unwrap(), day["equal"].as_bool().unwrap())).collect()
}

#[test]
fn what_was_changed_at_head_office_shows_on_its_day_with_both_figures() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    assert_eq!(days(&compared(head, &[], 0), 0), []);
    for day in ["2021-05-01", "2021-05-02", "2021-05-03"] {
        company.branches.iter().for_each(|branch| sell_on(branch, day));
    }
    company.sync();
    assert_eq!(compared(head, &[], 0)["different"], 0);
    assert_eq!(head.run(&["compare"]).ok().stdout(), "east: 3 days equal\nwest: 3 days equal\n");

    head.sql(
        "UPDATE public.sales SET tax = tax + 1 WHERE branch = 'east' AND date = '2021-05-02';
              DELETE FROM public.sales WHERE branch = 'east' AND date = '2021-05-03'",
    );
    let report = compared(head, &[], 3);
    assert_eq!(report["different"], 2);
    let expected = [("2021-05-01", true), ("2021-05-02", false), ("2021-05-03", false)];
    assert_eq!(days(&report, 0), expected);
    assert!(days(&report, 1).iter().all(|(_, equal)| *equal));
    let day = &report["branches"][0]["days"][1];
    assert_eq!((&day["table"], &day["sequence"]), (&"public.sales".into(), &1.into()));
    assert_eq!(day["branch_totals"]["tax"]["sum"], "0.70");
    assert_eq!(day["head_office_totals"]["tax"]["sum"], "1.70");
    let gone = &report["branches"][0]["days"][2];
    assert_eq!((&gone["branch_rows"], &gone["head_office_rows"]), (&1.into(), &0.into()));
    let shown = head.run(&["compare", "east"]).exits(3).stdout();
    assert!(shown.starts_with("east: 1 day equal, 2 DIFFERENT\n"), "{shown}");
    assert!(shown.contains("public.sales, 2021-05-02: the branch has 1 row (qty 1, cost 10.00,"), "{shown}");

    // By branch and by day.
    assert_eq!(compared(head, &["west"], 0)["branches"].as_array().unwrap().len(), 1);
    assert_eq!(days(&compared(head, &["--day", "2021-05-01"], 0), 0), expected[..1]);
    assert_eq!(days(&compared(head, &["--from", "2021-05-03"], 3), 0), expected[2..]);
    assert_eq!(days(&compared(head, &["--to", "2021-05-02", "east"], 3), 0), expected[..2]);
    head.run(&["compare", "nowhere"]).exits(2).says(&["no branch nowhere", "hint: "]);
    head.run(&["compare", "--day", "yesterday"]).exits(2);
    company.branches[0].run(&["compare"]).exits(2).says(&["at head office"]);

    // The branch makes it right.
    company.branches[0].run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(compared(head, &[], 0)["different"], 0);
}

#[test]
fn rows_on_days_of_which_the_branch_has_said_nothing_are_counted() {
    let company = Company::of_sales(&["east"]);
    let head = &company.head_office;
    sell_on(company.branch(), "2021-05-01");
    company.sync();
    head.sql("INSERT INTO public.sales SELECT 'east', 77, '2020-01-01', region, product, qty, cost, amt, tax, total
              FROM public.sales");
    let report = compared(head, &[], 0);
    assert_eq!(report["branches"][0]["not_stated"], 1);
    assert!(head.run(&["compare"]).ok().stdout().contains("1 row on other days"));
    assert_eq!(compared(head, &["--from", "2021-01-01"], 0)["branches"][0]["not_stated"], 0);
    head.sql("ALTER TABLE public.sales DROP COLUMN tax");
    head.run(&["compare"]).exits(1).says(&["no column \"tax\"", "hint: "]);
}

#[test]
fn the_last_word_counts_whatever_came_after_the_first() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    for day in ["2021-05-01", "2021-05-01", "2021-05-02", "2021-05-03"] {
        sell_on(east, day);
    }
    company.sync();
    let changes = [
        "UPDATE public.sales SET tax = 0.80, total = 10.80 WHERE id = 1",
        "UPDATE public.sales SET date = '2021-05-02' WHERE id = 2",
        "DELETE FROM public.sales WHERE date = '2021-05-03'",
        "UPDATE public.sales SET date = '2021-06-01', id = id + 100",
        "TRUNCATE public.sales",
    ];
    for change in changes {
        east.sql(change);
        company.sync();
        company.assert_equal("public.sales");
        let report = compared(head, &[], 0);
        assert_eq!(
            (&report["different"], &report["branches"][0]["not_stated"]),
            (&0.into(), &0.into()),
            "{change}"
        );
    }
    // All that was ever stated is still known, and is nothing now.
    let report = compared(head, &[], 0);
    assert_eq!(days(&report, 0).len(), 4);
    assert!(report["branches"][0]["days"].as_array().unwrap().iter().all(|day| day["head_office_rows"] == 0));
    // In a new epoch only what there is has been stated.
    sell_on(east, "2021-07-01");
    east.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(days(&compared(head, &[], 0), 0), [("2021-07-01", true)]);
}

#[test]
fn what_was_said_before_a_table_travelled_whole_is_void() {
    let options = format!("{SALES}[[table]]\nname = \"public.visit\"\nday = \"at\"\n");
    let company = Company::new(&["east"], &options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.sql("CREATE TABLE public.visit (no integer PRIMARY KEY, at date NOT NULL)");
    east.run(&["init", "--with-sales"]).ok();
    east.sql("INSERT INTO public.visit VALUES (1, '2021-05-01'), (2, '2021-05-02')");
    sell_on(east, "2021-05-03");
    company.sync();
    let days_now = || {
        let report = compared(head, &[], 0);
        days(&report, 0).into_iter().map(|(day, _)| day.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(days_now(), ["2021-05-03", "2021-05-01", "2021-05-02"]);
    // A day whose rows went behind the capture's back is not stated again, for it is no day any more.
    east.sql("ALTER TABLE public.visit DISABLE TRIGGER USER; DELETE FROM public.visit WHERE no = 1");
    east.run(&["init"]).ok();
    company.sync();
    company.assert_equal("public.visit");
    assert_eq!(days_now(), ["2021-05-03", "2021-05-02"]);
    // In the next epoch nobody speaks for a table that was taken off.
    east.configure("role = \"branch\"", &company.broker_url, SALES);
    east.run(&["init"]).ok();
    east.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    head.sql("DELETE FROM public.visit");
    assert_eq!(days_now(), ["2021-05-03"]);
}

#[test]
fn a_day_in_another_spelling_is_rejected() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    sell_on(east, "2021-05-01");
    east.run(&["bundle", "--offline"]).ok();
    // It would be found to have no rows, and be right in saying so.
    let bundle = forged(&east.bundles()[0], |manifest| {
        let totals = manifest.tables[0].day_totals.as_mut().unwrap();
        let zero = ColumnTotal { sum: "0".into(), values: 0, non_finite: 0 };
        let totals_of_none = vec![zero; totals.summed.len()];
        totals.days = vec![DayTotal { day: "2021-5-1".into(), rows: 0, totals: totals_of_none }];
    });
    let file = east.folder.join("forged.bundle");
    fs::write(&file, bundle).unwrap();
    let report = head.run(&["apply", "--json", file.to_str().unwrap()]).exits(3).json();
    let reason = report["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("\"2021-5-1\" is no day in ISO style"), "{reason}");
}

#[test]
fn days_that_had_no_room_in_a_manifest_raise_no_false_alarm() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let sell = |days: &str| {
        east.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT date '2010-01-01' + n, 'East', 'Ink', 1, 10.00, 10.00, 0.70, 10.70 FROM generate_series({days}) n"
        ));
    };
    sell("1, 1500");
    company.sync();
    sell("1501, 2500");
    company.sync();
    assert_eq!(days(&compared(head, &[], 0), 0).len(), 2500);
    east.sql("UPDATE public.sales SET tax = 1, total = 11");
    company.sync();
    company.assert_equal("public.sales");
    let report = compared(head, &[], 0);
    let (stated, others) =
        (days(&report, 0).len() as u64, report["branches"][0]["not_stated"].as_u64().unwrap());
    assert!(stated <= 2000 && stated + others == 2500, "{stated} {others}");
}

#[test]
fn in_the_middle_of_a_cut_nothing_is_compared() {
    let options = "[bundle]\nmax_bytes = \"64 KiB\"\n[[table]]\nname = \"public.sales\"\nday = \"date\"\n";
    let company = Company::new(&["east"], options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    east.sql("INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
              SELECT '2021-05-01', md5(n::text), md5((-n)::text), 1, 1, 1, 0, 1 FROM generate_series(1, 4000) n");
    east.run(&["bundle", "--offline"]).ok();
    let parts = east.bundles();
    assert!(parts.len() > 1);
    head.run(&["apply", parts[0].to_str().unwrap()]).ok();
    let report = compared(head, &[], 0);
    assert_eq!((&report["branches"][0]["at_cut"], days(&report, 0)), (&false.into(), vec![]));
    assert!(head.run(&["compare"]).ok().stdout().contains("not compared"));
    for part in &parts[1..] {
        head.run(&["apply", part.to_str().unwrap()]).ok();
    }
    assert_eq!(days(&compared(head, &[], 0), 0), [("2021-05-01", true)]);
}
