//! The roles of migrations/roles.sql suffice for what they are for, and for nothing else.

mod broker;
mod hostile;
mod lacking;
mod nested;

use std::cell::RefCell;
use std::process::Command;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, NoTls};
use salesync::sandbox::{PostgresServer, Sandbox, find_postgres, wait_until};

use crate::company::{Company, Node, Run, SALES_2021};
use crate::page::site::{Page, Site};
use crate::rights::as_role;
use crate::servers::fresh_vhost;

const TABLES: &str =
    "[[table]]\nname = \"public.sales\"\nday = \"date\"\n[[table]]\nname = \"shop.item\"\nday = \"day\"\n";

/// The owner of the application's tables, and its login.
const SHOP: &str = "
    CREATE ROLE shop; CREATE ROLE till LOGIN; CREATE SCHEMA shop AUTHORIZATION shop;
    SET ROLE shop;
    CREATE TABLE shop.item (id int PRIMARY KEY, note text, day date, price numeric(12,2));
    GRANT USAGE ON SCHEMA shop TO till; GRANT SELECT, INSERT, UPDATE, DELETE ON shop.item TO till;
    RESET ROLE;
    GRANT shop TO salesync_init;";

/// A server whose roles are those of the file and no others.
struct World {
    server: PostgresServer,
    company: Company,
    _sandbox: Sandbox,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new().unwrap();
        let server = PostgresServer::start(&sandbox, "postgres").unwrap();
        for (database, side) in [("head", "head-office"), ("east", "branch")] {
            server.create_database(database).unwrap();
            grant(&server, database, side).ok();
        }
        as_superuser(&server, "east").batch_execute(SHOP).unwrap();
        let roles = RefCell::new([("head", "salesync_apply"), ("east", "salesync_bundle")].into_iter());
        let database = || {
            let (database, role) = roles.borrow_mut().next().unwrap();
            as_role(&server.url(database), role)
        };
        let company = Company::on(fresh_vhost(), database, &["east"], TABLES);
        Self { server, company, _sandbox: sandbox }
    }

    fn superuser(&self, database: &str) -> Client {
        as_superuser(&self.server, database)
    }

    fn value(&self, database: &str, sql: &str) -> String {
        let text = format!("SELECT coalesce(q.value::text, '') FROM ({sql}) AS q(value)");
        self.superuser(database).query_one(&text, &[]).unwrap().get(0)
    }

    /// Does this as a role.
    fn does(&self, database: &str, role: &str, sql: &str) {
        let done = self.client(database, role).batch_execute(sql);
        done.unwrap_or_else(|error| panic!("{role}: {sql}: {error:?}"));
    }

    /// The server refuses each of these to the role, for want of rights.
    fn refuses(&self, database: &str, role: &str, statements: &[&str]) {
        for sql in statements {
            let refused = self.client(database, role).batch_execute(sql).err();
            let refused = refused.unwrap_or_else(|| panic!("{role} may do this: {sql}"));
            assert_eq!(refused.code().map(SqlState::code), Some("42501"), "{role}: {sql}: {refused:?}");
        }
    }

    fn client(&self, database: &str, role: &str) -> Client {
        Client::connect(&as_role(&self.server.url(database), role), NoTls).unwrap()
    }

    /// A node as it is, for a program that runs as this role.
    fn served_by(&self, node: &Node, role: &str, sections: &str) -> Node {
        let database_url = as_role(&node.database_url, role);
        let other = Node { name: node.name.clone(), folder: node.folder.clone(), database_url };
        other.configure(side_of(node), &self.company.broker_url, sections);
        other
    }

    fn assert_equal(&self) {
        for (table, columns) in [
            ("public.sales", "id, date, region, product, qty, cost, amt, tax, total"),
            ("shop.item", "id, note, day, price"),
        ] {
            let rows = format!(
                "SELECT string_agg(format('%s', s), ' ' ORDER BY s) FROM (SELECT {columns} FROM {table}) s"
            );
            assert_eq!(self.value("head", &rows), self.value("east", &rows), "{table}");
        }
    }
}

fn as_superuser(server: &PostgresServer, database: &str) -> Client {
    Client::connect(&server.url(database), NoTls).unwrap()
}

/// Runs the file as its head says.
fn grant(server: &PostgresServer, database: &str, side: &str) -> Run {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/roles.sql");
    let mut psql = Command::new(find_postgres("psql").unwrap());
    psql.args(["-X", "-q", "-v", &format!("side={side}"), "-f", file, "-d", &server.url(database)]);
    Run::of(&mut psql)
}

/// Every right in a database that is not the default.
const RIGHTS: &str = "
    SELECT string_agg(entry, E'\\n' ORDER BY entry) FROM (
        SELECT format('%s %s', oid::regclass, relacl) AS entry FROM pg_class WHERE relacl IS NOT NULL
        UNION ALL SELECT format('%s %s', oid::regprocedure, proacl) FROM pg_proc WHERE proacl IS NOT NULL
        UNION ALL SELECT format('%s %s', nspname, nspacl) FROM pg_namespace
        UNION ALL SELECT format('%s %s %s', defaclrole, defaclnamespace, defaclacl) FROM pg_default_acl
        UNION ALL SELECT format('%s %s', datname, datacl) FROM pg_database
        UNION ALL SELECT format('%s in %s', member::regrole, roleid::regrole) FROM pg_auth_members) rights";

const OWNERS: &str = "
    SELECT string_agg(DISTINCT owner::regrole::text, ' ') FROM (
        SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'salesync'::regnamespace
        UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'salesync'::regnamespace
        UNION ALL SELECT typowner FROM pg_type WHERE typnamespace = 'salesync'::regnamespace) owned";

/// The functions without a search path of their own.
const WITHOUT_PATH: &str = r"
    SELECT coalesce(string_agg(DISTINCT regexp_replace(proname, '_\d+$', ''), ' '), '') FROM pg_proc
    WHERE pronamespace = 'salesync'::regnamespace AND 'search_path=pg_catalog, pg_temp' <> ALL (coalesce(proconfig, '{}'))";

#[test]
fn with_the_roles_of_the_file_everything_works_and_nothing_else() {
    let world = World::new();
    let (east, head) = (world.company.branch(), &world.company.head_office);
    grant(&world.server, "east", "neither").exits(3).says(&["side=branch", "side=head-office"]);
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    for (database, side) in [("east", "branch"), ("head", "head-office")] {
        grant(&world.server, database, side).ok();
        let rights = world.value(database, RIGHTS);
        grant(&world.server, database, side).ok();
        assert_eq!(world.value(database, RIGHTS), rights, "{database}");
    }
    // Whoever has run `init`, what it has made is the nightly role's, who needs no other.
    assert_eq!(world.value("east", OWNERS), "salesync_bundle");
    assert_eq!(world.value("head", OWNERS), "salesync_apply");
    // Those of every statement look nothing up by a path.
    assert_eq!(world.value("east", WITHOUT_PATH), "deleted inserted is_followed updated");
    assert_eq!(world.value("head", WITHOUT_PATH), "");
    world.superuser("east").batch_execute("REVOKE shop FROM salesync_init").unwrap();
    assert_eq!(east.run(&["init", "--json"]).ok().json()["tracked"], serde_json::json!([]));

    a_day_goes_by(&world);
    the_pages_are_served(&world);
    nobody_may_do_more(&world);
}

/// The application sells, the branch bundles, head office applies, monitoring looks.
fn a_day_goes_by(world: &World) {
    let (east, head) = (world.company.branch(), &world.company.head_office);
    east.run_with(&["import", "-"], SALES_2021.as_bytes()).ok();
    world.does(
        "east",
        "till",
        "INSERT INTO shop.item SELECT n, 'n', '2021-05-02', n FROM generate_series(1, 9) n",
    );
    east.run(&["bundle"]).ok();
    head.run(&["apply"])
        .exits(77)
        .says(&["making table shop.item", "CREATE SCHEMA shop AUTHORIZATION salesync_apply"]);
    world.superuser("head").batch_execute("CREATE SCHEMA shop AUTHORIZATION salesync_apply").unwrap();
    head.run(&["apply"]).ok();
    world.assert_equal();
    world.does(
        "east",
        "till",
        "UPDATE shop.item SET note = 'changed' WHERE id < 3; UPDATE shop.item SET id = id + 100 WHERE id = 5;
         UPDATE shop.item SET day = '2021-05-03' WHERE id = 6; DELETE FROM shop.item WHERE id = 7",
    );
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    world.assert_equal();
    assert_eq!(world.value("east", "SELECT count(*) FROM salesync.log_1"), "0");
    for command in [&["compare", "east"][..], &["request", "east", "--full"], &["prune"], &["status"]] {
        head.run(command).ok();
    }
    for command in [&["bundle", "--since", "all"][..], &["resend", "1"], &["prune"], &["status"]] {
        east.run(command).ok();
    }
    head.run(&["apply"]).ok();
    world.assert_equal();
    for (node, sections) in [(east, TABLES), (head, "[branches.east]\n")] {
        world.served_by(node, "salesync_status", sections).run(&["status", "--check"]).ok();
        node.configure(side_of(node), &world.company.broker_url, sections);
    }
}

fn side_of(node: &Node) -> &'static str {
    if node.name == "head" { "role = \"head-office\"" } else { "role = \"branch\"" }
}

fn hidden(page: &Page, name: &str) -> String {
    let (_, rest) = page.text.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn the_pages_are_served(world: &World) {
    let (east, head) = (world.company.branch(), &world.company.head_office);
    let paper =
        [("date", "2021-04-29"), ("region", "East"), ("product", "Glue"), ("qty", "3"), ("cost", "2.50")];
    for role in ["salesync_sell", "salesync_page"] {
        let site = Site::of(&world.served_by(east, role, TABLES));
        let form = hidden(&site.get("/sales/new"), "form");
        site.post("/sales/new", &[&paper[..], &[("form", &form)]].concat()).is(303);
        let newest = world.value("east", "SELECT max(id) FROM public.sales");
        let ask = site.get(&format!("/sales/{newest}/void")).is(200);
        let seen = [("version", &*hidden(&ask, "version")), ("words", &hidden(&ask, "words"))];
        site.post(&format!("/sales/{newest}/void"), &seen).is(303);
        for path in ["/", "/bundles", "/metrics", "/healthz"] {
            site.get(path).is(200);
        }
        site.post("/sync", &[]).is(303);
        let says = if role == "salesync_sell" { "permission denied" } else { "Head office had everything" };
        let mut text = String::new();
        let said = wait_until(Duration::from_secs(30), says, || {
            text = site.get("/sync").is(200).text;
            Ok(text.contains(says).then_some(()))
        });
        said.unwrap_or_else(|error| panic!("{role}: {error}:\n{text}"));
    }
    east.configure(side_of(east), &world.company.broker_url, TABLES);
    head.run(&["apply"]).ok();
    world.assert_equal();

    for role in ["salesync_view", "salesync_operate"] {
        let viewer = world.served_by(head, role, "[branches.east]\n");
        viewer.run(&["compare", "east"]).ok();
        let site = Site::of(&viewer);
        for path in ["/", "/days", "/sales", "/sales.csv", "/bundles", "/incidents", "/metrics", "/healthz"] {
            site.get(path).is(200);
        }
        let kept = "SELECT (SELECT count(*) FROM salesync.sales_seen) = 1
                           AND NOT EXISTS (SELECT FROM salesync.sales_backlog)";
        let is_kept = || Ok((world.value("head", kept) == "true").then_some(()));
        wait_until(Duration::from_mins(1), "the summary", is_kept).unwrap();
        world.superuser("head").batch_execute("DELETE FROM salesync.sales_seen").unwrap();
    }
    head.configure(side_of(head), &world.company.broker_url, "[branches.east]\n");
}

/// A trigger function of salesync's on a table of one's own would write into the log whatever one likes.
const FORGE: &str = "
    CREATE TEMPORARY TABLE forged (LIKE public.sales);
    CREATE TRIGGER forge AFTER INSERT ON forged REFERENCING NEW TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION salesync.inserted_1()";

fn nobody_may_do_more(world: &World) {
    const EVERYBODY: [&str; 5] = [
        "CREATE ROLE other",
        "CREATE DATABASE other",
        "CREATE TABLE public.planted (id int)",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT FROM pg_authid",
    ];
    let log = [
        "SELECT FROM salesync.log_1",
        "INSERT INTO salesync.log_1 DEFAULT VALUES",
        "DELETE FROM salesync.log_1",
    ];
    for role in ["till", "salesync_bundle", "salesync_sell", "salesync_page", "salesync_status"] {
        world.refuses("east", role, &EVERYBODY);
        world.refuses(
            "east",
            role,
            &["ALTER TABLE shop.item DISABLE TRIGGER ALL", "DROP TRIGGER salesync_insert ON shop.item"],
        );
    }
    for role in ["salesync_view", "salesync_operate", "salesync_status"] {
        world.refuses("head", role, &EVERYBODY);
    }
    world.refuses(
        "head",
        "salesync_apply",
        &[&EVERYBODY[..2], &EVERYBODY[3..], &["CREATE SCHEMA other"]].concat(),
    );
    world.refuses("east", "till", &log);
    world.refuses(
        "east",
        "till",
        &[FORGE, "SELECT salesync.is_followed()", "SELECT FROM salesync.node", "TRUNCATE shop.item"],
    );
    world.refuses("east", "till", &["SET ROLE salesync_bundle", "SET session_replication_role = replica"]);
    world.refuses(
        "east",
        "salesync_bundle",
        &["SET ROLE shop", "SET ROLE salesync_init", "INSERT INTO shop.item VALUES (0)"],
    );
    world.refuses(
        "east",
        "salesync_bundle",
        &["DELETE FROM public.sales", "UPDATE shop.item SET note = ''", "TRUNCATE public.sales"],
    );
    world.refuses("east", "salesync_init", &EVERYBODY[..2]);
    for role in ["salesync_sell", "salesync_status"] {
        world.refuses("east", role, &log[1..]);
        world.refuses(
            "east",
            role,
            &[FORGE, "UPDATE salesync.node SET last_sequence = 0", "DELETE FROM salesync.bundle"],
        );
        world.refuses(
            "east",
            role,
            &["INSERT INTO salesync.receipt DEFAULT VALUES", "UPDATE shop.item SET note = ''"],
        );
    }
    world.refuses(
        "east",
        "salesync_status",
        &["DELETE FROM public.sales", "INSERT INTO salesync.spent_form DEFAULT VALUES"],
    );
    for role in ["salesync_view", "salesync_operate", "salesync_status"] {
        world.refuses(
            "head",
            role,
            &["UPDATE public.sales SET total = 0", "DELETE FROM salesync.bundle", "SET ROLE salesync_apply"],
        );
        world.refuses(
            "head",
            role,
            &[
                "INSERT INTO salesync.receipt DEFAULT VALUES",
                "UPDATE salesync.decision SET verdict = 'retry'",
            ],
        );
    }
    world.refuses(
        "head",
        "salesync_view",
        &["INSERT INTO salesync.decision DEFAULT VALUES", "INSERT INTO salesync.request DEFAULT VALUES"],
    );
    world.refuses("head", "salesync_status", &["SELECT FROM public.sales", "SELECT FROM shop.item"]);
}
