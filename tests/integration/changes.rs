//! How a cut reads the change log: straight where it has inserts only, and at the cost of the change.

use std::path::Path;
use std::time::Duration;

use salesync::sandbox::wait_until;
use serde_json::Value;

use crate::company::{Company, Node};

/// One table, public.item, that has travelled.
fn company_of_items(definition: &str, rows: &str) -> Company {
    let company = Company::new(&["east"], "tables = [\"public.item\"]\n");
    company.head_office.run(&["init"]).ok();
    let east = company.branch();
    east.sql(&format!("CREATE TABLE public.item ({definition}); INSERT INTO public.item {rows}"));
    east.run(&["init"]).ok();
    company.sync();
    company
}

/// The only table of a bundle, as its manifest has it.
fn table_in(branch: &Node, bundle: &Path) -> Value {
    branch.run(&["inspect", "--json", bundle.to_str().unwrap()]).ok().json()["manifest"]["tables"][0].take()
}

/// The kinds of its members, with their rows.
fn members(branch: &Node, bundle: &Path) -> Vec<(String, u64)> {
    let member =
        |member: &Value| (member["kind"].as_str().unwrap().to_owned(), member["rows"].as_u64().unwrap());
    table_in(branch, bundle)["members"].as_array().unwrap().iter().map(member).collect()
}

/// The mode of the only table in the branch's last bundle, and its members.
fn last_change(branch: &Node) -> (String, Vec<(String, u64)>) {
    let last = branch.bundles().pop().unwrap();
    (table_in(branch, &last)["mode"].as_str().unwrap().to_owned(), members(branch, &last))
}

/// What the log says cannot be: a key is new and not there, or new twice. With other changes around it and without.
#[test]
fn a_log_that_was_tampered_with_stops_the_cut_and_a_new_epoch_mends_it() {
    let wrong = [
        ("INSERT INTO salesync.log_{log} (k1, op) VALUES (77, 'I'), (78, 'I')", 2),
        ("INSERT INTO salesync.log_{log} (k1, op) VALUES (1000, 'I')", 1),
        (
            "DELETE FROM salesync.log_{log} WHERE op = 'D'; INSERT INTO salesync.log_{log} (k1, op) VALUES (1, 'D')",
            1,
        ),
    ];
    for around in ["", "UPDATE public.item SET name = name || 'x'; DELETE FROM public.item WHERE id = 2"] {
        for (tampering, keys) in wrong {
            let company = company_of_items(
                "id int PRIMARY KEY, name text",
                "SELECT n, n FROM generate_series(1, 20) n",
            );
            let (east, head) = (company.branch(), &company.head_office);
            east.sql(&format!(
                "INSERT INTO public.item SELECT n, n FROM generate_series(1000, 1009) n; {around}"
            ));
            let log = east.value("SELECT table_id FROM salesync.tracked_table");
            east.sql(&tampering.replace("{log}", &log));
            let sealed = east.bundles();
            let why = format!(
                "{keys} keys were logged in a way that cannot be: the log of public.item has been changed"
            );
            for arguments in [&["bundle"][..], &["bundle", "--offline"]] {
                east.run(arguments).exits(1).says(&[&why, "--since all"]);
            }
            assert_eq!(east.value("SELECT count(*) FROM salesync.bundle"), sealed.len().to_string());
            east.run(&["bundle", "--since", "all"]).ok();
            head.run(&["apply"]).ok();
            company.assert_equal("public.item");
        }
    }
}

/// Nothing is collected before inserts are read, so this is what must find each once, in the key's order.
#[test]
fn inserts_of_many_transactions_travel_once_each_whatever_their_key_is() {
    for (definition, row) in [
        ("id bigint PRIMARY KEY, note text", "n * 7919 % 5003, 'x'"),
        ("a text COLLATE \"C\", b numeric, note text, PRIMARY KEY (b, a)", "'a' || n % 7, n / 4.0, 'x'"),
        (
            "a varchar(9) PRIMARY KEY, op int, k1 int, c int, l int, t int",
            "chr(65 + n % 50) || n, 1, 2, 3, 4, 5",
        ),
        ("a char(9), b uuid, note text, PRIMARY KEY (a, b)", "chr(97 + n % 20), md5(n::text)::uuid, 'x'"),
        ("id int[] PRIMARY KEY, note text", "ARRAY[n % 3, n], 'x'"),
        (
            "\"from\" bytea, \"select\" date, PRIMARY KEY (\"from\", \"select\")",
            "int4send(n), date '2021-01-01' + n % 9",
        ),
    ] {
        let company = company_of_items(definition, &format!("SELECT {row} FROM generate_series(1, 500) n"));
        let east = company.branch();
        let write = |from: usize| {
            format!("INSERT INTO public.item SELECT {row} FROM generate_series({from}, {from} + 9) n")
        };
        let mut open = east.client();
        open.batch_execute(&format!("BEGIN; {}", write(501))).unwrap();
        for from in [700, 600, 650] {
            east.sql(&write(from));
        }
        company.sync();
        assert_eq!(
            last_change(east),
            ("changes".to_owned(), vec![("inserts".to_owned(), 30)]),
            "{definition}"
        );
        // What was still open is in the next one.
        open.batch_execute("COMMIT").unwrap();
        east.sql(&write(800));
        company.sync();
        assert_eq!(
            last_change(east),
            ("changes".to_owned(), vec![("inserts".to_owned(), 20)]),
            "{definition}"
        );
        company.assert_equal("public.item");
    }
}

/// The program compares such a key by its text, whatever the extension thinks of it.
#[test]
fn changes_of_rows_whose_key_is_of_an_extensions_type_find_their_rows() {
    let company = Company::new(&["east"], "tables = [\"public.item\"]\n");
    let (east, head) = (company.branch(), &company.head_office);
    for node in [east, head] {
        node.sql("CREATE EXTENSION citext SCHEMA public");
    }
    head.run(&["init"]).ok();
    east.sql(
        "CREATE TABLE public.item (id public.citext COLLATE \"C\" PRIMARY KEY, name text);
         INSERT INTO public.item VALUES ('a', 'x'), ('B', 'x'), ('c', 'x'), ('D', 'x'), ('e', 'x')",
    );
    east.run(&["init"]).ok();
    company.sync();
    east.sql(
        "UPDATE public.item SET name = 'y' WHERE id <> 'e'; DELETE FROM public.item WHERE id IN ('c', 'D')",
    );
    company.sync();
    company.assert_equal("public.item");
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
}

/// However much of the log an earlier cut has taken and no receipt has pruned, and whatever the planner knows of it.
#[test]
fn a_cut_of_few_rows_never_reads_a_large_table() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let sell = |day: &str, count: usize| {
        format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT '{day}', 'East', 'Ink', 1, 2, 2, 0.14, 2.14 FROM generate_series(1, {count})"
        )
    };
    east.sql(&sell("2021-06-01", 30_000));
    east.run(&["bundle", "--offline"]).ok();
    east.sql(&sell("2021-06-02", 30_000));
    east.run(&["bundle", "--offline"]).ok();
    let log = east.value("SELECT 'salesync.log_' || table_id FROM salesync.tracked_table");
    let scans = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relid = 'public.sales'::regclass";
    let mut day = 3;
    for known in ["SELECT", &format!("ANALYZE {log}"), &format!("ANALYZE {log}, public.sales")] {
        for others in ["SELECT", "UPDATE public.sales SET product = 'Pens' WHERE id IN (60001, 60101)"] {
            east.sql(known);
            east.sql(&sell(&format!("2021-06-{day:02}"), 100));
            day += 1;
            let before = settled(east, scans);
            east.sql(others);
            east.run(&["bundle", "--offline"]).ok();
            assert_eq!(settled(east, scans), before, "after {known}, with {others}");
        }
    }
}

/// A company of items that refer to `up`: 20 have travelled, 60,000 are new.
fn company_with_many_new_items(up: &str) -> Company {
    let company = company_of_items(
        &format!("id int PRIMARY KEY, up int {up}, name text"),
        "SELECT n, NULL, n FROM generate_series(1, 20) n",
    );
    company.branch().sql("INSERT INTO public.item SELECT n, NULL, n FROM generate_series(101, 60100) n");
    company
}

/// It is found out while new rows travel, but not where rows may refer to each other. Whatever has happened to a row, it travels once, as what it is.
#[test]
fn whatever_else_has_changed_beside_many_new_rows_travels_once() {
    for (up, kinds) in [
        ("", &["inserts", "inserts", "updates", "tombstones"][..]),
        ("REFERENCES public.item", &["inserts", "updates", "tombstones"]),
    ] {
        let company = company_with_many_new_items(up);
        let (east, head) = (company.branch(), &company.head_office);
        head.sql(
            &up.replace("REFERENCES", "ALTER TABLE public.item ADD FOREIGN KEY (branch, up) REFERENCES"),
        );
        east.sql(
            "UPDATE public.item SET name = 'new and changed' WHERE id BETWEEN 201 AND 230;
             DELETE FROM public.item WHERE id BETWEEN 301 AND 305;
             DELETE FROM public.item WHERE id IN (401, 402);
             INSERT INTO public.item VALUES (401, 1, 'new, gone, and here again'), (402, 401, 'the same');
             UPDATE public.item SET up = 402 WHERE id = 500;
             INSERT INTO public.item VALUES (403000, 500, 'only inserted'), (100, 500, 'only inserted');
             UPDATE public.item SET up = 60000, name = 'known' WHERE id IN (1, 2);
             DELETE FROM public.item WHERE id IN (3, 4, 5);
             INSERT INTO public.item VALUES (5, NULL, 'known, gone, and here again');
             UPDATE public.item SET id = 70000 WHERE id = 6;
             DELETE FROM public.item WHERE id = 7",
        );
        let before = east.bundles().len();
        company.sync();
        company.assert_equal("public.item");
        let members: Vec<_> =
            east.bundles()[before..].iter().flat_map(|bundle| members(east, bundle)).collect();
        assert!(members.iter().map(|(kind, _)| kind).eq(kinds), "{members:?}");
        let rows = |wanted: &str| -> u64 {
            members.iter().filter(|(kind, _)| kind == wanted).map(|(_, rows)| rows).sum()
        };
        assert_eq!(["inserts", "updates", "tombstones"].map(rows), [60_000 - 5 + 2 + 1, 3, 4]);
        assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
    }
}

/// Also where that is known only when new rows have been read.
#[test]
fn a_log_of_many_rows_that_was_tampered_with_stops_the_cut_and_a_new_epoch_mends_it() {
    for (tampering, keys) in [
        ("INSERT INTO salesync.log_{log} (k1, op) VALUES (500, 'I'), (501, 'I')", 2),
        ("INSERT INTO salesync.log_{log} (k1, op) VALUES (1, 'D')", 1),
    ] {
        let company = company_with_many_new_items("");
        let east = company.branch();
        east.sql("UPDATE public.item SET name = 'known' WHERE id = 1");
        let log = east.value("SELECT table_id FROM salesync.tracked_table");
        east.sql(&tampering.replace("{log}", &log));
        let sealed = east.bundles();
        let why = format!("{keys} keys were logged in a way that cannot be");
        for arguments in [&["bundle"][..], &["bundle", "--offline"]] {
            east.run(arguments).exits(1).says(&[&why, "--since all"]);
        }
        assert_eq!(east.bundles(), sealed);
        east.run(&["bundle", "--since", "all"]).ok();
        company.sync();
        company.assert_equal("public.item");
    }
}

/// Rows are not looked up one by one, also where nobody has gathered statistics of the log.
#[test]
fn a_cut_of_many_rows_goes_through_the_table_once() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.run(&["bundle", "--offline"]).ok();
    let log = east.value("SELECT 'salesync.log_' || table_id FROM salesync.tracked_table");
    east.sql(&format!("ALTER TABLE {log} SET (autovacuum_enabled = off)"));
    for (first, others) in [(0, "SELECT"), (100_000, "DELETE FROM public.sales WHERE id % 1000 = 7")] {
        east.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT date '2021-06-02' + n / 20000, 'East', 'Ink', 1, 2, 2, 0.14, 2.14
             FROM generate_series({first}, {first} + 99999) n;
             {others};
             DELETE FROM pg_statistic WHERE starelid = '{log}'::regclass"
        ));
        let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'sales_pkey'";
        let before: u64 = settled(east, scans).parse().unwrap();
        east.run(&["bundle", "--offline"]).ok();
        let after: u64 = settled(east, scans).parse().unwrap();
        assert!(after - before < 1000, "{} looks at the index with {others}", after - before);
    }
}

/// A figure of the server's statistics that no session has still to add something to.
fn settled(node: &Node, figure: &str) -> String {
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'salesync%'
                AND datname = current_database()";
    let ended = || Ok((node.value(gone) == "0").then_some(()));
    wait_until(Duration::from_secs(20), "the end of earlier sessions", ended).unwrap();
    node.value(figure)
}
