//! Names that mean something to SQL, to PL/pgSQL or to this program; roles that may nothing else.

use super::{agree, company_of, sync};
use crate::company::Company;

const TABLES: &str = r#"
    CREATE SCHEMA "My ""Sch.ema";
    CREATE TABLE public."; DROP TABLE x; --" (id int PRIMARY KEY, "it's" text);
    CREATE TABLE "My ""Sch.ema"."Tab.le, with ""quotes""" ("a,""b""" text, "ключ ключ" int, PRIMARY KEY ("ключ ключ", "a,""b"""));
    CREATE TABLE public.words (new int, old text, tg_op int, op text, xid int, k1 text, k2 int, r int, t int, c int, s int,
        new_rows int, old_rows text, had int, is_there bool, born int, died int, branch_ text, "user" text, "select" int,
        "null" text, "default" int, "E'" text, "$1" int, """" text, "
" int, PRIMARY KEY (new, old, tg_op, op, xid, k1, k2, r, t, c, s, new_rows, old_rows, "user", "$1", """"));
    CREATE TABLE public.t234567890123456789012345678901234567890123456789012345678901é (
        c234567890123456789012345678901234567890123456789012345678901é int PRIMARY KEY, "COLUMN" text);
    CREATE TABLE public.salesync_staging (s int PRIMARY KEY, n int);
    CREATE TABLE public.salesync_changed_1 (c int PRIMARY KEY, n int);
    CREATE TABLE public.x (id int PRIMARY KEY);
    INSERT INTO public.x VALUES (1)"#;

const TRACKED: [&str; 7] = [
    r#"public."; DROP TABLE x; --""#,
    r#""My ""Sch.ema"."Tab.le, with ""quotes""""#,
    "public.words",
    "public.t234567890123456789012345678901234567890123456789012345678901é",
    "public.salesync_staging",
    "public.salesync_changed_1",
    "public.x",
];

const INSERT: &str = r#"
    INSERT INTO public."; DROP TABLE x; --" VALUES (1, 'it''s'), (2, '\'), (3, NULL);
    INSERT INTO "My ""Sch.ema"."Tab.le, with ""quotes""" VALUES ('"', 1), ('""', 1), ('a', 2);
    INSERT INTO public.words VALUES (1, 'o', 2, 'I', 3, 'k', 4, 5, 6, 7, 8, 9, '', 10, true, 11, 12, 'b', 'u', 1, 'NULL', 2, 'e', 3, '"', 4),
                                    (1, 'o', 2, 'D', 3, 'k', 4, 5, 6, 7, 8, 9, '', 10, true, 11, 12, 'b', 'u', 1, NULL, 2, 'e', 3, '', 4);
    INSERT INTO public.t234567890123456789012345678901234567890123456789012345678901é VALUES (1, 'a'), (2, 'b');
    INSERT INTO public.salesync_staging VALUES (1, 1), (2, 2);
    INSERT INTO public.salesync_changed_1 VALUES (1, 1), (2, 2)"#;

const UPDATE: &str = r#"
    UPDATE public."; DROP TABLE x; --" SET id = id + 1 WHERE id = 3; UPDATE public."; DROP TABLE x; --" SET "it's" = '''' WHERE id = 1;
    DELETE FROM public."; DROP TABLE x; --" WHERE id = 2;
    UPDATE "My ""Sch.ema"."Tab.le, with ""quotes""" SET "a,""b""" = '$$' WHERE "ключ ключ" = 2;
    UPDATE public.words SET op = 'U' WHERE op = 'I'; UPDATE public.words SET "null" = 'x' WHERE op = 'D'; DELETE FROM public.words WHERE op = 'U';
    UPDATE public.t234567890123456789012345678901234567890123456789012345678901é
    SET c234567890123456789012345678901234567890123456789012345678901é = 9 WHERE "COLUMN" = 'a';
    UPDATE public.salesync_staging SET n = 7 WHERE s = 1; DELETE FROM public.salesync_staging WHERE s = 2;
    UPDATE public.salesync_changed_1 SET n = 7 WHERE c = 1; DELETE FROM public.salesync_changed_1 WHERE c = 2"#;

#[test]
fn names_that_mean_something_elsewhere_are_only_names() {
    let company = company_of(&["east"], &TRACKED, TABLES);
    for changes in [INSERT, UPDATE, "TRUNCATE public.words, public.salesync_staging"] {
        company.branch().sql(changes);
        company.sync();
        agree(&company, &TRACKED);
    }
    let east = company.branch();
    east.run(&["bundle", "--since", "all"]).ok();
    company.sync();
    agree(&company, &TRACKED);
    assert_eq!(company.head_office.value("SELECT count(*) FROM public.x"), "1");
}

/// The application's role may only use its table; and it puts its own things in the way.
#[test]
fn an_application_without_rights_is_captured_and_cannot_mislead_the_capture() {
    let company = Company::new(&["east"], "[[table]]\nname = \"shop.item\"\nday = \"sold_at\"\n");
    let east = company.branch();
    company.head_office.run(&["init"]).ok();
    east.sql(
        "CREATE SCHEMA shop; CREATE TABLE shop.item (id int PRIMARY KEY, note text, sold_at timestamptz)",
    );
    east.run(&["init"]).ok();
    east.sql(
        "CREATE ROLE till; GRANT USAGE ON SCHEMA shop TO till; GRANT ALL ON shop.item TO till;
         CREATE SCHEMA evil AUTHORIZATION till; GRANT TEMPORARY ON DATABASE %s TO till"
            .replace("%s", &east.value("SELECT current_database()"))
            .as_str(),
    );
    let mut till = east.client();
    till.batch_execute(
        "SET ROLE till;
         CREATE TABLE evil.log_1 (k1 int, op \"char\", xid xid8); CREATE TABLE evil.item (id int, note text);
         CREATE FUNCTION evil.is_same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.is_same);
         CREATE FUNCTION evil.pg_current_xact_id() RETURNS xid8 LANGUAGE sql AS $$SELECT '1'::xid8$$;
         CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT 'serializable'$$;
         CREATE FUNCTION evil.misled() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$misled as %$$, current_user; END';
         CREATE FUNCTION evil.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT evil.misled()';
         CREATE FUNCTION evil.timezone(text, timestamptz) RETURNS timestamp LANGUAGE sql AS 'SELECT evil.misled(); SELECT now()::timestamp';
         CREATE DOMAIN evil.date AS pg_catalog.date CHECK (evil.misled() > 0); CREATE DOMAIN evil.\"char\" AS text CHECK (evil.misled() > 0);
         CREATE FUNCTION evil.is_followed() RETURNS bool LANGUAGE sql AS 'SELECT evil.misled() > 0';
         CREATE TEMPORARY TABLE changed_rows (id int, sold_at timestamptz); CREATE TEMPORARY TABLE log_1 (k1 int);
         CREATE TABLE evil.changed_rows (id int, sold_at timestamptz); CREATE TEMPORARY TABLE r (id int, sold_at timestamptz);
         SET search_path = evil, pg_temp, pg_catalog;",
    )
    .unwrap();
    let followed = "CREATE OR REPLACE FUNCTION salesync.is_followed() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'";
    east.sql(followed);
    till.batch_execute("INSERT INTO shop.item SELECT n, 'n', now() FROM generate_series(1, 10) n").unwrap();
    sync(&company, east);
    agree(&company, &["shop.item"]);
    for changes in [
        "UPDATE shop.item SET id = id + 100 WHERE id OPERATOR(pg_catalog.<) 3; DELETE FROM shop.item WHERE id OPERATOR(pg_catalog.>) 101",
        "BEGIN; TRUNCATE shop.item; INSERT INTO shop.item VALUES (5, 'five', now()); COMMIT",
    ] {
        east.sql(followed);
        till.batch_execute(changes).unwrap();
        sync(&company, east);
        agree(&company, &["shop.item"]);
    }
    for forbidden in ["SELECT FROM salesync.log_1", "DELETE FROM salesync.log_1", "SELECT FROM salesync.node"]
    {
        let error = till.batch_execute(forbidden).unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{forbidden}");
    }
    assert_eq!(till.query_one("SELECT count(*) FROM evil.log_1", &[]).unwrap().get::<_, i64>(0), 0);
    east.sql("DROP OWNED BY till CASCADE; DROP ROLE till");
}
