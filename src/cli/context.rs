//! What every command needs: settings, connections, and the way results and complaints go out.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use postgres::Client;
use serde::Serialize;
use tracing::Level;

use super::args::Global;
use super::settings::{Role, Settings};
use crate::broker::Broker;
use crate::database::{connect, database_failure};
use crate::domain::{Failure, Kind};

/// One run of the program.
#[derive(Debug)]
pub(super) struct Context {
    config: Option<PathBuf>,
    json: bool,
    quiet: bool,
}

impl Context {
    /// Starts the talk on stderr at the level that was asked for.
    pub(super) fn new(global: &Global) -> Self {
        let level = match (global.quiet, global.verbose) {
            (true, _) => Level::ERROR,
            (false, 0) => Level::WARN,
            (false, 1) => Level::INFO,
            (false, _) => Level::DEBUG,
        };
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(level >= Level::DEBUG)
            .without_time()
            .init();
        Self { config: global.config.clone(), json: global.json, quiet: global.quiet }
    }

    /// The settings of this node.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        Settings::load(self.config.as_deref())
    }

    /// The settings of this node, which must have this role.
    pub(super) fn settings_of(&self, role: Role) -> Result<Settings, Failure> {
        let settings = self.settings()?;
        settings.require(role)?;
        Ok(settings)
    }

    /// Connects to the node's database; `command` is seen in the server's list of sessions.
    pub(super) fn database(&self, settings: &Settings, command: &str) -> Result<Client, Failure> {
        connect(&settings.database_url()?, &format!("salesync {command}"))
    }

    /// The same, after `salesync init` has been run.
    pub(super) fn prepared_database(&self, settings: &Settings, command: &str) -> Result<Client, Failure> {
        let mut client = self.database(settings, command)?;
        let doing = "looking for the salesync schema";
        let row = client
            .query_one("SELECT to_regclass('salesync.node') IS NOT NULL", &[])
            .map_err(|error| database_failure(doing, &error))?;
        if row.get(0) {
            return Ok(client);
        }
        Err(Failure::new(Kind::Configuration, doing, "this database has none")
            .hint("run `salesync init` first"))
    }

    /// Connects to the node's broker.
    pub(super) fn broker(&self, settings: &Settings) -> Result<Broker, Failure> {
        Broker::connect(&settings.broker_address()?, &settings.broker_options)
    }

    /// Prints a result to stdout: one JSON object, or lines for a person.
    pub(super) fn print(&self, report: &(impl Serialize + Display)) -> Result<(), Failure> {
        let text = if self.json {
            let json = serde_json::to_string(report);
            json.map_err(|error| Failure::new(Kind::Failed, "printing the result", error))? + "\n"
        } else if self.quiet {
            return Ok(());
        } else {
            report.to_string()
        };
        match io::stdout().lock().write_all(text.as_bytes()) {
            // Whoever read the first lines had enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Kind::Failed, "printing the result", error))
            }
            _ => Ok(()),
        }
    }

    /// Tells a failure on stderr: one line, and what to do about it.
    pub(super) fn complain(&self, failure: &Failure) {
        let mut stderr = io::stderr().lock();
        // There is nowhere left to complain to if this fails.
        let _ = writeln!(stderr, "salesync: {failure}");
        if let Some(hint) = failure.advice() {
            let _ = writeln!(stderr, "hint: {hint}");
        }
    }
}
