//! The servers that everything is measured on: those of the branches, head office's, the broker, and two more for
//! PostgreSQL's own replication. A database or virtual host for each measurement.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use postgres::{Client, NoTls};
use salesync::sandbox::{BrokerServer, Definitions, PostgresServer, Sandbox};
use tempfile::TempDir;

use crate::company::{Company, SALES};

/// As in production, unlike the tests: a commit is on disk before it is reported. Room for the write-ahead log, so
/// that no checkpoint falls into a measurement by chance. The rest is as PostgreSQL comes. The references have the same.
const DURABLE: [&str; 3] = ["fsync=on", "full_page_writes=on", "max_wal_size=8GB"];
const LOGICAL: &str = "wal_level=logical";

/// A measurement takes one.
const VHOSTS: usize = 60;

struct Servers {
    branches: Server,
    head_office: Server,
    publisher: Server,
    subscriber: Server,
    broker: BrokerServer,
    sandbox: Sandbox,
    used_vhosts: AtomicUsize,
}

struct Server {
    server: PostgresServer,
    databases: Mutex<Vec<String>>,
}

/// A static is never dropped; the servers end all the same when this process does.
static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    let vhosts = (0..VHOSTS).map(|number| format!("bench-{number}"));
    Servers {
        branches: Server::start(&sandbox, "branches", &[]),
        head_office: Server::start(&sandbox, "head-office", &[]),
        publisher: Server::start(&sandbox, "publisher", &[LOGICAL]),
        subscriber: Server::start(&sandbox, "subscriber", &[LOGICAL]),
        broker: BrokerServer::start(&sandbox, "broker", &Definitions::with_vhosts(vhosts)).unwrap(),
        sandbox,
        used_vhosts: AtomicUsize::new(0),
    }
});

impl Server {
    fn start(sandbox: &Sandbox, name: &str, settings: &[&str]) -> Self {
        let settings = [&DURABLE[..], settings].concat();
        let server = PostgresServer::start_with(sandbox, name, &settings).unwrap();
        Self { server, databases: Mutex::default() }
    }

    fn fresh_database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bench_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.server.create_database(&name).unwrap();
        let url = self.server.url(&name);
        self.databases.lock().unwrap().push(name);
        url
    }

    fn drop_databases(&self) {
        self.databases.lock().unwrap().drain(..).for_each(|name| self.server.drop_database(&name).unwrap());
    }

    fn checkpoint(&self) {
        connect(&self.server.url("postgres")).batch_execute("CHECKPOINT").unwrap();
    }
}

impl Servers {
    fn each(&self) -> [&Server; 4] {
        [&self.branches, &self.head_office, &self.publisher, &self.subscriber]
    }
}

/// A connection.
pub fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

/// The URL of an empty database of a branch.
pub fn fresh_database() -> String {
    SERVERS.branches.fresh_database()
}

/// The URL of an empty database of head office.
pub fn fresh_head_office() -> String {
    SERVERS.head_office.fresh_database()
}

/// Drops a database.
pub fn drop_database(url: &str) {
    for server in SERVERS.each() {
        if let Some(name) = url.strip_prefix(&server.server.url("")) {
            // `clear` tries again, and complains: here something may have panicked already.
            let _ = server.server.drop_database(name);
        }
    }
}

/// The URLs of two empty databases, for a publisher and a subscriber.
pub fn fresh_pair() -> [String; 2] {
    [SERVERS.publisher.fresh_database(), SERVERS.subscriber.fresh_database()]
}

/// The URL of an empty virtual host.
pub fn fresh_vhost() -> String {
    let number = SERVERS.used_vhosts.fetch_add(1, Ordering::Relaxed);
    assert!(number < VHOSTS, "declare more virtual hosts");
    SERVERS.broker.url(&format!("bench-{number}"))
}

/// An empty folder that goes with the servers.
pub fn fresh_folder() -> TempDir {
    tempfile::Builder::new().prefix("bench-").tempdir_in(SERVERS.sandbox.path()).unwrap()
}

/// Head office and branches with the table of sales, captured and empty, that have made each other's acquaintance: the
/// tables have travelled once.
pub fn fresh_company(branches: &[&str]) -> Company {
    let is_head_office = Cell::new(true);
    let database = || if is_head_office.replace(false) { fresh_head_office() } else { fresh_database() };
    let company = Company::on(fresh_vhost(), database, branches, SALES);
    company.head_office.run(&["init"]).ok();
    company.branches.iter().for_each(|branch| drop(branch.run(&["init", "--with-sales"]).ok()));
    company.sync();
    // The branches take in the receipts.
    company.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).ok()));
    company
}

/// Brings all servers to the same state before something is timed: what was written is on disk.
pub fn settle() {
    SERVERS.each().into_iter().for_each(Server::checkpoint);
}

/// Removes the databases. Nothing may use them any more.
pub fn clear() {
    SERVERS.each().into_iter().for_each(Server::drop_databases);
}

/// What the database servers call themselves.
pub fn postgres_version() -> String {
    let row = connect(&SERVERS.branches.server.url("postgres")).query_one("SHOW server_version", &[]);
    row.unwrap().get(0)
}
