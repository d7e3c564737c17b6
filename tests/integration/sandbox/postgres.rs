//! What the private `PostgreSQL` promises.

use std::fs;
use std::thread;

use postgres::{Client, NoTls};
use salesync::domain::Kind;
use salesync::sandbox::{PostgresServer, Sandbox};

fn connect(server: &PostgresServer, database: &str) -> Result<Client, postgres::Error> {
    Client::connect(&server.url(database), NoTls)
}

fn setting(client: &mut Client, name: &str) -> String {
    client.query_one(&format!("SHOW {name}"), &[]).unwrap().get(0)
}

#[test]
fn a_private_postgres_creates_and_drops_databases_of_any_name() {
    let sandbox = Sandbox::new().unwrap();
    let server = PostgresServer::start(&sandbox, "db").unwrap();
    let name = r#"the "east" branch/1"#;
    server.create_database(name).unwrap();
    let mut client = connect(&server, name).unwrap();
    assert_eq!(setting(&mut client, "server_encoding"), "UTF8");
    assert_eq!(setting(&mut client, "lc_collate"), "C.UTF-8");
    assert_eq!(setting(&mut client, "listen_addresses"), "127.0.0.1");
    assert_eq!(setting(&mut client, "synchronous_commit"), "on");

    server.drop_database(name).expect("a database in use is dropped");
    assert!(connect(&server, name).is_err());
    server.drop_database(name).expect("a database that is gone is dropped again");

    let twice = server.create_database("postgres").unwrap_err();
    assert_eq!(twice.to_string(), r#"CREATE DATABASE "postgres": database "postgres" already exists"#);
}

#[test]
fn a_commit_survives_an_immediate_stop_and_an_open_transaction_does_not() {
    let sandbox = Sandbox::new().unwrap();
    let mut server = PostgresServer::start(&sandbox, "db").unwrap();
    let port = server.port();
    let mut committed = connect(&server, "postgres").unwrap();
    committed.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)").unwrap();
    let mut open = connect(&server, "postgres").unwrap();
    open.batch_execute("BEGIN; INSERT INTO t VALUES (2)").unwrap();

    server.stop_immediately();
    assert!(connect(&server, "postgres").is_err());
    let failure = server.create_database("other").unwrap_err();
    assert_eq!(failure.kind(), Kind::Unreachable);
    assert!(committed.batch_execute("SELECT 1").is_err());

    server.start_again().unwrap();
    assert_eq!(server.port(), port);
    let rows = connect(&server, "postgres").unwrap().query("SELECT n FROM t", &[]).unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1]);
}

#[test]
fn four_postgres_servers_start_in_parallel_in_one_sandbox() {
    let sandbox = Sandbox::new().unwrap();
    let names = ["head-office", "east", "north", "west"];
    let start = |name| PostgresServer::start(&sandbox, name).unwrap();
    let servers: Vec<_> = thread::scope(|scope| {
        let starting: Vec<_> = names.map(|name| scope.spawn(move || start(name))).into_iter().collect();
        starting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for server in &servers {
        connect(server, "postgres").unwrap();
    }
}

#[test]
fn a_postgres_that_cannot_start_says_how_it_was_called_and_shows_its_log() {
    let sandbox = Sandbox::new().unwrap();
    let mut server = PostgresServer::start(&sandbox, "db").unwrap();
    server.stop_immediately();
    fs::remove_file(sandbox.path().join("db/data/PG_VERSION")).unwrap();

    let text = server.start_again().unwrap_err().to_string();
    let log = sandbox.path().join("db/postgres.log").display().to_string();
    for part in ["starting a private PostgreSQL server", "/bin/postgres -D", &log, "PG_VERSION"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn a_second_server_of_the_same_name_is_refused() {
    let sandbox = Sandbox::new().unwrap();
    let _first = PostgresServer::start(&sandbox, "db").unwrap();
    let failure = PostgresServer::start(&sandbox, "db").unwrap_err();
    assert!(failure.to_string().contains("File exists"), "{failure}");
}
