//! A right that is missing is named, with the statement that grants it.

use crate::company::{Company, Node, Run, SALES};
use crate::rights::as_role;
use crate::servers::fresh_database;

/// The command fails for want of rights and says these words; what it says to do helps.
fn is_told(node: &Node, arguments: &[&str], words: &[&str]) {
    node.run(arguments).exits(77).says(words);
}

#[test]
fn a_table_that_may_not_be_read_is_told_before_anything_is_cut() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    let grant = "GRANT SELECT ON public.sales TO salesync_bundle";
    east.sql("REVOKE SELECT ON public.sales FROM salesync_bundle");
    for command in ["bundle", "status"] {
        is_told(east, &[command], &["all of public.sales can be read", "salesync_bundle may not", grant]);
    }
    // `init` mends it, by whoever owns the table.
    east.run(&["init"]).ok();
    east.sql("ALTER TABLE public.sales ENABLE ROW LEVEL SECURITY");
    for command in ["bundle", "status", "init"] {
        is_told(
            east,
            &[command],
            &["row-level security can hide rows", "ALTER ROLE salesync_bundle BYPASSRLS"],
        );
    }
    assert_eq!(east.value("SELECT last_sequence FROM salesync.node"), "0");
    east.sql("ALTER TABLE public.sales DISABLE ROW LEVEL SECURITY");
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn whoever_may_not_prepare_a_branch_is_told_who_may() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let init_as = |url: &str, role: &str| {
        Run::of(east.command(&["init"]).env("SALESYNC_DATABASE_URL", as_role(url, role))).exits(77)
    };
    let owned = "it belongs to salesync_bundle, and salesync_status is no member";
    init_as(&east.database_url, "salesync_status").says(&[owned, "GRANT salesync_bundle TO salesync_status"]);
    init_as(&fresh_database(), "salesync_status")
        .says(&["may not make one", "GRANT CREATE ON DATABASE test_"]);

    east.sql("CREATE TABLE public.other (id int PRIMARY KEY)");
    let tables = format!("{SALES}[[table]]\nname = \"public.other\"\n");
    east.configure("role = \"branch\"", &company.broker_url, &tables);
    let grant = "GRANT SELECT ON public.other TO salesync_bundle";
    init_as(&east.database_url, "salesync_bundle").says(&[
        "public.other",
        "as the owner of the table",
        grant,
    ]);
    east.sql(grant);
    init_as(&east.database_url, "salesync_bundle").says(&["public.other", "the role that owns the table"]);
    assert_eq!(east.value("SELECT count(*) FROM salesync.tracked_table"), "1");
    east.run(&["init"]).ok();
    company.sync();
}

#[test]
fn whoever_may_not_make_head_offices_tables_is_told_what_to_grant() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    head.sql("REVOKE CREATE ON SCHEMA public FROM salesync_apply");
    let grant = "GRANT USAGE, CREATE ON SCHEMA public TO salesync_apply";
    is_told(head, &["apply"], &["making table public.sales", grant]);
    head.sql(grant);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");

    head.sql("ALTER TABLE public.sales OWNER TO salesync; GRANT ALL ON public.sales TO salesync_apply");
    east.sql("ALTER TABLE public.sales ADD COLUMN clerk text");
    east.run(&["init"]).ok();
    east.sql("UPDATE public.sales SET clerk = 'Ann'");
    east.run(&["bundle"]).ok();
    let cure = "ALTER TABLE public.sales OWNER TO salesync_apply";
    is_told(head, &["apply"], &["clerk", cure]);
    head.sql(cure);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}
