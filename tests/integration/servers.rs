//! The servers that the tests share: one PostgreSQL, one RabbitMQ, a database or virtual host per test.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::{env, fs, thread};

use rustix::fs::{StatVfsMountFlags, statvfs};
use salesync::sandbox::{BrokerServer, ChromeDriver, Definitions, PostgresServer, Sandbox};
use tempfile::TempDir;

/// So many virtual hosts are declared at a time, when the first of them is asked for: hundreds at once would keep
/// every test waiting for minutes, one by one each would cost its test a second.
const BATCH: usize = 50;

/// Every database would be looked after once a minute, that is one of a thousand at any time.
const RARE_VACUUM: &str = "autovacuum_naptime=1h";

/// Every queue would write down its figures every five seconds, for a management that is not there: with a thousand queues
/// that takes most of a core.
const RARE_FIGURES: &str = "application:set_env(rabbit, quorum_tick_interval, 3600000).";

/// The password of the users for branches.
const BRANCH_PASSWORD: &str = "branch";

/// The system's memory as a folder. A database is a thousand files, and to make them costs a disk's file system six times
/// what it costs here.
const MEMORY: &str = "/dev/shm";

/// So much must be free there, and in all. The tests need a quarter of it.
const ROOM: u64 = 4 << 30;

struct Servers {
    postgres: PostgresServer,
    broker: BrokerServer,
    sandbox: Sandbox,
}

/// A static is never dropped; the servers end all the same when this process does.
static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
    let sandbox = fresh_sandbox();
    let (postgres, broker) = thread::scope(|scope| {
        let broker = scope.spawn(|| {
            let broker = BrokerServer::start(&sandbox, "broker", &batch(0)).unwrap();
            broker.control(&["eval", RARE_FIGURES]).unwrap();
            broker
        });
        let postgres = PostgresServer::start_with(&sandbox, "postgres", &[RARE_VACUUM]).unwrap();
        (postgres, broker.join().unwrap())
    });
    Servers { postgres, broker, sandbox }
});

/// Started by the first test that opens a browser, in a sandbox of its own: some need no other server.
static CHROME_DRIVER: LazyLock<ChromeDriver> = LazyLock::new(|| {
    let sandbox = fresh_sandbox();
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

/// Where servers and tests have their files: where the developer says (`TMPDIR`), else in memory if there is room.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from(MEMORY);
    if env::var_os("TMPDIR").is_none() && has_room(&memory) { memory } else { env::temp_dir() }
});

/// Containers often have a tiny one, or one from which nothing may be run.
fn has_room(memory: &Path) -> bool {
    let Ok(volume) = statvfs(memory) else { return false };
    let free = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = free.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix(" kB"));
    let free: u64 = free.and_then(|kilobytes| kilobytes.trim().parse().ok()).unwrap_or(0) << 10;
    volume.f_bavail * volume.f_frsize >= ROOM
        && free >= ROOM
        && !volume.f_flag.intersects(StatVfsMountFlags::NOEXEC | StatVfsMountFlags::RDONLY)
}

/// Where servers and tests have their files.
pub fn place() -> &'static Path {
    &PLACE
}

/// For servers of the test's own.
pub fn fresh_sandbox() -> Sandbox {
    Sandbox::new_in(place()).unwrap()
}

/// The URL of an empty database of its own.
pub fn fresh_database() -> String {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    SERVERS.postgres.create_database(&name).unwrap();
    SERVERS.postgres.url(&name)
}

/// Drops a database of the shared server; one on another server goes with that.
pub fn drop_database(url: &str) {
    if let Some(name) = url.strip_prefix(&SERVERS.postgres.url("")) {
        // A test that has failed may have left it as nobody expects.
        let _ = SERVERS.postgres.drop_database(name);
    }
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
