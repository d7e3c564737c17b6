//! What cannot be captured is refused, with words that help.

use std::time::Duration;

use salesync::sandbox::{PostgresServer, Sandbox, wait_until};

use super::{company_of, toml};
use crate::company::{Company, Node};

/// Tables that are refused, by their definition, with what must be said.
const REFUSED: &[(&str, &[&str])] = &[
    ("CREATE TABLE public.t (id int)", &["no primary key", "ALTER TABLE \"public\".\"t\" ADD PRIMARY KEY"]),
    ("CREATE TABLE public.t (id int UNIQUE NOT NULL)", &["no primary key"]),
    ("CREATE TABLE public.t (id int PRIMARY KEY) PARTITION BY RANGE (id)", &["a partitioned table"]),
    (
        "CREATE TABLE public.p (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE public.t PARTITION OF public.p FOR VALUES FROM (1) TO (9)",
        &["a partition,"],
    ),
    ("CREATE VIEW public.t AS SELECT 1 AS id", &["not an ordinary table"]),
    ("CREATE MATERIALIZED VIEW public.t AS SELECT 1 AS id", &["not an ordinary table"]),
    ("CREATE UNLOGGED TABLE public.t (id int PRIMARY KEY)", &["an unlogged or temporary table"]),
    (
        "CREATE TABLE public.t (id int PRIMARY KEY); CREATE TABLE public.heir () INHERITS (public.t)",
        &["a table with inheritance"],
    ),
    (
        "CREATE TABLE public.base (id int); CREATE TABLE public.t (PRIMARY KEY (id)) INHERITS (public.base)",
        &["a table with inheritance"],
    ),
    ("CREATE TABLE public.t (id int PRIMARY KEY, branch text)", &["a column `branch`", "rename"]),
    ("CREATE TABLE public.t (id jsonb PRIMARY KEY)", &["jsonb", "another type"]),
    (
        "CREATE TABLE public.t (id int, \"Of\" regclass, PRIMARY KEY (id, \"Of\"))",
        &["\"Of\" of type regclass", "renamed"],
    ),
    ("CREATE TABLE public.other (id int PRIMARY KEY)", &["no such table", "create it"]),
    ("CREATE SEQUENCE public.t", &["no such table"]),
];

#[test]
fn tables_that_cannot_be_captured_are_refused_with_the_reason() {
    let company = Company::new(&["east"], &toml(&["public.good", "public.t"]));
    let east = company.branch();
    for (definition, words) in REFUSED {
        east.sql(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE public.good (id int PRIMARY KEY)",
        );
        east.sql(definition);
        let words: Vec<&str> = words.iter().copied().chain(["public.t"]).collect();
        east.run(&["init"]).exits(78).says(&words);
        // All or nothing: the good table is not captured either.
        assert_eq!(east.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"), "0", "{definition}");
    }
}

#[test]
fn a_capture_that_is_not_whole_any_more_is_noticed_before_the_next_cut() {
    let company = company_of(&["east"], &["public.t"], "CREATE TABLE public.t (id int PRIMARY KEY, n int)");
    let east = company.branch();
    let spoil = [
        "ALTER TABLE public.t DISABLE TRIGGER salesync_update",
        "ALTER TABLE public.t DISABLE TRIGGER ALL",
        "ALTER TABLE public.t ENABLE REPLICA TRIGGER salesync_insert",
        "DROP TRIGGER salesync_truncate ON public.t",
        "DROP FUNCTION salesync.rekeyed_1() CASCADE",
        "ALTER TABLE public.t DROP CONSTRAINT t_pkey; ALTER TABLE public.t ADD PRIMARY KEY (id, n)",
    ];
    for (round, spoil) in spoil.iter().enumerate() {
        east.sql(&format!("INSERT INTO public.t VALUES ({round}, 0)"));
        east.sql(&spoil.replace(
            "rekeyed_1",
            &format!("rekeyed_{}", east.value("SELECT max(table_id) FROM salesync.tracked_table")),
        ));
        // What happens now may be unrecorded.
        east.sql(&format!("UPDATE public.t SET n = {round}"));
        let sealed = east.bundles().len();
        east.run(&["bundle"]).exits(1).says(&["public.t", "salesync init", "travels again"]);
        assert_eq!(east.bundles().len(), sealed);
        east.run(&["init"]).ok();
        if spoil.contains("ADD PRIMARY KEY") {
            // Head office's key is another now; that is a matter for a person there.
            company.head_office.sql("DROP TABLE public.t");
        }
        company.sync();
        company.assert_equal("public.t");
    }
}

#[test]
fn truncate_in_the_stricter_isolation_levels_is_refused_because_it_could_not_be_recorded() {
    let company = company_of(&["east"], &["public.t"], "CREATE TABLE public.t (id int PRIMARY KEY)");
    let mut client = company.branch().client();
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let error =
            client.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; TRUNCATE public.t")).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert!(error.message().contains("needs READ COMMITTED"), "{error}");
        assert!(error.hint().unwrap().contains("Use DELETE"));
        client.batch_execute("ROLLBACK").unwrap();
    }
}

/// PostgreSQL fires no statement triggers for what a subscription writes.
#[test]
fn a_table_that_a_subscription_writes_to_is_refused_before_the_next_cut() {
    let company = Company::new(&["east"], &toml(&["public.t"]));
    let sandbox = Sandbox::new().unwrap();
    let postgres = PostgresServer::start_with(&sandbox, "postgres", &["wal_level=logical"]).unwrap();
    let node = |name: &str| {
        postgres.create_database(name).unwrap();
        Node { name: name.into(), folder: company.branch().folder.clone(), database_url: postgres.url(name) }
    };
    let (source, east) = (node("source"), node("east"));
    east.configure("role = \"branch\"", &company.broker_url, &toml(&["public.t"]));
    for node in [&source, &east] {
        node.sql("CREATE TABLE public.t (id int PRIMARY KEY)");
    }
    east.run(&["init"]).ok();
    east.run(&["bundle", "--offline"]).ok();
    source.sql("CREATE PUBLICATION sales FOR TABLE public.t");
    source.value("SELECT slot_name FROM pg_create_logical_replication_slot('sales', 'pgoutput')");
    east.sql(&format!(
        "CREATE SUBSCRIPTION sales CONNECTION '{}' PUBLICATION sales WITH (create_slot = false)",
        source.database_url
    ));
    let is_copied = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel";
    let comes_to = |sql: &str, wanted: &str| {
        wait_until(Duration::from_mins(1), sql, || Ok((east.value(sql) == wanted).then_some(()))).unwrap();
    };
    comes_to(is_copied, "true");
    source.sql("INSERT INTO public.t VALUES (1)");
    comes_to("SELECT count(*) FROM public.t", "1");
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    for command in [&["bundle", "--offline"][..], &["init"]] {
        east.run(command).exits(78).says(&["public.t", "a subscription writes to"]);
    }
    // When it is gone, the statistics still know of what it has written.
    east.sql("ALTER SUBSCRIPTION sales DISABLE; ALTER SUBSCRIPTION sales SET (slot_name = NONE); DROP SUBSCRIPTION sales");
    let noted = || {
        let examined = east.run(&["doctor", "--no-probe", "--json"]).stdout();
        Ok(examined.contains("or of a subscription that has written to it").then_some(()))
    };
    wait_until(Duration::from_mins(1), "the note", noted).unwrap();
}
