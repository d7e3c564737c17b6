//! A private `PostgreSQL` server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postgres::{Client, Config, NoTls};

use super::folder::{Folder, Sandbox};
use super::leash::{Leash, run_to_end};
use super::port::free_port;
use super::program::{Program, find_postgres};
use super::url::path_segment;
use crate::domain::{Failure, Kind};

/// The superuser, and the only role.
const USER: &str = "salesync";

/// The database that is there from the beginning, for `CREATE DATABASE` and `DROP DATABASE`.
const MAINTENANCE: &str = "postgres";

/// As before version 15. Since then each block goes through the write-ahead log, which on a disk costs six times as much.
const COPIED: &str = "STRATEGY file_copy";

/// Crash recovery included, on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Without `fsync` a commit survives the death of the server, though not of the machine, and that is
/// what we try out. `synchronous_commit` stays on: without it a crash would lose commits.
const SETTINGS: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "fsync=off",
    "full_page_writes=off",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// A server with its own data folder and port on 127.0.0.1: UTF-8, locale `C.UTF-8`, one superuser
/// `salesync` without a password. It ends when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    /// `None` while stopped. Declared before the folder, so that it is dropped first.
    leash: Option<Leash>,
    program: Program,
    home: PathBuf,
    port: u16,
    folder: Arc<Folder>,
}

impl PostgresServer {
    /// Makes an empty server and waits until it accepts connections, about 1 s. Its home in the folder is
    /// called `name`, so each server of a sandbox needs another. Several may be started in parallel.
    pub fn start(sandbox: &Sandbox, name: &str) -> Result<Self, Failure> {
        Self::start_with(sandbox, name, &[])
    }

    /// The same with more settings, each `name=value`, in place of its own where they name the same.
    pub fn start_with(sandbox: &Sandbox, name: &str, settings: &[&str]) -> Result<Self, Failure> {
        let folder = sandbox.folder();
        let program = find_postgres("postgres")?;
        let home = folder.make_home(name)?;
        let data = home.join("data");
        initialise(&folder, &data)?;
        let port = free_port()?;
        let program = Program::new(&program).arg("-D").arg(&data).arg("-p").arg(port.to_string());
        let settings = SETTINGS.iter().chain(settings);
        let program = settings.fold(program, |program, setting| program.arg("-c").arg(setting));
        let mut server = Self { leash: None, program, home, port, folder };
        server.start_again()?;
        Ok(server)
    }

    /// The port on 127.0.0.1; the same for the server's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection URL of a database, whether it exists or not.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{}", self.port, path_segment(database))
    }

    /// Its data folder. While the server is stopped, a copy of it is a backup at file level.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Creates an empty database.
    pub fn create_database(&self, name: &str) -> Result<(), Failure> {
        let create = format!("CREATE DATABASE {}", identifier(name));
        let failed = |error| failure(&create, &error);
        let mut client = self.open()?;
        let knows_another = "SELECT current_setting('server_version_num')::int >= 150000";
        let strategy = if client.query_one(knows_another, &[]).map_err(failed)?.get(0) { COPIED } else { "" };
        client.batch_execute(&format!("{create} {strategy}")).map_err(failed)
    }

    /// Drops a database, ending the connections to it; it need not exist.
    pub fn drop_database(&self, name: &str) -> Result<(), Failure> {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
        self.open()?.batch_execute(&drop).map_err(|error| failure(&drop, &error))
    }

    /// Ends the server as a crash does, without a checkpoint: every connection breaks, and the next start
    /// recovers from the write-ahead log. Returns when it has ended.
    pub fn stop_immediately(&mut self) {
        self.leash = None;
    }

    /// Starts the server over the same data on the same port, and waits until it accepts connections. If
    /// it runs, it is stopped immediately first.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        self.stop_immediately();
        // QUIT is an immediate shutdown. After a mere KILL the server would leave its shared memory behind.
        let mut leash = Leash::start(&self.folder, &self.home, "postgres.log", &self.program, "QUIT")?;
        leash.wait_until_ready("a private PostgreSQL server", START_LIMIT, || self.connect().is_ok())?;
        self.leash = Some(leash);
        Ok(())
    }

    fn connect(&self) -> Result<Client, postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(USER).dbname(MAINTENANCE);
        config.connect_timeout(Duration::from_secs(5)).connect(NoTls)
    }

    fn open(&self) -> Result<Client, Failure> {
        self.connect().map_err(|error| failure("connecting to a private server", &error))
    }
}

/// Runs `initdb`, about a second.
fn initialise(folder: &Folder, data: &Path) -> Result<(), Failure> {
    let program = Program::new(&find_postgres("initdb")?)
        .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"])
        .args(["--no-sync", "--no-instructions", "--pgdata"])
        .arg(data);
    let failed = |why: String| {
        Failure::new(Kind::Failed, "making a private PostgreSQL server", format!("{why}\ncommand: {program}"))
            .hint("if it may not enter the temporary folder, set TMPDIR to one that every account may enter")
    };
    let done = run_to_end(folder, Path::new("/"), &program).map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(format!("{}, {}", done.status, String::from_utf8_lossy(&done.stderr).trim())))
}

fn failure(doing: &str, error: &postgres::Error) -> Failure {
    // The crate's own text is a mere "db error".
    let why = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    let kind = if error.as_db_error().is_some() { Kind::Failed } else { Kind::Unreachable };
    Failure::new(kind, doing, why)
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
