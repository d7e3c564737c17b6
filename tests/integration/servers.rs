//! The servers that the tests share: one PostgreSQL, one RabbitMQ, a database or virtual host per test.

use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use salesync::sandbox::{BrokerServer, ChromeDriver, Definitions, PostgresServer, Sandbox};
use tempfile::TempDir;

/// So many virtual hosts are declared at a time, when the first of them is asked for: hundreds at once would keep
/// every test waiting for minutes, one by one each would cost its test a second.
const BATCH: usize = 50;

/// Every database would be looked after once a minute, that is one of a thousand at any time.
const RARE_VACUUM: &str = "autovacuum_naptime=1h";

/// The password of the users for branches.
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
        let broker = scope.spawn(|| BrokerServer::start(&sandbox, "broker", &batch(0)).unwrap());
        let postgres = PostgresServer::start_with(&sandbox, "postgres", &[RARE_VACUUM]).unwrap();
        (postgres, broker.join().unwrap())
    });
    Servers { postgres, broker, sandbox }
});

/// Started by the first test that opens a browser, in a sandbox of its own: some need no other server.
static CHROME_DRIVER: LazyLock<ChromeDriver> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    ChromeDriver::start(&sandbox, "browser").unwrap()
});

static DATABASES: AtomicUsize = AtomicUsize::new(0);
static USED_VHOSTS: Mutex<usize> = Mutex::new(0);

/// The batch of virtual hosts that begins with this number. In each the branches have users.
fn batch(first: usize) -> Definitions {
    let names = (first..first + BATCH).map(vhost);
    names.clone().fold(Definitions::with_vhosts(names), |all, vhost| {
        all.with_branch(&vhost, "east", BRANCH_PASSWORD).with_branch(&vhost, "west", BRANCH_PASSWORD)
    })
}

fn vhost(number: usize) -> String {
    format!("test-{number}")
}

/// The URL of an empty database of its own.
pub fn fresh_database() -> String {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    SERVERS.postgres.create_database(&name).unwrap();
    SERVERS.postgres.url(&name)
}

/// The URL of an empty virtual host of its own, for the user who may do everything there; [`as_branch`] makes of it
/// the URL of east's or west's user.
pub fn fresh_vhost() -> String {
    let mut used = USED_VHOSTS.lock().unwrap_or_else(PoisonError::into_inner);
    let number = *used;
    if number > 0 && number.is_multiple_of(BATCH) {
        SERVERS.broker.declare(&batch(number)).unwrap();
    }
    *used += 1;
    SERVERS.broker.url(&vhost(number))
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
pub fn control_broker(arguments: &[&str]) -> String {
    SERVERS.broker.control(arguments).unwrap()
}

/// User and group of the account that the servers run under: ours, or an ordinary one for root.
pub fn server_account() -> (u32, u32) {
    let home = std::fs::metadata(SERVERS.sandbox.path().join("postgres")).unwrap();
    (home.uid(), home.gid())
}
