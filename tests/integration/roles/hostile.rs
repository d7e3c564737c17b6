//! What others have put into a database: names that answer before the right ones, triggers, views, casts. None of it
//! changes what is carried, and nothing of it runs with salesync's rights.

use crate::company::{Company, Node, SALES};

/// Every call of these tells whose rights it had.
const TRAP: &str = "
    CREATE TABLE public.caught (who text, what text); GRANT INSERT ON public.caught TO PUBLIC;
    CREATE FUNCTION public.trap(what text) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO public.caught VALUES (current_user, what); RETURN true; END $$;";

/// Fits what salesync asks better than what PostgreSQL has, wherever a search path leads here.
const SNARES: &str = r"
    CREATE FUNCTION {s}.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$SELECT public.trap('to_regclass'); SELECT NULL::regclass$$;
    CREATE FUNCTION {s}.to_regnamespace(text) RETURNS regnamespace LANGUAGE sql AS $$SELECT public.trap('to_regnamespace'); SELECT NULL::regnamespace$$;
    CREATE FUNCTION {s}.format(text, text, text) RETURNS text LANGUAGE sql AS $$SELECT public.trap('format'); SELECT 'true'$$;
    CREATE FUNCTION {s}.current_setting(text) RETURNS text LANGUAGE sql AS $$SELECT public.trap('current_setting'); SELECT 'west'$$;
    CREATE FUNCTION {s}.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS $$SELECT public.trap('set_config'); SELECT 'west'$$;
    CREATE FUNCTION {s}.pg_current_xact_id() RETURNS xid8 LANGUAGE sql AS $$SELECT public.trap('xact'); SELECT '1'::xid8$$;
    CREATE FUNCTION {s}.pg_current_snapshot() RETURNS pg_snapshot LANGUAGE sql AS $$SELECT public.trap('snapshot'); SELECT '1:1:'::pg_snapshot$$;
    CREATE FUNCTION {s}.pg_visible_in_snapshot(xid8, pg_snapshot) RETURNS boolean LANGUAGE sql AS $$SELECT public.trap('visible')$$;
    CREATE FUNCTION {s}.pg_advisory_lock(int, int) RETURNS void LANGUAGE sql AS $$SELECT public.trap('lock')$$;
    CREATE FUNCTION {s}.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT public.trap('clock'); SELECT '2000-01-01'::timestamptz$$;
    CREATE FUNCTION {s}.now() RETURNS timestamptz LANGUAGE sql AS $$SELECT public.trap('now'); SELECT '2000-01-01'::timestamptz$$;
    CREATE FUNCTION {s}.timezone(text, timestamptz) RETURNS timestamp LANGUAGE sql AS $$SELECT public.trap('zone'); SELECT '2000-01-01'::timestamp$$;
    CREATE FUNCTION {s}.lower(text) RETURNS text LANGUAGE sql AS $$SELECT public.trap('lower'); SELECT ''$$;
    CREATE AGGREGATE {s}.count(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '1000');
    CREATE AGGREGATE {s}.sum(numeric) (SFUNC = numeric_add, STYPE = numeric, INITCOND = '1000');
    CREATE AGGREGATE {s}.max(bigint) (SFUNC = int8larger, STYPE = int8, INITCOND = '1000');
    CREATE FUNCTION {s}.is_same(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT public.trap('=')$$;
    CREATE OPERATOR {s}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = {s}.is_same);
    CREATE OPERATOR {s}.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = {s}.is_same);
    CREATE FUNCTION {s}.is_same(bigint, bigint) RETURNS boolean LANGUAGE sql AS $$SELECT public.trap('=')$$;
    CREATE OPERATOR {s}.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {s}.is_same);
    CREATE FUNCTION {s}.is_same(date, date) RETURNS boolean LANGUAGE sql AS $$SELECT public.trap('=')$$;
    CREATE OPERATOR {s}.= (LEFTARG = date, RIGHTARG = date, FUNCTION = {s}.is_same);
    CREATE FUNCTION {s}.joined(text, text) RETURNS text LANGUAGE sql AS $$SELECT public.trap('||'); SELECT ''$$;
    CREATE OPERATOR {s}.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = {s}.joined);
    CREATE DOMAIN {s}.date AS pg_catalog.date CHECK (public.trap('date') IS NULL);
    CREATE DOMAIN {s}.text AS pg_catalog.text CHECK (public.trap('text') IS NULL);
    CREATE TABLE {s}.pg_class (oid oid, relname name); CREATE TABLE {s}.pg_namespace (oid oid, nspname name);
    CREATE VIEW {s}.pg_roles AS SELECT public.trap('pg_roles'); CREATE VIEW {s}.pg_type AS SELECT public.trap('pg_type');
    CREATE VIEW {s}.pg_attribute AS SELECT public.trap('pg_attribute'); CREATE VIEW {s}.pg_database AS SELECT public.trap('pg_database');
    GRANT ALL ON SCHEMA {s} TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA {s} TO PUBLIC;";

/// Lays the snares in a schema of their own and in public, and lets every role's search path lead there first.
fn ensnare(node: &Node) {
    node.sql("CREATE SCHEMA evil; SET search_path = pg_catalog");
    for schema in ["evil", "public"] {
        node.sql(&format!("SET search_path = pg_catalog; {}", SNARES.replace("{s}", schema)));
    }
    let database = node.value("SELECT current_database()::pg_catalog.text");
    node.sql(&format!("ALTER DATABASE {database} SET search_path = evil, public, pg_catalog"));
    for role in ["bundle", "init", "sell", "page", "apply"] {
        let role = format!("salesync_{role}");
        node.sql(&format!(
            "ALTER ROLE {role} IN DATABASE {database} SET search_path = evil, public, pg_catalog"
        ));
    }
}

fn caught(node: &Node) -> Vec<String> {
    let rows = node.client().query("SELECT DISTINCT who || ' ' || what FROM public.caught", &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn names_planted_where_a_search_path_leads_are_never_taken_for_postgresqls_own() {
    let company = Company::new(&["east"], SALES);
    let (east, head) = (company.branch(), &company.head_office);
    for node in [east, head] {
        node.sql(TRAP);
        ensnare(node);
    }
    let mut east_client = east.client();
    east_client.batch_execute("SET search_path = pg_catalog").unwrap();
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    let rows = |node: &Node| {
        let rows = "SELECT coalesce(string_agg(format('%s %s %s %s', id, date, product, total), E'\\n' ORDER BY id), '')
                    FROM public.sales";
        let mut client = node.client();
        client.batch_execute("SET search_path = pg_catalog").unwrap();
        client.query_one(rows, &[]).unwrap().get::<_, String>(0)
    };
    for changes in [
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-02', 'East', 'Ink ' || n, n, 1, n, 0, n FROM generate_series(1, 50) n",
        "UPDATE public.sales SET id = id + 100 WHERE id < 10; UPDATE public.sales SET date = '2021-05-03' WHERE id > 40;
         DELETE FROM public.sales WHERE id IN (20, 21)",
        // By whoever has such a search path while writing: the capture has one of its own.
        "SET search_path = evil, public, pg_catalog; TRUNCATE public.sales; SET search_path = pg_catalog; INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES ('2021-05-04', 'East', 'Glue', 1, 1, 1, 0, 1)",
    ] {
        east_client.batch_execute(changes).unwrap();
        company.sync();
        assert_eq!(rows(head), rows(east));
    }
    for arguments in [&["status"][..], &["bundle", "--since", "all"], &["resend", "1"]] {
        east.run(arguments).ok();
    }
    for arguments in [&["apply"][..], &["status"], &["compare", "east"]] {
        head.run(arguments).ok();
    }
    assert_eq!(rows(head), rows(east));
    assert_eq!(head.run(&["status", "--json"]).ok().json()["branches"][0]["branch"], "east");
    for node in [east, head] {
        assert_eq!(caught(node), [""; 0], "something was taken for PostgreSQL's own at {}", node.name);
    }
}

/// Who owns a table can put anything on it; what that does, it does with the rights of whoever writes.
#[test]
fn what_the_owner_of_a_table_plants_on_it_never_runs_with_salesyncs_rights() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sql(TRAP);
    east.sql(
        "CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM public.trap(tg_op); RETURN coalesce(NEW, OLD); END $$;
         CREATE TRIGGER a_planted BEFORE INSERT OR UPDATE OR DELETE ON public.sales FOR EACH ROW EXECUTE FUNCTION public.planted();
         CREATE TRIGGER z_planted AFTER INSERT OR UPDATE OR DELETE ON public.sales FOR EACH ROW EXECUTE FUNCTION public.planted();
         CREATE TRIGGER z_planted_too AFTER TRUNCATE ON public.sales EXECUTE FUNCTION public.planted()",
    );
    east.sell("Ink");
    east.sell("Glue");
    company.sync();
    east.sql("UPDATE public.sales SET id = id + 10; DELETE FROM public.sales WHERE id = 12");
    company.sync();
    company.assert_equal("public.sales");
    east.run_with(&["import", "-"], crate::company::SALES_2021.as_bytes()).ok();
    let rights = "SELECT string_agg(DISTINCT who, ' ') FROM public.caught";
    assert_eq!(east.value(rights), "dba salesync_sell");

    // The capture of TRUNCATE reads the table with salesync's rights, and by its name: another's view has it now.
    east.sql(
        "ALTER TABLE public.sales RENAME TO moved;
         CREATE VIEW public.sales AS SELECT m.* FROM public.moved m WHERE public.trap('view');
         GRANT SELECT ON public.sales TO PUBLIC",
    );
    let refused = east.client().batch_execute("TRUNCATE public.moved").unwrap_err();
    assert!(format!("{refused:?}").contains("captured under another name"), "{refused:?}");
    east.run(&["bundle"]).exits(78).says(&["public.sales", "not an ordinary table"]);
    east.sql("DROP VIEW public.sales; ALTER TABLE public.moved RENAME TO sales");
    assert_eq!(east.value(rights), "dba salesync_sell");
    company.sync();
    company.assert_equal("public.sales");
    assert_eq!(
        head.value("SELECT count(*) FROM public.sales"),
        east.value("SELECT count(*) FROM public.sales")
    );
}

/// A cast is found by the types alone, whatever the search path is, and keys are compared as text.
#[test]
fn a_key_whose_text_somebodys_own_cast_makes_is_refused() {
    let company = Company::new(&["east"], "tables = [\"public.paint\"]");
    let east = company.branch();
    east.sql(TRAP);
    east.sql(
        "CREATE TYPE public.colour AS ENUM ('red', 'blue');
         CREATE TABLE public.paint (colour public.colour PRIMARY KEY);
         INSERT INTO public.paint VALUES ('red'), ('blue')",
    );
    company.head_office.run(&["init"]).ok();
    east.run(&["init"]).ok();
    company.sync();
    for cast in ["(public.colour AS text)", "(text AS public.colour)"] {
        let (from, to) = cast.trim_matches(['(', ')']).split_once(" AS ").unwrap();
        east.sql(&format!(
            "CREATE FUNCTION public.painted({from}) RETURNS {to} LANGUAGE sql AS $$SELECT public.trap('cast'); SELECT 'red'::{to}$$;
             CREATE CAST {cast} WITH FUNCTION public.painted({from})"
        ));
        for command in ["bundle", "init"] {
            let words = ["public.paint", "its primary key has \"colour\" of type public.colour", "CAST"];
            east.run(&[command]).exits(78).says(&words);
        }
        east.sql(&format!("DROP CAST {cast}; DROP FUNCTION public.painted"));
    }
    assert_eq!(east.value("SELECT count(*) FROM public.caught"), "0");
    east.sql("DELETE FROM public.paint WHERE colour = 'red'");
    company.sync();
    company.assert_equal("public.paint");
}
