//! What lies between two cuts: tables that change their shape, bundles that are cut again, files and
//! markers of runs that were cut short.

use std::fs;

use salesync::database::connect;
use serde_json::Value;

use crate::company::{Company, Node, SALES};

/// The manifest of the branch's last bundle.
fn last_manifest(branch: &Node) -> Value {
    let path = branch.bundles().pop().unwrap();
    let tar = std::process::Command::new("tar").arg("-xOf").arg(path).arg("manifest.json").output().unwrap();
    serde_json::from_slice(&tar.stdout).unwrap()
}

fn company_of(tables: &[&str], definitions: &str, options: &str) -> Company {
    let quoted: Vec<String> = tables.iter().map(|table| format!("\"{table}\"")).collect();
    let company = Company::new(&["east"], &format!("tables = [{}]\n{options}", quoted.join(", ")));
    company.branch().sql(definitions);
    company.head_office.run(&["init"]).ok();
    company.branch().run(&["init"]).ok();
    company
}

/// No row is written when a column gets its values, so no trigger logs a key.
#[test]
fn a_table_travels_whole_when_its_definition_gave_values_to_old_rows() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id int PRIMARY KEY, name text);
         INSERT INTO public.item SELECT n, 'n' || n FROM generate_series(1, 9) n",
        "",
    );
    let east = company.branch();
    company.sync();
    for (change, mode) in [
        ("ALTER TABLE public.item ADD COLUMN colour text DEFAULT 'red'", "range"),
        (
            "ALTER TABLE public.item ADD COLUMN note text; UPDATE public.item SET note = 'x' WHERE id = 1",
            "changes",
        ),
        (
            "ALTER TABLE public.item RENAME COLUMN colour TO color; UPDATE public.item SET name = 'y' WHERE id = 2",
            "range",
        ),
        ("ALTER TABLE public.item ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED", "range"),
        ("ALTER TABLE public.item DROP COLUMN twice; INSERT INTO public.item VALUES (10, 'z')", "changes"),
        // The same name as before, with other values.
        ("ALTER TABLE public.item ADD COLUMN twice int DEFAULT 7", "range"),
    ] {
        east.sql(change);
        if change.contains("RENAME") || change.contains("DROP") {
            // A column that is gone waits for a person.
            east.run(&["bundle"]).ok();
            company.head_office.run(&["apply"]).exits(3);
            let number = east.value("SELECT max(sequence) FROM salesync.bundle");
            company.head_office.run(&["approve", "east", &number]).ok();
        } else {
            company.sync();
        }
        assert_eq!(last_manifest(east)["tables"][0]["mode"], mode, "{change}");
        let columns = "id, name, note, colour, color, twice".split(", ").filter(|column| {
            east.value(&format!("SELECT count(*) FROM pg_attribute WHERE attrelid = 'public.item'::regclass AND attname = '{column}'")) == "1"
        });
        let columns: Vec<&str> = columns.collect();
        let rows =
            format!("SELECT string_agg(ROW({})::text, ';' ORDER BY id) FROM public.item", columns.join(", "));
        assert_eq!(east.value(&rows), company.head_office.value(&rows), "{change}");
    }
    assert_eq!(east.run(&["bundle"]).ok().stdout(), "nothing has changed, and nothing is pending\n");
}

#[test]
fn nothing_is_published_that_the_marker_does_not_name() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let marker = east.folder.join("bundles/east/last-recorded.json");
    east.sell("Ink");
    company.sync();
    let behind = fs::read(&marker).unwrap();
    east.sell("Pens");
    east.run(&["bundle", "--offline"]).ok();
    // The run was cut short between the commit and the marker.
    fs::write(&marker, &behind).unwrap();
    east.run(&["resend", "2"]).ok();
    assert!(fs::read_to_string(&marker).unwrap().contains("\"sequence\":2"));

    east.sell("Paper");
    east.run(&["bundle", "--offline"]).ok();
    company.head_office.run(&["apply"]).ok();
    let last = fs::read(&marker).unwrap();
    fs::remove_file(&marker).unwrap();
    fs::create_dir(&marker).unwrap();
    for arguments in [&["bundle"][..], &["resend", "3"]] {
        east.run(arguments).exits(1).says(&["last-recorded.json"]);
        assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
    }
    fs::remove_dir(&marker).unwrap();
    fs::write(&marker, last).unwrap();
    company.sync();
    company.assert_equal("public.sales");
}

/// Else the next run would take a restored database for the one that wrote the last bundle.
#[test]
fn the_marker_stays_until_a_new_epoch_has_begun() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let marker = east.folder.join("bundles/east/last-recorded.json");
    east.sell("Ink");
    company.sync();
    let before = fs::read(&marker).unwrap();
    let epoch = east.value("SELECT epoch FROM salesync.node");
    east.sql(&format!("ALTER TABLE salesync.node ADD CONSTRAINT fixed CHECK (epoch = '{epoch}')"));
    east.run(&["bundle", "--since", "all"]).exits(1);
    assert_eq!(fs::read(&marker).unwrap(), before);
    east.sql("ALTER TABLE salesync.node DROP CONSTRAINT fixed");

    // The epoch has begun, its first cut has come to nothing: the marker knows the new one.
    east.sql("ALTER TABLE public.sales DISABLE TRIGGER salesync_update");
    east.run(&["bundle", "--since", "all"]).exits(1);
    let begun = east.value("SELECT epoch FROM salesync.node");
    assert_ne!(begun, epoch);
    assert!(fs::read_to_string(&marker).unwrap().contains(&begun));
    east.run(&["init"]).ok();
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn unrecorded_files_are_discarded_even_where_one_before_them_is_gone() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    let last = east.bundles().pop().unwrap();
    for number in [3, 4, 9] {
        fs::write(last.with_file_name(format!("{number:010}.bundle")), b"half").unwrap();
    }
    let options = format!("[bundle]\nmax_bytes = \"64 KiB\"\n{SALES}");
    east.configure("role = \"branch\"", &company.broker_url, &options);
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-03', md5(n::text), md5('a' || n), 1, 1, 1, 0, 1 FROM generate_series(1, 4000) n",
    );
    company.branch().run(&["bundle"]).ok().says(&["discarded 3 bundles"]);
    assert!(east.bundles().len() > 2, "the cut was not split");
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    east.run(&["verify", "bundles"]).ok();
}

/// What the later parts of a cut hold has changed since its first part, too.
#[test]
fn a_repair_since_a_part_begins_with_the_cut_before_it() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id int PRIMARY KEY, name text)",
        "[bundle]\nmax_bytes = \"64 KiB\"",
    );
    let (east, head_office) = (company.branch(), &company.head_office);
    let apply_all = |company: &Company| {
        east.run(&["bundle", "--offline"]).ok();
        company.head_office.run(&["replay", east.folder.join("bundles").to_str().unwrap()]).ok();
        company.assert_equal("public.item");
    };
    let fill = |from: u32| {
        east.sql(&format!(
            "INSERT INTO public.item SELECT n, md5(n::text) || md5('a' || n)
             FROM generate_series({from}, {from} + 4000) n"
        ));
    };
    fill(1);
    apply_all(&company);
    let parts = east.bundles().len();
    assert!(parts > 2, "the first cut was not split");
    fill(10_000);
    apply_all(&company);
    for since in [parts + 1, 1] {
        head_office.sql("DELETE FROM public.item WHERE id >= 10000");
        east.run(&["bundle", "--offline", "--since", &since.to_string()]).ok();
        apply_all(&company);
    }
}

/// Its log does not reach back to that bundle.
#[test]
fn a_repair_takes_a_table_whole_that_was_captured_anew_in_between() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id int PRIMARY KEY, name text); INSERT INTO public.item VALUES (1, 'a')",
        "",
    );
    let (east, head_office) = (company.branch(), &company.head_office);
    let sync_by_file = || {
        east.run(&["bundle", "--offline"]).ok();
        head_office.run(&["replay", east.folder.join("bundles").to_str().unwrap()]).ok();
    };
    sync_by_file();
    east.sql(
        "INSERT INTO public.item VALUES (2, 'b'); ALTER TABLE public.item DISABLE TRIGGER salesync_insert",
    );
    east.run(&["init"]).ok();
    sync_by_file();
    company.assert_equal("public.item");
    head_office.sql("DELETE FROM public.item WHERE id = 2");
    east.run(&["bundle", "--offline", "--since", "1"]).ok();
    sync_by_file();
    company.assert_equal("public.item");
}

#[test]
fn many_tables_do_not_make_every_row_a_bundle() {
    let names: Vec<String> = (1..=40).map(|n| format!("public.t{n}")).collect();
    let table = |name: &String| {
        format!(
            "CREATE TABLE {name} (id int PRIMARY KEY, a text, b text, c text);
             INSERT INTO {name} SELECT generate_series(1, 5);"
        )
    };
    let definitions: Vec<String> = names.iter().map(table).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let company = company_of(&names, &definitions.concat(), "[bundle]\nmax_bytes = \"64 KiB\"");
    company.sync();
    assert!(company.branch().bundles().len() <= 5, "{} bundles", company.branch().bundles().len());
    for name in names {
        company.assert_equal(name);
    }
}

/// A bundle may take longer on a slow line than an idle session is allowed to live.
#[test]
fn no_setting_of_the_database_ends_a_session_that_waits_for_the_line() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let database = east.value("SELECT current_database()");
    east.sql(&format!("ALTER DATABASE {database} SET idle_session_timeout = '1h'"));
    let mut client = connect(&east.database_url.parse().unwrap(), "test").unwrap();
    let row = client.query_one("SHOW idle_session_timeout", &[]).unwrap();
    assert_eq!(row.get::<_, String>(0), "0");
}

/// TRUNCATE removes rows whatever the policies are; what the trigger may not see it could not log.
#[test]
fn a_truncate_whose_rows_a_policy_hides_fails_and_is_not_half_logged() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id int PRIMARY KEY); INSERT INTO public.item VALUES (1)",
        "",
    );
    let east = company.branch();
    east.sql(
        "CREATE ROLE salesync_sees_little; GRANT ALL ON SCHEMA salesync, public TO salesync_sees_little;
         GRANT ALL ON ALL TABLES IN SCHEMA salesync, public TO salesync_sees_little;
         ALTER TABLE public.item ENABLE ROW LEVEL SECURITY;
         ALTER FUNCTION salesync.truncated_1() OWNER TO salesync_sees_little",
    );
    let refused = east.client().batch_execute("TRUNCATE public.item").unwrap_err();
    assert!(format!("{refused:?}").contains("row-level security"), "{refused:?}");
    assert_eq!(east.value("SELECT count(*) FROM public.item"), "1");
}

#[test]
fn the_log_forgets_nothing_before_the_last_part_of_a_cut_is_applied() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id int PRIMARY KEY, name text)",
        "[bundle]\nmax_bytes = \"64 KiB\"",
    );
    let (east, head_office) = (company.branch(), &company.head_office);
    east.sql(
        "INSERT INTO public.item SELECT n, md5(n::text) || md5('a' || n) FROM generate_series(1, 4000) n",
    );
    east.run(&["bundle", "--offline"]).ok();
    let parts = east.bundles();
    assert!(parts.len() > 2, "the cut was not split");
    head_office.run(&["apply", parts[0].to_str().unwrap()]).ok();
    head_office.run(&["apply"]).ok();
    assert_eq!(east.run(&["bundle", "--json"]).ok().json()["receipts"], 1);
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "4000");
    head_office.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
}

#[test]
fn a_database_whose_transactions_have_gone_back_is_refused() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    east.sell("Pens");
    east.sql("UPDATE salesync.node SET watermark = '4000000000:4000000000:'");
    for arguments in [&["bundle"][..], &["resend", "1"]] {
        east.run(arguments).exits(3).says(&["gone back behind the last cut", "--since all"]);
    }
    assert_eq!(east.bundles().len(), 1);
}

/// Bundles of the old epoch were sealed and never sent; the new one says it all again.
#[test]
fn a_new_epoch_takes_over_from_bundles_that_were_never_sent() {
    let company = Company::of_sales(&["east"]);
    let (east, head_office) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    east.sell("Pens");
    east.run(&["bundle", "--offline"]).ok();
    let old = east.bundles().pop().unwrap();
    east.sell("Paper");
    let begun = east.run(&["bundle", "--since", "all", "--json"]).ok().json();
    assert_eq!((&begun["pending"], &begun["bundles"][0]["sequence"]), (&0.into(), &1.into()));
    head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    // The old one turns up on a stick; its negative receipt concerns nothing of today.
    head_office.run(&["apply", old.to_str().unwrap()]).exits(3);
    east.sell("Clips");
    east.run(&["bundle"]).ok();
    head_office.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    company.assert_equal("public.sales");
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 2);
}

/// PostgreSQL compresses what it puts into an index, so a key may be far longer than a page.
#[test]
fn a_range_may_end_with_a_huge_key() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id text PRIMARY KEY, noise text);
         INSERT INTO public.item SELECT n || repeat(E'\\x01\"', 20000), (SELECT string_agg(md5(random()::text), '')
                                                                       FROM generate_series(1, 600 + n))
         FROM generate_series(1, 20) n",
        "[bundle]\nmax_bytes = \"64 KiB\"",
    );
    company.sync();
    company.assert_equal("public.item");
    assert!(company.branch().bundles().len() > 3);
    company.branch().run(&["verify", "bundles"]).ok();
}

/// A part speaks of the keys up to its last row, and of none beyond.
#[test]
fn no_part_of_a_new_epoch_takes_rows_away_that_later_parts_bring() {
    let company = company_of(
        &["public.item"],
        "CREATE TABLE public.item (id int PRIMARY KEY, name text)",
        "[bundle]\nmax_bytes = \"64 KiB\"",
    );
    let (east, head_office) = (company.branch(), &company.head_office);
    east.sql(
        "INSERT INTO public.item SELECT n, md5(n::text) || md5('a' || n) FROM generate_series(1, 4000) n",
    );
    company.sync();
    let sealed = east.run(&["bundle", "--offline", "--since", "all", "--json"]).ok().json();
    for bundle in sealed["bundles"].as_array().unwrap() {
        head_office.run(&["apply", bundle_path(east, bundle).as_str()]).ok();
        company.assert_equal("public.item");
    }
}

fn bundle_path(branch: &Node, bundle: &Value) -> String {
    branch.folder.join(bundle["file"].as_str().unwrap()).display().to_string()
}
