//! The servers that the tests share: one PostgreSQL, one RabbitMQ, a database or virtual host per test.

use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use salesync::sandbox::{BrokerServer, ChromeDriver, Definitions, PostgresServer, Sandbox};
use tempfile::TempDir;

/// More than the tests ask for. Declaring all of them at boot costs two minutes, declaring one
/// later a second.
const VHOSTS: usize = 700;

/// So many of them, the last, have users for branches.
const BRANCH_VHOSTS: usize = 30;
const BRANCH_PASSWORD: &str = "branch";

struct Servers {
    postgres: PostgresServer,
    broker: BrokerServer,
    sandbox: Sandbox,
}

/// A static is never dropped; the servers end all the same when this process does.
static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    let (postgres, broker) = thread::scope(|scope| {
        let broker = scope.spawn(|| {
            let definitions = Definitions::with_vhosts((0..VHOSTS).map(|number| format!("test-{number}")));
            let definitions = (VHOSTS - BRANCH_VHOSTS..VHOSTS).fold(definitions, |all, number| {
                let vhost = format!("test-{number}");
                all.with_branch(&vhost, "east", BRANCH_PASSWORD).with_branch(&vhost, "west", BRANCH_PASSWORD)
            });
            BrokerServer::start(&sandbox, "broker", &definitions).unwrap()
        });
        let postgres = PostgresServer::start(&sandbox, "postgres").unwrap();
        (postgres, broker.join().unwrap())
    });
    Servers { postgres, broker, sandbox }
});

/// Started by the first test that opens a browser, in a sandbox of its own: some need no other server.
static CHROME_DRIVER: LazyLock<ChromeDriver> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    ChromeDriver::start(&sandbox, "browser").unwrap()
});

static USED_BRANCH_VHOSTS: AtomicUsize = AtomicUsize::new(0);
static DATABASES: AtomicUsize = AtomicUsize::new(0);
static USED_VHOSTS: AtomicUsize = AtomicUsize::new(0);

/// The URL of an empty database of its own.
pub fn fresh_database() -> String {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    SERVERS.postgres.create_database(&name).unwrap();
    SERVERS.postgres.url(&name)
}

/// The URL of an empty virtual host of its own.
pub fn fresh_vhost() -> String {
    let number = USED_VHOSTS.fetch_add(1, Ordering::Relaxed);
    assert!(number < VHOSTS - BRANCH_VHOSTS, "declare more virtual hosts");
    SERVERS.broker.url(&format!("test-{number}"))
}

/// The same with users for the branches east and west, who may do there what a branch may: the URL of the one who
/// may do everything, and [`as_branch`] makes theirs of it.
pub fn fresh_branch_vhost() -> String {
    let number = USED_BRANCH_VHOSTS.fetch_add(1, Ordering::Relaxed);
    assert!(number < BRANCH_VHOSTS, "declare more virtual hosts with users for branches");
    SERVERS.broker.url(&format!("test-{}", VHOSTS - 1 - number))
}

/// The URL for a branch's own user.
pub fn as_branch(url: &str, branch: &str) -> String {
    let (_, place) = url.split_once('@').unwrap();
    format!("amqp://{branch}:{BRANCH_PASSWORD}@{place}")
}

/// An empty folder that goes with the servers, also when the test is killed.
pub fn fresh_folder() -> TempDir {
    tempfile::Builder::new().prefix("test-").tempdir_in(SERVERS.sandbox.path()).unwrap()
}

/// Where browsers are started.
pub fn chrome_driver_url() -> String {
    CHROME_DRIVER.url()
}

/// Runs `rabbitmqctl` against the broker that all tests share: nothing that others would notice.
pub fn control_broker(arguments: &[&str]) {
    SERVERS.broker.control(arguments).unwrap();
}

/// User and group of the account that the servers run under: ours, or an ordinary one for root.
pub fn server_account() -> (u32, u32) {
    let home = std::fs::metadata(SERVERS.sandbox.path().join("postgres")).unwrap();
    (home.uid(), home.gid())
}
