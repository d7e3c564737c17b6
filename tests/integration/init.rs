//! `init` may be run as often as one likes; tables come and go.

use crate::company::{Company, Node};

/// All that `init` could have changed, the numbers of the objects among it.
const CATALOG: &str = "
    SELECT c.oid::text || c.relname || c.relhastriggers || c.relfilenode FROM pg_class c
    WHERE relnamespace IN ('salesync'::regnamespace, 'public'::regnamespace)
    UNION ALL SELECT t.oid::text || pg_get_triggerdef(t.oid) || t.tgenabled::text FROM pg_trigger t
    UNION ALL SELECT p.oid::text || p.proname || p.prosrc FROM pg_proc p WHERE pronamespace = 'salesync'::regnamespace
    UNION ALL SELECT t.ctid::text || t::text FROM salesync.tracked_table t
    UNION ALL SELECT n.ctid::text || n::text FROM salesync.node n
    ORDER BY 1";

fn catalog(node: &Node) -> Vec<String> {
    node.client().query(CATALOG, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn track(company: &Company, tables: &str) -> serde_json::Value {
    let branch = company.branch();
    branch.configure("role = \"branch\"", &company.broker_url, &format!("tables = [{tables}]"));
    branch.run(&["init", "--json"]).ok().json()
}

/// How each table travelled in the last bundle.
fn modes(branch: &Node) -> Vec<(String, String)> {
    let bundles = branch.bundles();
    let manifest = std::process::Command::new("tar")
        .args(["-xOf", bundles.last().unwrap().to_str().unwrap(), "manifest.json"])
        .output()
        .unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.stdout).unwrap();
    let table = |table: &serde_json::Value| {
        (table["name"]["table"].as_str().unwrap().to_owned(), table["mode"].as_str().unwrap().to_owned())
    };
    manifest["tables"].as_array().unwrap().iter().map(table).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(table, mode)| ((*table).to_owned(), (*mode).to_owned())).collect()
}

#[test]
fn init_a_second_time_changes_nothing() {
    let company = Company::of_sales(&["east"]);
    let branch = company.branch();
    branch.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                VALUES ('2021-05-02', 'East', 'Ink', 1, 9.99, 9.99, 0.70, 10.69)",
    );
    let before = catalog(branch);
    let again = branch.run(&["init", "--with-sales", "--json"]).ok().json();
    assert_eq!((&again["migrations"], &again["created"]), (&0.into(), &serde_json::json!([])));
    assert_eq!(again["unchanged"], serde_json::json!(["public.sales"]));
    assert_eq!(catalog(branch), before);
    company.sync();
    company.assert_equal("public.sales");
    let before = catalog(branch);
    branch.run(&["init"]).ok();
    company.head_office.run(&["init"]).ok();
    assert_eq!(catalog(branch), before);
    assert_eq!(branch.run(&["bundle"]).ok().stdout(), "nothing has changed, and nothing is pending\n");
}

#[test]
fn tables_come_and_go_while_others_go_on() {
    let company = Company::new(&["east"], "tables = [\"public.one\", \"public.two\"]");
    let branch = company.branch();
    branch.sql("CREATE TABLE public.one (id int PRIMARY KEY, n int); CREATE TABLE public.two (LIKE public.one INCLUDING ALL);
                CREATE TABLE public.three (LIKE public.one INCLUDING ALL);
                INSERT INTO public.one SELECT n, n FROM generate_series(1, 9) n; INSERT INTO public.two TABLE public.one;
                INSERT INTO public.three TABLE public.one");
    company.head_office.run(&["init"]).ok();
    let untouched = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal";
    branch.run(&["init"]).ok();
    company.sync();
    assert_eq!(modes(branch), pairs(&[("one", "range"), ("two", "range")]));

    // Off the list: nothing of its capture is left.
    let done = track(&company, "\"public.one\"");
    assert_eq!(done["untracked"], serde_json::json!(["public.two"]));
    assert_eq!(branch.value(untouched), "5");
    let of_tables =
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'salesync'::regnamespace AND proname ~ '_[0-9]+$'";
    assert_eq!(branch.value(of_tables), "5");
    assert_eq!(branch.value("SELECT count(*) FROM pg_class WHERE relname ~ '^log_'"), "1");
    branch.sql("DELETE FROM public.two WHERE id = 1; UPDATE public.two SET n = 0; UPDATE public.one SET n = 1 WHERE id = 1");
    company.sync();
    assert_eq!(modes(branch), pairs(&[("one", "changes")]));

    // On it again, and another with it: these travel whole, the other goes on.
    let done = track(&company, "\"public.one\", \"public.two\", \"public.three\"");
    assert_eq!(done["tracked"], serde_json::json!(["public.three", "public.two"]));
    branch.sql("UPDATE public.one SET n = 2 WHERE id = 2; DELETE FROM public.two WHERE id = 2; DELETE FROM public.three WHERE id = 2");
    company.sync();
    let mut found = modes(branch);
    found.sort();
    assert_eq!(found, pairs(&[("one", "changes"), ("three", "range"), ("two", "range")]));
    let all = ["public.one", "public.two", "public.three"];
    for table in all {
        company.assert_equal(table);
    }

    // A table that is dropped says so until it is taken off the list.
    branch.sql("DROP TABLE public.two");
    branch.run(&["bundle"]).exits(78).says(&["public.two", "no such table"]);
    track(&company, "\"public.one\", \"public.three\"");
    branch.sql("UPDATE public.three SET id = id + 100");
    company.sync();
    assert_eq!(modes(branch), pairs(&[("three", "changes")]));
    for table in ["public.one", "public.three"] {
        company.assert_equal(table);
    }
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.incident"), "0");
}
