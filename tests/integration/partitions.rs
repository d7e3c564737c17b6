//! Head office's tables are divided by branch; those that are made by hand stay as they are.

use salesync::sandbox::wait_until;
use std::time::Duration;

use crate::company::{Company, Node};
use crate::running::Running;

const LIMIT: Duration = Duration::from_mins(2);

/// Where the rows of each branch are, as `branch partition`.
fn places(head: &Node, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT string_agg(DISTINCT branch || ' ' || (tableoid::regclass), ', ' ORDER BY branch || ' ' || (tableoid::regclass))
         FROM {table}"
    );
    head.value(&sql).split(", ").map(str::to_owned).collect()
}

/// The partitions of a table, with what they are for.
fn partitions(head: &Node, table: &str) -> String {
    head.value(&format!(
        "SELECT string_agg(c.relname || ': ' || pg_get_expr(c.relpartbound, c.oid), ', ' ORDER BY c.relname)
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = '{table}'::regclass"
    ))
}

const BY_HAND: &str = "CREATE TABLE public.sales (
    branch text NOT NULL, id bigint, date date, region text, product text, qty integer, cost numeric(12,2),
    amt numeric(14,2), tax numeric(14,2), total numeric(14,2), PRIMARY KEY (branch, id))";

/// A company with one sale at each branch, sealed and on its way.
fn underway(branches: &[&str]) -> Company {
    let company = Company::of_sales(branches);
    for branch in &company.branches {
        branch.sell("Ink");
        branch.run(&["bundle"]).ok();
    }
    company
}

/// Everything that can become of a row.
fn travels(company: &Company) {
    let writes = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                  SELECT '2021-05-04', 'East', 'Pens', n, 1, n, 0, n FROM generate_series(1, 20) n;
                  UPDATE public.sales SET product = 'Paper' WHERE id % 3 = 1; DELETE FROM public.sales WHERE id % 5 = 2";
    for again in 0..3 {
        company.branches.iter().for_each(|branch| branch.sql(writes));
        if again == 2 {
            company.branches.iter().for_each(|branch| drop(branch.run(&["bundle", "--since", "all"]).ok()));
        }
        company.sync();
        company.assert_equal("public.sales");
    }
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.incident WHERE kind <> 'held'"), "0");
    company.head_office.run(&["compare"]).ok();
}

#[test]
fn each_branch_has_a_partition_of_its_own() {
    let company = underway(&["east", "north-2"]);
    let head = &company.head_office;
    head.run(&["apply"]).ok();
    assert_eq!(
        partitions(head, "public.sales"),
        "sales_east: FOR VALUES IN ('east'), sales_north-2: FOR VALUES IN ('north-2')"
    );
    travels(&company);
    let expected = ["east sales_east", "north-2 \"sales_north-2\""];
    assert_eq!(places(head, "public.sales"), expected);
    // Each has its own key and its own index of days.
    let indexes = "SELECT string_agg(a.amname, ' ' ORDER BY a.amname) FROM pg_index i
                   JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
                   WHERE i.indrelid = 'public.sales_east'::regclass";
    assert_eq!(head.value(indexes), "brin btree");
    // A column that comes later is everywhere.
    company.branches[0].sql("ALTER TABLE public.sales ADD note text; UPDATE public.sales SET note = 'n'");
    company.branches[0].run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT DISTINCT note FROM public.sales_east"), "n");
    assert_eq!(head.value("SELECT DISTINCT note FROM public.\"sales_north-2\""), "");
}

#[test]
fn a_table_that_is_not_divided_stays_so() {
    let company = underway(&["east", "west"]);
    let head = &company.head_office;
    head.sql(BY_HAND);
    head.run(&["apply"]).ok();
    travels(&company);
    assert_eq!(places(head, "public.sales"), ["east sales", "west sales"]);
    let kind = "SELECT relkind::text FROM pg_class WHERE oid = 'public.sales'::regclass";
    assert_eq!(head.value(kind), "r");
}

#[test]
fn a_table_that_somebody_divided_by_branch_gets_the_missing_partition() {
    let company = underway(&["east", "west"]);
    let head = &company.head_office;
    head.sql(&format!(
        "{BY_HAND} PARTITION BY LIST (branch);
         CREATE TABLE public.ours PARTITION OF public.sales FOR VALUES IN ('head', 'east')"
    ));
    head.run(&["apply"]).ok();
    travels(&company);
    assert_eq!(places(head, "public.sales"), ["east ours", "west sales_west"]);
}

#[test]
fn a_default_partition_takes_what_has_no_other() {
    let company = underway(&["east", "west"]);
    let head = &company.head_office;
    head.sql(&format!(
        "{BY_HAND} PARTITION BY LIST (branch);
         CREATE TABLE public.others PARTITION OF public.sales DEFAULT;
         CREATE TABLE public.ours PARTITION OF public.sales FOR VALUES IN ('east')"
    ));
    head.run(&["apply"]).ok();
    travels(&company);
    assert_eq!(places(head, "public.sales"), ["east ours", "west others"]);
}

#[test]
fn a_table_divided_by_something_else_waits_for_a_person_where_it_has_no_place() {
    let company = underway(&["east"]);
    let head = &company.head_office;
    let by_date = BY_HAND.replace("PRIMARY KEY (branch, id)", "PRIMARY KEY (branch, id, date)");
    head.sql(&format!("{by_date} PARTITION BY RANGE (date)"));
    // Its key cannot be the branch's.
    let told = head.run(&["apply"]).exits(3).stdout();
    assert!(told.contains("primary key is (branch, id, date)"), "{told}");
    head.sql(&format!(
        "DROP TABLE public.sales; {BY_HAND} PARTITION BY RANGE (id);
         CREATE TABLE public.many PARTITION OF public.sales FOR VALUES FROM (100) TO (200)"
    ));
    let told = head.run(&["apply"]).exits(3).stdout();
    assert!(told.contains("no partition of relation") && told.contains("make a partition"), "{told}");
    head.sql("CREATE TABLE public.few PARTITION OF public.sales FOR VALUES FROM (0) TO (100)");
    head.run(&["apply"]).ok();
    travels(&company);
    assert_eq!(places(head, "public.sales"), ["east few"]);
}

#[test]
fn a_name_that_is_taken_or_too_long_gets_digits() {
    let table = "a_table_with_a_name_that_is_as_long_as_postgresql_lets_it_be_ok";
    let long = "a-branch-with-a-name-that-is-as-long-as-salesync-lets-it-be-ok";
    let tables = format!("tables = [\"public.t\", \"public.t_east\", \"public.{table}\"]\n");
    let company = Company::new(&["east", long], &tables);
    let head = &company.head_office;
    head.run(&["init"]).ok();
    head.sql("CREATE VIEW public.t_nobody AS SELECT 1");
    for branch in &company.branches {
        branch.sql(&format!(
            "CREATE TABLE public.t (id int PRIMARY KEY); CREATE TABLE public.t_east (id int PRIMARY KEY);
             CREATE TABLE public.{table} (id int PRIMARY KEY);
             INSERT INTO public.t VALUES (1); INSERT INTO public.t_east VALUES (2); INSERT INTO public.{table} VALUES (3)"
        ));
        branch.run(&["init"]).ok();
    }
    company.sync();
    for name in ["t", "t_east", table] {
        company.assert_equal(&format!("public.{name}"));
        assert_eq!(places(head, &format!("public.{name}")).len(), 2, "{name}: one for each branch");
    }
    let names = "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' AND relname ~ '^t_east_[0-9a-f]{8}$'";
    assert_eq!(head.value(names), "1", "the bundle's own table keeps its name");
    let kind = "SELECT relkind::text FROM pg_class WHERE oid = 'public.t_east'::regclass";
    assert_eq!(head.value(kind), "p");
}

#[test]
fn a_branch_cannot_bring_a_table_that_is_called_like_a_partition() {
    let company = underway(&["east", "west"]);
    let (head, west) = (&company.head_office, &company.branches[1]);
    head.run(&["apply"]).ok();
    west.sql("CREATE TABLE public.sales_east (LIKE public.sales INCLUDING ALL); INSERT INTO public.sales_east SELECT * FROM public.sales");
    west.configure(
        "role = \"branch\"",
        &company.broker_url,
        "tables = [\"public.sales_east\"]\n[[table]]\nname = \"public.sales\"\nday = \"date\"\n",
    );
    west.run(&["init"]).ok();
    west.run(&["bundle"]).ok();
    let told = head.run(&["apply"]).exits(3).stdout();
    assert!(told.contains("the name of a partition of public.sales"), "{told}");
    head.sql("ALTER TABLE public.sales_east RENAME TO sales_of_the_east");
    head.run(&["apply"]).ok();
    company.branches[0].sell("Pens");
    company.sync();
    company.assert_equal("public.sales");
    assert_eq!(places(head, "public.sales"), ["east sales_of_the_east", "west sales_west"]);
    assert_eq!(places(head, "public.sales_east"), ["west sales_east_west"]);
}

/// Until `done` is dropped or ends its transaction, the program waits for its lock.
fn waits_for_a_lock(head: &Node) {
    let mut client = head.client();
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                                AND application_name ~ '^salesync apply' AND wait_event_type = 'Lock')";
    let look = || Ok(client.query_one(waits, &[]).unwrap().get::<_, bool>(0).then_some(()));
    wait_until(LIMIT, "seeing the program wait for a lock", look).unwrap();
}

#[test]
fn two_branches_bring_the_same_new_table_at_once() {
    let company = underway(&["east"]);
    let head = &company.head_office;
    let mut other = head.client();
    let mut west = other.transaction().unwrap();
    // What another session does that applies a bundle of west's.
    west.batch_execute(&format!(
        "SELECT pg_advisory_xact_lock(x'73616c65'::int, 5); {BY_HAND} PARTITION BY LIST (branch);
         CREATE TABLE public.sales_west (LIKE public.sales INCLUDING DEFAULTS);
         ALTER TABLE public.sales ATTACH PARTITION public.sales_west FOR VALUES IN ('west')"
    ))
    .unwrap();
    let east = Running::start(head, &["apply"]);
    waits_for_a_lock(head);
    west.commit().unwrap();
    east.ends().ok();
    assert_eq!(
        partitions(head, "public.sales"),
        "sales_east: FOR VALUES IN ('east'), sales_west: FOR VALUES IN ('west')"
    );
    travels(&company);
}

#[test]
fn a_table_that_somebody_was_faster_to_make_is_nothing_against_the_bundle() {
    let company = underway(&["east"]);
    let head = &company.head_office;
    let mut other = head.client();
    let mut by_hand = other.transaction().unwrap();
    by_hand.batch_execute(BY_HAND).unwrap();
    let apply = Running::start(head, &["apply"]);
    waits_for_a_lock(head);
    by_hand.commit().unwrap();
    apply.ends().exits(1).says(&["making table public.sales", "run `salesync apply` again"]);
    head.run(&["apply"]).ok();
    travels(&company);
}

#[test]
fn a_new_partition_waits_for_no_reader_and_no_writer() {
    let company = underway(&["east", "west"]);
    let (head, east) = (&company.head_office, &company.branches[0]);
    // Only east's, so that west's partition is still to be made.
    let file = east.bundles()[0].display().to_string();
    head.run(&["apply", &file]).ok();
    let mut other = head.client();
    let mut reader = other.transaction().unwrap();
    reader
        .batch_execute("SELECT count(*) FROM public.sales; LOCK TABLE public.sales IN ROW EXCLUSIVE MODE")
        .unwrap();
    reader.execute("UPDATE public.sales SET region = region", &[]).unwrap();
    head.run(&["apply"]).ok();
    reader.commit().unwrap();
    assert_eq!(places(head, "public.sales"), ["east sales_east", "west sales_west"]);
}

#[test]
fn a_table_is_divided_by_hand_as_the_document_says() {
    let document = include_str!("../../docs/operations.md");
    let page = document.split("## A table is to be divided by branch").nth(1).unwrap();
    let statements = page.split("```sql").nth(1).unwrap().split("```").next().unwrap();
    let company = underway(&["east", "west"]);
    let head = &company.head_office;
    head.sql(BY_HAND);
    head.run(&["apply"]).ok();
    head.sql(statements);
    travels(&company);
    assert_eq!(places(head, "public.sales"), ["east sales_east", "west sales_west"]);
}

#[test]
fn four_workers_bring_the_same_new_table_at_once() {
    let branches = ["east", "north", "south", "west"];
    let company = underway(&branches);
    let head = &company.head_office;
    head.run(&["apply", "--workers", "4"]).ok();
    travels(&company);
    let expected = branches.map(|branch| format!("{branch} sales_{branch}"));
    assert_eq!(places(head, "public.sales"), expected);
}

#[test]
fn a_partition_that_has_grown_without_statistics_gets_some_before_rows_are_looked_up_in_it() {
    let company = underway(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["apply"]).ok();
    head.sql("ALTER TABLE public.sales_east SET (autovacuum_enabled = off)");
    east.sell_much();
    company.sync();
    let has_statistics = "SELECT reltuples >= 0 FROM pg_class WHERE oid = 'public.sales_east'::regclass";
    assert_eq!(head.value(has_statistics), "false", "new rows need none");
    east.sql("UPDATE public.sales SET product = 'Pens' WHERE id = 7");
    company.sync();
    assert_eq!(head.value(has_statistics), "true");
    company.assert_equal("public.sales");
    // And before what is there is compared with all rows that come again.
    head.sql("UPDATE pg_catalog.pg_class SET reltuples = -1 WHERE oid = 'public.sales_east'::regclass");
    east.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.value(has_statistics), "true");
    company.assert_equal("public.sales");
}

/// Without business days nothing else would tell that rows are missing.
#[test]
fn changes_of_a_branch_whose_partition_was_taken_away_wait_until_it_is_back() {
    let company = Company::new(&["east", "west"], "tables = [\"public.sales\"]\n");
    let head = &company.head_office;
    head.run(&["init"]).ok();
    company.branches.iter().for_each(|branch| drop(branch.run(&["init", "--with-sales"]).ok()));
    company.branches.iter().for_each(|branch| branch.sell("Ink"));
    company.sync();
    head.sql("ALTER TABLE public.sales DETACH PARTITION public.sales_east");
    company.branches.iter().for_each(|branch| branch.sell("Pens"));
    company.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).ok()));
    let told = head.run(&["apply"]).exits(3).stdout();
    assert!(told.contains("partition") && told.contains("request east --full"), "{told}");
    head.sql("ALTER TABLE public.sales ATTACH PARTITION public.sales_east FOR VALUES IN ('east')");
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    // Or all rows come again.
    head.sql("ALTER TABLE public.sales DETACH PARTITION public.sales_east");
    company.branches[0].run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}
