//! The databases: a server whose disk is full, that cannot write its log any more, or that may not write at all.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use salesync::sandbox::{PostgresServer, Sandbox};

use super::{assert_goes_on, assert_told, sell_much};
use crate::company::{Company, Node, SALES};
use crate::small_disk::SmallDisk;

/// A server for one of the company's databases.
struct Server {
    postgres: PostgresServer,
    home: PathBuf,
    sandbox: Sandbox,
}

impl Server {
    fn start() -> Self {
        let sandbox = Sandbox::new().unwrap();
        let postgres = PostgresServer::start(&sandbox, "postgres").unwrap();
        Self { postgres, home: sandbox.path().join("postgres"), sandbox }
    }

    /// Runs a shell script in the server's home, as its owner.
    fn shell(&self, script: &str, argument: &Path) {
        let owner = fs::metadata(&self.home).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-ec", script, "sh"])
            .arg(argument)
            .current_dir(&self.home)
            .uid(owner.uid())
            .gid(owner.gid());
        assert!(command.status().unwrap().success(), "{script}");
    }

    /// A small disk for this server.
    fn disk(&self, size: &str) -> Option<SmallDisk> {
        self.shell("mkdir small", Path::new(""));
        SmallDisk::mounted_on(&self.home.join("small"), size)
    }

    /// No file of the server can grow beyond this; `None` takes the limit away. It holds for new sessions.
    fn limit_files(&self, bytes: Option<u64>) {
        let file = self.home.join("data/postmaster.pid");
        let pid = fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let set =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}:")]).status().unwrap();
        assert!(set.success());
    }
}
