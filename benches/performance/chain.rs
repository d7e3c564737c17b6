//! A chain of shops as head office has it after a year. One shop is real, and has told head office of its sales by bundles.
//! The others are made after it, by SQL in head office's database, with all that the ledger would have of them.

use std::fmt::Write as _;

use postgres::Client;

use crate::company::Company;
use crate::sales::{COLUMNS, Commits, invented, write};
use crate::servers::{connect, fresh_company};

/// How many shops there are.
pub const BRANCHES: u64 = 100;
/// For how many days they have been selling, with a bundle every evening.
pub const DAYS: u64 = 400;
/// The one that is real, and what it has sold.
const REAL: &str = "branch-001";
const REAL_ROWS: u64 = 2000;

/// The other branches: like the real one, each with an epoch of its own.
const OTHERS: &str = "
    INSERT INTO salesync.branch
    SELECT (jsonb_populate_record(b, jsonb_build_object(
        'name', 'branch-' || lpad(n::text, 3, '0'), 'epoch', gen_random_uuid(), 'last_sequence', {days},
        'applied_bundles', {days}, 'applied_rows', {rows}, 'applied_bytes', {rows} * 9))).*
    FROM salesync.branch b, generate_series(2, {branches}) AS n;
    INSERT INTO salesync.branch_table
    SELECT (jsonb_populate_record(t, jsonb_build_object('branch', b.name))).*
    FROM salesync.branch_table t, salesync.branch b WHERE b.name <> t.branch";

/// A branch's partition and its sales, evenly over the days.
const SALES: &str = "
    CREATE TABLE public.sales_{number} PARTITION OF public.sales FOR VALUES IN ('branch-{number}');
    INSERT INTO public.sales_{number} (branch, id, {columns})
    SELECT 'branch-{number}', n + 1, {today} - ({days} - 1) + ((n - {first}) * {days} / {rows})::int,
           'Region ' || 1 + {number} % 9, product, qty, cost, amt, tax, total
    FROM ({invented}) AS s";

/// What the branches' last words on their days would be.
const DAY_TOTALS: &str = "
    INSERT INTO salesync.day_total
    SELECT (jsonb_populate_record(t, jsonb_build_object(
        'branch', s.branch, 'day', s.date, 'row_count', s.row_count, 'totals', s.totals, 'epoch', b.epoch,
        'sequence', {days} - ({today} - s.date), 'stated_at', s.date + time '21:00'))).*
    FROM (SELECT t FROM salesync.day_total AS t LIMIT 1) AS model (t),
         (SELECT branch, date, count(*) AS row_count, jsonb_build_array({totals}) AS totals
          FROM public.sales WHERE branch <> '{real}' GROUP BY branch, date) AS s
         JOIN salesync.branch b ON b.name = s.branch";

/// The ledger of the other branches: a bundle an evening, which came once and was answered once, like one of the real ones. A
/// few have had their troubles.
const LEDGER: &str = "
    CREATE TEMPORARY TABLE evening AS
    SELECT b.name AS branch, b.epoch, n AS sequence, gen_random_uuid() AS bundle_id,
           md5(b.name || n) || md5(n || b.name) AS manifest_sha256, d.row_count,
           now() - make_interval(days => {days} - n) AS came_at
    FROM salesync.branch b, generate_series(1, {days}) AS n, LATERAL
         (SELECT row_count FROM salesync.day_total d WHERE d.branch = b.name AND d.day = {today} - ({days} - n)) AS d
    WHERE b.name <> '{real}';
    INSERT INTO salesync.bundle
    SELECT (jsonb_populate_record(t, to_jsonb(e) || jsonb_build_object(
        'created_at', came_at, 'received_at', came_at, 'applied_at', came_at, 'byte_count', 4000 + e.row_count * 9))).*
    FROM evening e, (SELECT t FROM salesync.bundle AS t LIMIT 1) AS model (t);
    INSERT INTO salesync.delivery OVERRIDING SYSTEM VALUE
    SELECT (jsonb_populate_record(t, to_jsonb(e) || jsonb_build_object(
        'delivery_id', 1000 + row_number() OVER (ORDER BY came_at), 'received_at', came_at))).*
    FROM evening e, (SELECT t FROM salesync.delivery AS t LIMIT 1) AS model (t);
    INSERT INTO salesync.receipt OVERRIDING SYSTEM VALUE
    SELECT (jsonb_populate_record(t, to_jsonb(e) || jsonb_build_object(
        'receipt_id', 1000 + row_number() OVER (ORDER BY came_at), 'created_at', came_at, 'published_at', came_at))).*
    FROM evening e, (SELECT t FROM salesync.receipt AS t LIMIT 1) AS model (t);
    INSERT INTO salesync.incident (branch, epoch, sequence, kind, detail, happened_at, resolved_at)
    SELECT branch, epoch, sequence, 'divergence', 'table public.sales: 1 row that should be new was there', came_at, came_at
    FROM evening WHERE hashtext(bundle_id::text) % 20 = 0";

/// Head office of such a chain with about so many sales.
pub fn chain(rows: u64) -> Company {
    let company = fresh_company(&[REAL]);
    write(&mut connect(&company.branch().database_url), 0, REAL_ROWS, Commits::One);
    company.sync();
    company.branch().run(&["bundle"]).ok();
    expect_all_daily(&company);
    fill(&mut connect(&company.head_office.database_url), rows / BRANCHES);
    // What was made up is consistent: the program finds every day equal.
    company.head_office.run(&["compare", "branch-002", "branch-100"]).ok();
    company
}

/// Writes the other branches, each with so many sales.
fn fill(client: &mut Client, rows: u64) {
    let summed: Vec<String> =
        client.query_one("SELECT summed FROM salesync.day_total LIMIT 1", &[]).unwrap().get(0);
    let total = |column: &String| {
        format!("jsonb_build_object('sum', sum({column})::text, 'values', count({column}))")
    };
    let totals = summed.iter().map(total).collect::<Vec<_>>().join(", ");
    let mut execute = |sql: &str, number: u64| {
        let sql = sql
            .replace("{invented}", &invented(number * rows, rows))
            .replace("{columns}", COLUMNS)
            .replace("{totals}", &totals)
            .replace("{number}", &format!("{number:03}"))
            .replace("{first}", &format!("{}", number * rows))
            .replace("{rows}", &rows.to_string())
            .replace("{days}", &DAYS.to_string())
            .replace("{branches}", &BRANCHES.to_string())
            .replace("{real}", REAL)
            .replace("{today}", "current_date");
        client.batch_execute(&sql).unwrap_or_else(|error| panic!("{error:?} in {sql}"));
    };
    execute(OTHERS, 0);
    (2..=BRANCHES).for_each(|number| execute(SALES, number));
    execute(DAY_TOTALS, 0);
    execute(LEDGER, 0);
    // As autovacuum leaves it sooner or later.
    execute("VACUUM (ANALYZE)", 0);
}

fn expect_all_daily(company: &Company) {
    let mut sections = String::new();
    for number in 1..=BRANCHES {
        write!(sections, "[branches.branch-{number:03}]\nexpect_every = \"26h\"\n").unwrap();
    }
    company.head_office.configure("role = \"head-office\"", &company.broker_url, &sections);
}
