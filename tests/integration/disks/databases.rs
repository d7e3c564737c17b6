//! The databases: a server whose disk is full, that cannot write its log any more, or that may not write at all.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use salesync::sandbox::{PostgresServer, Sandbox, wait_until};

use super::{assert_goes_on, assert_told};
use crate::company::{Company, Node, SALES};
use crate::rights::{Side, program_url};
use crate::running::Running;
use crate::servers::fresh_sandbox;
use crate::small_disk::SmallDisk;

/// A server for one of the company's databases.
struct Server {
    postgres: PostgresServer,
    home: PathBuf,
    _sandbox: Sandbox,
}

impl Server {
    fn start() -> Self {
        let sandbox = fresh_sandbox();
        let postgres = PostgresServer::start(&sandbox, "postgres").unwrap();
        Self { postgres, home: sandbox.path().join("postgres"), _sandbox: sandbox }
    }

    /// Runs a shell script in the server's home, as its owner.
    fn shell(&self, script: &str) {
        let owner = fs::metadata(&self.home).unwrap();
        let mut command = Command::new("sh");
        let script = format!("cd \"$1\" && {script}");
        command
            .args(["-ec", &script, "sh"])
            .arg(&self.home)
            .current_dir("/")
            .uid(owner.uid())
            .gid(owner.gid());
        assert!(command.status().unwrap().success(), "{script}");
    }

    /// A small disk for this server.
    fn disk(&self, size: &str) -> Option<SmallDisk> {
        self.shell("mkdir small");
        SmallDisk::mounted_on(&self.home.join("small"), size)
    }

    /// An empty database, on this disk if there is one.
    fn create_database(&self, name: &str, disk: Option<&SmallDisk>) -> String {
        let Some(disk) = disk else {
            self.postgres.create_database(name).unwrap();
            return self.postgres.url(name);
        };
        assert!(disk.shell("mkdir tablespace").status().unwrap().success());
        let mut client = postgres::Client::connect(&self.postgres.url("postgres"), postgres::NoTls).unwrap();
        let place = disk.path().join("tablespace");
        client.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name} TABLESPACE small")).unwrap();
        self.postgres.url(name)
    }

    /// From now on no file of the server grows beyond this, in sessions to come; `None` takes the limit away.
    fn limit_files(&self, bytes: Option<u64>) {
        let pid = fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        self.shell(&format!("prlimit --pid {pid} --fsize={limit}:"));
    }
}

/// What keeps the server from writing more: its disk, or where none can be mounted the size of its files.
enum Full<'a> {
    Disk(&'a SmallDisk),
    FileSize(&'a Server),
}

/// Within the first 16 MiB of a file, which its log needs. The last block is cut in half, which the server takes for
/// a full disk.
const SMALL_FILE: u64 = (16 << 20) + 4096;

impl<'a> Full<'a> {
    fn of(server: &'a Server, disk: Option<&'a SmallDisk>) -> Self {
        disk.map_or(Self::FileSize(server), Self::Disk)
    }

    /// Sales that have no room in what is left.
    fn sell_too_much(&self, east: &Node) {
        let times = if matches!(self, Self::Disk(_)) { 1 } else { 12 };
        (0..times).for_each(|_| east.sell_much());
    }

    fn begin(&self) {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::FileSize(server) => server.limit_files(Some(SMALL_FILE)),
        }
    }

    fn end(&self) {
        match self {
            Self::Disk(disk) => disk.make_room(),
            Self::FileSize(server) => server.limit_files(None),
        }
    }
}

/// A company whose head office has its database at this URL.
fn company_with_head_office_at(url: String) -> Company {
    let mut company = Company::new(&["east"], SALES);
    company.head_office.database_url = url;
    company.head_office.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    company.head_office.run(&["init"]).ok();
    company.branch().run(&["init", "--with-sales"]).ok();
    company.branch().sell("Ink");
    company.sync();
    company
}

fn assert_unchanged(company: &Company) {
    assert_eq!(company.head_office.value("SELECT last_sequence FROM salesync.branch"), "1");
    assert_eq!(company.head_office.value("SELECT count(*) FROM public.sales"), "1");
    // The broker puts it back when it notices that the connection has ended.
    let mut broker = company.broker();
    wait_until(Duration::from_mins(1), "the message to be in the queue", || {
        Ok((broker.queue_depth("east")? == Some(1)).then_some(()))
    })
    .unwrap();
}

#[test]
fn a_full_disk_of_head_offices_database_rolls_back_and_the_message_stays() {
    let server = Server::start();
    let disk = server.disk("40m");
    let company = company_with_head_office_at(server.create_database("head", disk.as_ref()));
    let full = Full::of(&server, disk.as_ref());
    full.sell_too_much(company.branch());
    company.branch().run(&["bundle"]).ok();
    full.begin();
    for _ in 0..2 {
        let run = Running::start(&company.head_office, &["apply"]).ends();
        assert_told(run, 69, "", "free some disk space on the database server");
        assert_unchanged(&company);
    }
    full.end();
    assert_goes_on(&company);
}

#[test]
fn a_full_disk_of_a_branchs_database_cuts_nothing() {
    let server = Server::start();
    let disk = server.disk("40m");
    let mut company = Company::new(&["east"], SALES);
    company.branches[0].database_url = server.create_database("east", disk.as_ref());
    let east = company.branch();
    east.configure("role = \"branch\"", &company.broker_url, SALES);
    company.head_office.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    let full = Full::of(&server, disk.as_ref());
    let (file, hint) = (east.folder.join("sales.csv"), "free some disk space on the database server");
    fs::write(&file, csv(if disk.is_some() { 20_000 } else { 200_000 })).unwrap();
    full.begin();
    // The table has no block yet, nor has that of the bundles.
    assert_told(Running::start(east, &["import", "sales.csv"]).ends(), 69, "", hint);
    full.end();
    east.sell("Ink");
    if disk.is_some() {
        full.begin();
        assert_told(Running::start(east, &["bundle"]).ends(), 69, "", hint);
        full.end();
    }
    assert_eq!(east.value("SELECT count(*) FROM public.sales"), "1");
    assert_eq!(east.value("SELECT count(*) FROM salesync.bundle"), "0");
    east.run(&["import", "sales.csv"]).ok();
    assert_goes_on(&company);
    assert_eq!(east.bundles().len(), 1, "what was sealed in vain is gone");
}

fn csv(count: u32) -> String {
    let lines = (0..count).map(|number| format!("2021-05-03,East,Pen {number},1,1.00\n"));
    "Date,Region,Product,Qty,Cost\n".chars().map(String::from).chain(lines).collect()
}

/// Without room for its log the server gives up as a whole.
#[test]
fn a_server_that_dies_because_its_log_has_no_room_is_unreachable_and_then_goes_on() {
    let mut server = Server::start();
    let disk = server.disk("100m");
    if let Some(disk) = &disk {
        server.postgres.stop_immediately();
        let wal = disk.path().display();
        server.shell(&format!("cp -a data/pg_wal/. {wal}/ && rm -r data/pg_wal && ln -s {wal} data/pg_wal"));
        server.postgres.start_again().unwrap();
    }
    server.postgres.create_database("head").unwrap();
    let company = company_with_head_office_at(server.postgres.url("head"));
    company.branch().sell_much();
    company.branch().run(&["bundle"]).ok();
    // The server may have made the next files of its log already.
    let ahead = "SELECT count(*) FROM pg_ls_waldir() WHERE name > pg_walfile_name(pg_current_wal_lsn())";
    while company.head_office.value(ahead) != "0" {
        company.head_office.sql("SELECT pg_logical_emit_message(true, 'test', 'x'), pg_switch_wal()");
    }
    let room = "SELECT 16 - (pg_current_wal_lsn() - '0/0') % (16 * 1024 * 1024) / (1024 * 1024)";
    while company.head_office.value(room).parse::<f64>().unwrap() > 1.0 {
        company.head_office.sql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 200000))");
    }
    match &disk {
        Some(disk) => disk.fill(),
        None => server.limit_files(Some(1 << 20)),
    }
    for _ in 0..2 {
        assert_told(Running::start(&company.head_office, &["apply"]).ends(), 69, "", "");
    }
    let log = fs::read_to_string(server.home.join("postgres.log")).unwrap();
    assert!(log.contains("PANIC:  could not write to"), "{log}");
    if let Some(disk) = &disk {
        disk.make_room();
    }
    server.postgres.start_again().unwrap();
    assert_eq!(company.head_office.value("SELECT last_sequence FROM salesync.branch"), "1");
    assert_eq!(company.head_office.value("SELECT count(*) FROM public.sales"), "1");
    assert_goes_on(&company);
}

#[test]
fn a_standby_is_told_from_the_server_that_may_be_written_to() {
    let mut server = Server::start();
    server.postgres.create_database("head").unwrap();
    let mut company = company_with_head_office_at(server.postgres.url("head"));
    server.postgres.create_database("other").unwrap();
    program_url(&server.postgres.url("other"), Side::Branch);
    company.branch().sell("Paper");
    company.branch().run(&["bundle"]).ok();
    server.postgres.stop_immediately();
    server.shell("touch data/standby.signal");
    server.postgres.start_again().unwrap();
    assert_told(Running::start(&company.head_office, &["apply"]).ends(), 78, "", "standby");
    let right = company.branch().database_url.clone();
    company.branches[0].database_url = server.postgres.url("other");
    company.branch().configure("role = \"branch\"", &company.broker_url, SALES);
    assert_told(Running::start(company.branch(), &["init"]).ends(), 78, "", "standby");
    company.branches[0].database_url = right;
    company.branch().configure("role = \"branch\"", &company.broker_url, SALES);
    server.postgres.stop_immediately();
    server.shell("rm data/standby.signal");
    server.postgres.start_again().unwrap();
    assert_unchanged(&company);
    assert_goes_on(&company);
}

#[test]
fn a_role_without_rights_is_told_what_it_lacks() {
    let server = Server::start();
    server.postgres.create_database("head").unwrap();
    let mut company = company_with_head_office_at(server.postgres.url("head"));
    company.branch().sell("Paper");
    company.branch().run(&["bundle"]).ok();
    company.head_office.sql(
        "CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA salesync TO clerk;
         GRANT SELECT ON ALL TABLES IN SCHEMA salesync, public TO clerk",
    );
    let right = company.head_office.database_url.clone();
    company.head_office.database_url = right.replace("salesync@", "clerk@");
    company.head_office.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    assert_told(Running::start(&company.head_office, &["apply"]).ends(), 77, "", "grant the role");
    company.head_office.database_url = right;
    company.head_office.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    assert_unchanged(&company);
    assert_goes_on(&company);
}
