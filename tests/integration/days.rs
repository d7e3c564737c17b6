//! Day totals: which days a bundle speaks of, and that head office compares them all.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::company::{Company, Node, SALES};

/// The days of the last bundle with their row counts.
fn days_of_last(node: &Node) -> Vec<(String, u64)> {
    days_of(&tables_of_last(node)[0])
}

/// What the last bundle says of its tables.
fn tables_of_last(node: &Node) -> Vec<Value> {
    let files = node.bundles();
    let last = files.last().unwrap().to_str().unwrap();
    let bundle = node.run(&["inspect", "--json", last]).ok().json();
    bundle["manifest"]["tables"].as_array().unwrap().clone()
}

fn days_of(table: &Value) -> Vec<(String, u64)> {
    let days = table["day_totals"]["days"].as_array().unwrap();
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

/// The log alone says which days a cut has touched, whatever was done to their rows.
#[test]
fn a_day_that_only_gained_rows_or_had_them_changed_in_place_is_stated() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    sell_on(east, &[1, 2, 3]);
    company.sync();
    let day = |day: &str, rows| (format!("2021-06-{day}"), rows);
    sell_on(east, &[2]);
    company.sync();
    assert_eq!(days_of_last(east), [day("02", 2)]);
    east.sql("UPDATE public.sales SET product = 'Pens' WHERE date = '2021-06-03'");
    company.sync();
    assert_eq!(days_of_last(east), [day("03", 1)]);
    east.sql("UPDATE public.sales SET id = 99 WHERE date = '2021-06-01'");
    company.sync();
    assert_eq!(days_of_last(east), [day("01", 1)]);
    // A repair speaks of the days of everything since then.
    east.run(&["bundle", "--since", "3"]).ok();
    company.head_office.run(&["apply"]).ok();
    assert_eq!(days_of_last(east), [day("01", 1)]);
    company.assert_equal("public.sales");
}

#[test]
fn values_without_a_sum_are_counted_and_kept_out_of_the_sums_of_their_day() {
    let table = "[[table]]\nname = \"public.item\"\nday = \"day\"\n";
    let company = Company::new(&["east"], table);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.sql(
        "CREATE TABLE public.item (id int PRIMARY KEY, day date, n int, a numeric, b numeric, c numeric)",
    );
    east.run(&["init"]).ok();
    east.sql(
        "INSERT INTO public.item VALUES
             (1, '2021-01-01', 1, 1.5, 1.5, 'Infinity'), (2, '2021-01-01', 2, 'NaN', 2.5, 'Infinity'),
             (3, '2021-01-01', 3, 3, NULL, '-Infinity'), (4, '2021-01-02', 4, 4, '-Infinity', 4.25),
             (5, '2021-01-02', NULL, NULL, 5, 1), (6, '2021-01-03', 6, 6, 6, 6), (7, NULL, 7, 'NaN', 7, 7)",
    );
    company.sync();
    company.assert_equal("public.item");
    let some = |sum: &str, values: u64, non_finite: u64| match non_finite {
        0 => json!({"sum": sum, "values": values}),
        _ => json!({"sum": sum, "values": values, "non_finite": non_finite}),
    };
    let days = json!([
        ["2021-01-01", 3, ["6", some("4.5", 3, 1), some("4.0", 2, 0), some("0", 3, 3)]],
        ["2021-01-02", 2, [some("4", 1, 0), some("4", 1, 0), some("5", 2, 1), "5.25"]],
        ["2021-01-03", 1, ["6", "6", "6", "6"]],
    ]);
    assert_eq!(tables_of_last(east)[0]["day_totals"]["days"], days);
    assert_eq!(head.run(&["compare", "--json"]).ok().json()["different"], 0);
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

/// The business day is in the key, generated, of a domain, of a time; it is missing, without end, long ago; the
/// columns are called what the log's are.
#[test]
fn days_of_every_kind_are_right_at_head_office() {
    let days = [("odd", "day"), ("keyed", "date"), ("made", "d"), ("own", "select")];
    let table = |(name, day)| format!("[[table]]\nname = \"public.{name}\"\nday = \"{day}\"\n");
    let company = Company::new(&["east"], &days.map(table).concat());
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.sql(
        r#"CREATE TABLE public.odd (k1 int, op text, xid bigint, day timestamptz, c int, t int, r int, d numeric,
               had int, is_there bool, born int, died int, old_rows int, PRIMARY KEY (k1, op));
           CREATE TABLE public.keyed (date date, no int, amt numeric, PRIMARY KEY (date, no));
           CREATE TABLE public.made (id int PRIMARY KEY, at timestamp, d date GENERATED ALWAYS AS (at::date) STORED);
           CREATE DOMAIN public.own_day AS date CHECK (value > '1000-01-01');
           CREATE TABLE public.own ("from" int PRIMARY KEY, "select" public.own_day)"#,
    );
    east.run(&["init"]).ok();
    for writes in [
        "INSERT INTO public.odd VALUES (1, 'a', 1, 'infinity'), (2, 'b', 2, '-infinity'), (3, 'c', 3, NULL),
             (4, 'd', 3, '0044-03-15 BC'), (5, 'e', 1, '2021-01-01 23:59:59+00'), (6, 'f', 1, '294276-01-01');
         INSERT INTO public.keyed VALUES ('2021-01-01', 1, 3), ('infinity', 1, 4), ('0044-03-15 BC', 1, 'NaN');
         INSERT INTO public.made VALUES (1, '2021-01-01 23:00'), (2, NULL); INSERT INTO public.own VALUES (1, '2021-01-01')",
        r#"UPDATE public.odd SET day = '2021-01-01'; UPDATE public.keyed SET date = '2022-01-01', no = amt WHERE amt <> 'NaN';
         UPDATE public.made SET at = at + interval '1 day'; UPDATE public.own SET "select" = NULL"#,
        r#"UPDATE public.odd SET day = NULL WHERE k1 < 3; UPDATE public.keyed SET no = no * 100;
         DELETE FROM public.keyed WHERE amt = 'NaN'; DELETE FROM public.made;
         UPDATE public.own SET "from" = 2, "select" = 'infinity'"#,
        "TRUNCATE public.odd, public.own;
         INSERT INTO public.keyed SELECT date, no, 9 FROM public.keyed
         ON CONFLICT (date, no) DO UPDATE SET date = date '2023-01-01' + excluded.no, no = 77 + keyed.no",
    ] {
        east.sql(writes);
        company.sync();
        for (name, _) in &days {
            company.assert_equal(&format!("public.{name}"));
        }
        assert_eq!(head.run(&["compare", "--json"]).ok().json()["different"], 0, "{writes}");
    }
}

/// After the rename the triggers still speak of the old name: writes that would go unrecorded fail, until
/// `init`.
#[test]
fn a_renamed_business_day_is_captured_again_by_init() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    sell_on(east, &[1, 2]);
    company.sync();
    east.sql("ALTER TABLE public.sales RENAME COLUMN date TO day");
    let mut client = east.client();
    for write in ["UPDATE public.sales SET day = day + 1", "DELETE FROM public.sales"] {
        assert!(client.batch_execute(write).unwrap_err().to_string().contains("db error"), "{write}");
    }
    east.run(&["bundle"]).exits(78).says(&["no column \"date\" with a date", "correct `day`"]);
    east.configure("role = \"branch\"", &company.broker_url, &SALES.replace("\"date\"", "\"day\""));
    east.run(&["init"]).ok();
    client.batch_execute("DELETE FROM public.sales WHERE id = 1").unwrap();
    east.run(&["bundle"]).ok();
    assert_eq!(days_of_last(east), [("2021-06-02".to_owned(), 1)]);
}

/// Days with their row count and sum.
type Totals = BTreeMap<String, (i64, String)>;

fn totals(branch: &Node) -> Totals {
    let sql =
        "SELECT day::date::text, count(*), sum(amt)::text FROM public.deed WHERE day IS NOT NULL GROUP BY 1";
    let rows = branch.client().query(sql, &[]).unwrap();
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

const DEED: &str = "
    CREATE TABLE public.deed (a int, b int, day timestamp, amt numeric NOT NULL, PRIMARY KEY (a, b));
    CREATE TABLE public.team (a int PRIMARY KEY);
    INSERT INTO public.team SELECT generate_series(0, 9);
    ALTER TABLE public.deed ADD FOREIGN KEY (a) REFERENCES public.team ON UPDATE CASCADE ON DELETE CASCADE;
    CREATE FUNCTION public.shift() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN IF NEW.b % 7 = 0 THEN NEW.day = NEW.day + interval '1 day'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER shift BEFORE INSERT OR UPDATE ON public.deed FOR EACH ROW EXECUTE FUNCTION public.shift()";

/// Statements on the deeds, with a number of chance for `{n}`.
const DEEDS: &[&str] = &[
    "INSERT INTO public.deed SELECT a, {n} % 40 + i, timestamp '2021-01-01' + i * interval '7 hours', i
     FROM public.team, generate_series(1, 4) i WHERE a % 3 = {n} % 3 ON CONFLICT DO NOTHING",
    "INSERT INTO public.deed SELECT a, {n} % 40 + i, timestamp '2021-02-01' + i * interval '9 hours', {n}
     FROM public.team, generate_series(1, 3) i ON CONFLICT (a, b) DO UPDATE SET day = excluded.day, b = deed.b + 1000 + {n}",
    "UPDATE public.deed SET day = day + ({n} % 5) * interval '11 hours' WHERE b % 4 = {n} % 4",
    "UPDATE public.deed SET day = NULL WHERE b % 11 = {n} % 11",
    "UPDATE public.deed SET day = timestamp '2021-03-01' + b * interval '1 hour', b = b + 2000 + {n} WHERE b % 5 = {n} % 5",
    "UPDATE public.deed SET amt = amt + 1 WHERE a = {n} % 10",
    "UPDATE public.team SET a = (SELECT max(a) FROM public.team) + 1 WHERE a = (SELECT a FROM public.team ORDER BY a LIMIT 1)",
    "DELETE FROM public.team WHERE a = (SELECT min(a) FROM public.team); INSERT INTO public.team SELECT max(a) + 1 FROM public.team",
    "DELETE FROM public.deed WHERE b % 6 = {n} % 6",
    "DELETE FROM public.deed WHERE a % 4 = {n} % 4; INSERT INTO public.deed SELECT a, {n}, '2021-01-01', 1 FROM public.team",
    "SAVEPOINT s; UPDATE public.deed SET day = day + interval '1 year'; ROLLBACK TO s",
    "SET session_replication_role = replica; UPDATE public.deed SET day = day - interval '1 day' WHERE b % 3 = {n} % 3;
     SET session_replication_role = origin",
    "TRUNCATE public.deed",
    "ALTER TABLE public.deed ADD IF NOT EXISTS extra int DEFAULT 3",
];

#[test]
fn whatever_is_written_the_days_that_have_changed_are_stated_and_equal() {
    let options = "tables = [\"public.team\"]\n[[table]]\nname = \"public.deed\"\nday = \"day\"\n";
    let company = Company::new(&["east"], options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.sql(DEED);
    east.run(&["init"]).ok();
    company.sync();
    let seed =
        std::env::var("SALESYNC_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut rng = Rng::with_seed(seed);
    let mut before = Totals::new();
    for round in 0..15 {
        let mut open = east.client();
        open.batch_execute("BEGIN").unwrap();
        let mut written = Vec::new();
        for _ in 0..rng.usize(1..=4) {
            let statement = DEEDS[rng.usize(..DEEDS.len())].replace("{n}", &rng.u32(..1000).to_string());
            // A key that is taken is the application's own mistake.
            let tried = open.batch_execute(&format!("SAVEPOINT t; {statement}; RELEASE t"));
            if tried.is_err() {
                open.batch_execute("ROLLBACK TO t").unwrap();
            }
            written.push(statement);
        }
        // Now and then it is still open while the bundle is cut.
        let is_late =
            rng.bool() && !written.iter().any(|sql| sql.contains("TRUNCATE") || sql.contains("ALTER"));
        if !is_late {
            open.batch_execute("COMMIT").unwrap();
        }
        let now = totals(east);
        let bundles = east.bundles().len();
        east.run(&["bundle"]).ok();
        let context = || format!("round {round} of SALESYNC_SEED={seed}: {written:#?}");
        let tables = if east.bundles().len() > bundles { tables_of_last(east) } else { Vec::new() };
        let deed = tables.iter().find(|table| table["day_totals"].is_object());
        let said = deed.map(days_of).unwrap_or_default();
        let is_whole = deed.is_some_and(|table| table["mode"] == "range");
        for day in before.keys().chain(now.keys()).filter(|day| before.get(*day) != now.get(*day)) {
            let is_known = said.iter().any(|(name, _)| name == day) || is_whole && !now.contains_key(day);
            assert!(is_known, "{day} is not stated in {}", context());
        }
        head.run(&["apply"]).ok();
        company.assert_equal("public.deed");
        let report = head.run(&["compare", "--json"]).ok().json();
        assert_eq!(
            (&report["different"], &report["branches"][0]["not_stated"]),
            (&json!(0), &json!(0)),
            "{}",
            context()
        );
        if is_late {
            open.batch_execute("COMMIT").unwrap();
        }
        before = now;
    }
}

/// The whole history of many tables is more than one manifest holds.
#[test]
fn the_days_of_many_tables_go_in_as_many_bundles_as_they_need() {
    const TABLES: usize = 20;
    let of_each = |text: &dyn Fn(usize) -> String| (1..=TABLES).map(text).collect::<String>();
    let company =
        Company::new(&["east"], &of_each(&|n| format!("[[table]]\nname = \"public.t{n}\"\nday = \"day\"\n")));
    let (east, head) = (company.branch(), &company.head_office);
    let amounts = (1..=80).map(|n| format!("a{n} numeric(14,2) NOT NULL DEFAULT 123456789.5"));
    let amounts = amounts.collect::<Vec<_>>().join(", ");
    east.sql(&of_each(&|n| {
        format!(
            "CREATE TABLE public.t{n} (id int PRIMARY KEY, day date NOT NULL, {amounts});
             INSERT INTO public.t{n} (id, day) SELECT d, date '2020-01-01' + d FROM generate_series(1, 200) d;"
        )
    }));
    for node in [head, east] {
        node.run(&["init"]).ok();
    }
    company.sync();
    (1..=TABLES).for_each(|n| company.assert_equal(&format!("public.t{n}")));
    assert_eq!(head.value("SELECT count(DISTINCT table_name) FROM salesync.day_total"), TABLES.to_string());
    head.run(&["compare"]).ok();
}
