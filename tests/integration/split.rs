//! A change set that is too large for one bundle, a row that is, and what mends head office.

use std::fs;

use crate::company::{Company, DELETES_ANYTHING, Node};

const MAX_BYTES: u64 = 64 << 10;

/// Keys that CSV must quote, whose order depends on the collation; content that does not compress.
const TABLES: &str = "
    CREATE TABLE public.note (no int, shop text, text text, noise bytea, PRIMARY KEY (shop, no));
    CREATE TABLE public.small (id int PRIMARY KEY);
    CREATE FUNCTION public.noise(size int) RETURNS bytea LANGUAGE sql VOLATILE AS
    $$SELECT string_agg(sha256(random()::text::bytea), '') FROM generate_series(1, size / 32)$$;
    INSERT INTO public.small SELECT generate_series(1, 10)";

const MANY_ROWS: &str = r#"
    INSERT INTO public.note
    SELECT no, (ARRAY['Zürich', 'zebra', E'a,\n"b"', '', 'É', E'\\.', 'a b', 'A-b'])[no % 8 + 1],
           repeat(E'line\n"quoted", \\. and\r\n', no % 5), CASE WHEN no % 3 > 0 THEN public.noise(96) END
    FROM generate_series(1, 3000) no"#;

fn company() -> Company {
    let company = Company::new(&["east"], "");
    company.head_office.configure("role = \"head-office\"", &company.broker_url, DELETES_ANYTHING);
    let options = "tables = [\"public.note\", \"public.small\"]\n[bundle]\nmax_bytes = \"64 KiB\"";
    company.branch().configure("role = \"branch\"", &company.broker_url, options);
    company.branch().sql(TABLES);
    company.head_office.run(&["init"]).ok();
    company.branch().run(&["init"]).ok();
    company
}

fn agree(company: &Company) {
    company.assert_equal("public.note");
    company.assert_equal("public.small");
}

/// The numbers in this epoch of the bundles of the last cut; each is a part of it, in order.
fn last_parts(branch: &Node) -> Vec<i64> {
    let rows = branch
        .client()
        .query(
            "SELECT sequence, part, is_last_part FROM salesync.bundle b JOIN salesync.node n
             ON b.epoch = n.epoch AND b.watermark::text = n.watermark::text
             ORDER BY sequence",
            &[],
        )
        .unwrap();
    let parts: Vec<(i32, bool)> = rows.iter().map(|row| (row.get(1), row.get(2))).collect();
    let count = i32::try_from(parts.len()).unwrap();
    assert_eq!(parts, (1..=count).map(|part| (part, part == count)).collect::<Vec<_>>());
    rows.iter().map(|row| row.get(0)).collect()
}

/// Cuts, and applies the parts one by one; every one is within its bound and right by itself.
fn cut_and_apply(company: &Company, since: &str) -> usize {
    let (branch, head_office) = (company.branch(), &company.head_office);
    let sealed = branch.run(&["bundle", "--offline", "--since", since, "--json"]).ok().json();
    let parts = last_parts(branch);
    let mut at_cut = Vec::new();
    for bundle in sealed["bundles"].as_array().unwrap() {
        if !parts.contains(&bundle["sequence"].as_i64().unwrap()) {
            continue;
        }
        let file = branch.folder.join(bundle["file"].as_str().unwrap());
        assert!(
            fs::metadata(&file).unwrap().len() <= MAX_BYTES || bundle["rows"] == 1,
            "{bundle} is too large"
        );
        head_office.run(&["apply", file.to_str().unwrap()]).ok();
        at_cut.push(head_office.value("SELECT is_at_cut FROM salesync.branch") == "true");
    }
    assert_eq!(at_cut.iter().filter(|at_cut| **at_cut).count(), 1, "{at_cut:?}");
    assert_eq!(at_cut.last(), Some(&true));
    agree(company);
    assert_eq!(head_office.value("SELECT count(*) FROM salesync.incident"), "0");
    branch.run(&["verify", "bundles"]).ok();
    parts.len()
}

#[test]
fn a_large_change_set_becomes_parts_that_are_each_in_bounds() {
    let company = company();
    let (branch, head_office) = (company.branch(), &company.head_office);
    branch.sql(MANY_ROWS);
    assert!(cut_and_apply(&company, "last") > 3, "the first cut was not split");
    branch.sql("UPDATE public.note SET noise = public.noise(64) WHERE no % 2 = 0; DELETE FROM public.note WHERE no % 5 = 0;
                INSERT INTO public.note SELECT no + 10000, shop, text, noise FROM public.note");
    assert!(cut_and_apply(&company, "last") > 3, "the changes were not split");

    // Whatever somebody does to head office's rows, a new epoch makes them those of the branch.
    let spoil = "
        CREATE TABLE public.note_other PARTITION OF public.note FOR VALUES IN ('other');
        DELETE FROM public.note WHERE no % 7 = 0; UPDATE public.note SET text = 'spoiled' WHERE no % 11 = 0;
        INSERT INTO public.note (branch, shop, no) SELECT 'east', shop, -1 FROM (SELECT DISTINCT shop FROM public.note) s;
        INSERT INTO public.note (branch, shop, no) VALUES ('east', E'\\x01', 1), ('east', '😀 last', 1), ('east', 'b', 1),
            ('other', 'b', 1);
        UPDATE public.note SET no = no + 5 WHERE shop = 'zebra'; DELETE FROM public.small";
    head_office.sql(spoil);
    branch.sql("DELETE FROM public.note WHERE no % 13 = 0");
    assert!(cut_and_apply(&company, "all") > 3, "the new epoch was not split");
    assert_eq!(head_office.value("SELECT count(*) FROM public.note WHERE branch = 'other'"), "1");
    branch.sql("TRUNCATE public.note");
    cut_and_apply(&company, "last");
    head_office.sql("INSERT INTO public.note (branch, shop, no) VALUES ('east', 'b', 1)");
    cut_and_apply(&company, "all");
}

#[test]
fn the_parts_of_a_cut_begin_small_only_where_head_office_waits_for_them() {
    const FIRST: u64 = 1 << 20;
    let company = Company::new(&["east"], "tables = [\"public.note\"]\n[bundle]\nmax_bytes = \"2 MiB\"");
    let branch = company.branch();
    branch.sql(TABLES);
    company.head_office.run(&["init"]).ok();
    branch.run(&["init"]).ok();
    let first_part = |rows: &str, arguments: &[&str]| {
        branch.sql(&format!(
            "INSERT INTO public.note SELECT no, '', '', public.noise(1024) FROM generate_series({rows}) no"
        ));
        branch.run(arguments).ok();
        let size = "SELECT byte_count FROM salesync.bundle WHERE sequence =";
        branch.value(&format!("{size} {}", last_parts(branch)[0])).parse::<u64>().unwrap()
    };
    let alone = first_part("1, 3000", &["bundle", "--offline"]);
    assert!(alone > FIRST && alone <= 2 * FIRST, "{alone}");
    let awaited = first_part("3001, 6000", &["bundle"]);
    assert!(awaited <= FIRST, "{awaited}");
}

#[test]
fn what_has_come_of_a_large_change_set_is_right_however_little_it_is() {
    let company = company();
    let (branch, head_office) = (company.branch(), &company.head_office);
    branch.sql(MANY_ROWS);
    let here = branch.rows("public.note", "true");
    let sealed = branch.run(&["bundle", "--offline", "--json"]).ok().json();
    let mut expected = 0;
    for bundle in sealed["bundles"].as_array().unwrap() {
        head_office
            .run(&["apply", branch.folder.join(bundle["file"].as_str().unwrap()).to_str().unwrap()])
            .ok();
        expected += bundle["rows"].as_u64().unwrap();
        let there = head_office.rows("public.note", "true");
        assert!(there.iter().all(|row| here.binary_search(row).is_ok()), "a row is not one of the branch's");
        let small: u64 = head_office
            .value("SELECT count(*) FROM pg_class WHERE relname = 'small'")
            .parse::<u64>()
            .map(|exists| if exists > 0 { head_office.rows("public.small", "true").len() as u64 } else { 0 })
            .unwrap();
        assert_eq!(there.len() as u64 + small, expected);
    }
    agree(&company);
}

#[test]
fn a_row_larger_than_a_bundle_travels_alone() {
    let company = company();
    let branch = company.branch();
    let rows = "INSERT INTO public.note SELECT no, 'b', 'x', public.noise(CASE no % 3 WHEN 0 THEN 200000 ELSE 32 END)
                FROM generate_series(1, 9) no";
    branch.sql(rows);
    let parts = cut_and_apply(&company, "last");
    let large = "SELECT count(*) FROM salesync.bundle WHERE byte_count > 65536 AND row_count = 1";
    assert!(parts >= 6, "only {parts} parts");
    assert_eq!(branch.value(large), "3");
    branch.sql("UPDATE public.note SET no = no + 100");
    cut_and_apply(&company, "last");
    assert_eq!(branch.value(large), "6");
}

#[test]
fn a_repair_mends_whatever_was_changed_since_a_bundle() {
    let company = company();
    let (branch, head_office) = (company.branch(), &company.head_office);
    // By files, without a broker: no receipt tells the branch that its log may forget.
    branch.sql(MANY_ROWS);
    cut_and_apply(&company, "last");
    let sequence = branch.value("SELECT last_sequence FROM salesync.node");
    branch.sql("UPDATE public.note SET text = 'new' WHERE no <= 1000; DELETE FROM public.note WHERE no BETWEEN 500 AND 600");
    cut_and_apply(&company, "last");
    branch.sql("DELETE FROM public.note WHERE no BETWEEN 601 AND 700; INSERT INTO public.note VALUES (550, 'back', '', NULL)");
    cut_and_apply(&company, "last");
    agree(&company);
    head_office.sql("DELETE FROM public.note WHERE no < 100; UPDATE public.note SET text = 'spoiled' WHERE no < 1000;
                     INSERT INTO public.note (branch, no, shop) SELECT 'east', no, 'É' FROM generate_series(500, 700, 4) no
                     WHERE no % 8 = 4 ON CONFLICT DO NOTHING");
    branch.sql("INSERT INTO public.note VALUES (0, 'newest', NULL, NULL)");
    assert!(cut_and_apply(&company, &sequence) > 1);
    // Changes go on from there.
    branch.sql("UPDATE public.note SET text = 'after' WHERE no < 50");
    cut_and_apply(&company, "last");
    branch.run(&["bundle", "--since", "9999"]).exits(2).says(&["9999", "none of that number"]);
}
