//! The triggers of other replication systems, as their own tools install them, where Debian's packages are there:
//! `postgresql-NN-pgq3`, `postgresql-NN-slony1-2` with `slony1-2-bin`, `bucardo` with `postgresql-plperl-NN`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use postgres::config::Host;

use crate::servers::{connect, fresh_database};

const SALES: &str = include_str!("../../migrations/sales.sql");

/// A system that captures changes.
pub struct Peer {
    pub name: &'static str,
    capture: fn(&str) -> Result<(), String>,
}

pub const ALL: [Peer; 3] = [
    Peer { name: "PgQ", capture: pgq },
    Peer { name: "Slony-I", capture: slony },
    Peer { name: "Bucardo", capture: bucardo },
];

impl Peer {
    /// The URL of a database whose empty table of sales it captures; none, with a word why, where it is not installed.
    pub fn capturing(&self) -> Option<String> {
        let url = database_of_sales();
        (self.capture)(&url)
            .inspect_err(|why| eprintln!("{} is not measured: {}", self.name, why.trim()))
            .ok()?;
        Some(url)
    }
}

/// The URL of a new database with the table of sales, which nobody captures.
pub fn database_of_sales() -> String {
    let url = fresh_database();
    connect(&url).batch_execute(SALES).unwrap();
    url
}

fn pgq(url: &str) -> Result<(), String> {
    let install = "CREATE EXTENSION pgq; SELECT pgq.create_queue('bench');
        CREATE TRIGGER bench AFTER INSERT OR UPDATE OR DELETE ON public.sales
        FOR EACH ROW EXECUTE FUNCTION pgq.logutriga('bench')";
    connect(url).batch_execute(install).map_err(|error| format!("{error:?}"))
}

fn slony(url: &str) -> Result<(), String> {
    let [host, port, user, database] = parts(url);
    let script = format!(
        "cluster name = bench;
         node 1 admin conninfo = 'host={host} port={port} user={user} dbname={database}';
         init cluster (id = 1, comment = 'bench');
         create set (id = 1, origin = 1, comment = 'bench');
         set add table (set id = 1, origin = 1, id = 1, fully qualified name = 'public.sales');\n"
    );
    let mut command = Command::new("slonik");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("slonik: {error}"))?;
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    done(&child.wait_with_output().unwrap())
}

/// It keeps its configuration in a database of this name, and captures only what has somewhere to go.
fn bucardo(url: &str) -> Result<(), String> {
    let [host, port, user, database] = parts(url);
    let [_, _, _, target] = parts(&database_of_sales());
    let role =
        "DO $$ BEGIN CREATE ROLE bucardo SUPERUSER LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$";
    let mut client = connect(url);
    for statement in
        [role, "DROP DATABASE IF EXISTS bucardo WITH (FORCE)", "CREATE DATABASE bucardo OWNER bucardo"]
    {
        client.batch_execute(statement).unwrap();
    }
    let run = |by: &str, arguments: &[&str]| {
        let mut command = Command::new("bucardo");
        command.args(["--no-bucardorc", &format!("--dbhost={host}"), &format!("--dbport={port}")]);
        command.args([&format!("--dbuser={by}"), "--dbname=bucardo"]).args(arguments);
        done(&command.output().map_err(|error| format!("bucardo: {error}"))?)
    };
    run(&user, &["install", "--batch", "--piddir=/tmp"])?;
    for (name, database) in [("source", &database), ("target", &target)] {
        let database = format!("dbname={database}");
        let (host, port, user) = (format!("host={host}"), format!("port={port}"), format!("user={user}"));
        run("bucardo", &["add", "database", name, &database, &host, &port, &user])?;
    }
    run("bucardo", &["add", "table", "public.sales", "db=source", "relgroup=sales"])?;
    run("bucardo", &["add", "sync", "bench", "relgroup=sales", "dbs=source:source,target:target"])
}

/// Host, port, user and database.
fn parts(url: &str) -> [String; 4] {
    let config: postgres::Config = url.parse().unwrap();
    let [Host::Tcp(host)] = config.get_hosts() else { panic!("{url}") };
    let port = config.get_ports()[0].to_string();
    [host.clone(), port, config.get_user().unwrap().to_owned(), config.get_dbname().unwrap().to_owned()]
}

fn done(output: &Output) -> Result<(), String> {
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
