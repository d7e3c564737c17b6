//! What every command needs: settings, connections, and the way results and complaints go out.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::Global;
use super::key_file::read_identities;
use super::progress::Progress;
use super::settings::{Role, Settings};
use crate::domain::{Failure, Identities, Kind, Onlooker, Stage, legible, legible_lines};

/// One run of the program.
#[derive(Debug)]
pub(super) struct Context {
    config: Option<PathBuf>,
    json: bool,
    quiet: bool,
    progress: Progress,
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
        let talk = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(level >= Level::DEBUG)
            .without_time()
            // It would panic where nobody listens any more.
            .log_internal_errors(false);
        // The libraries' own complaints reach the user as failures; here they would come twice.
        let filter = Targets::new().with_target("salesync", level);
        tracing_subscriber::registry().with(talk).with(filter).init();
        let progress = Progress::new(global.quiet);
        Self { config: global.config.clone(), json: global.json, quiet: global.quiet, progress }
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

    /// What encrypted bundles are read with by commands that need no configuration: the keys in this file, or else those of
    /// this node, if it is configured.
    pub(super) fn identities(&self, named: Option<&Path>) -> Result<Identities, Failure> {
        match named {
            Some(file) => Ok(Identities::new(Ok(read_identities(file)?))),
            None => {
                Ok(self.settings().map(|settings| settings.archive.identities().clone()).unwrap_or_default())
            }
        }
    }

    /// How far it is, where somebody looks on.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Prints a result to stdout: one JSON object, or lines for a person.
    pub(super) fn print(&self, report: &(impl Serialize + Display)) -> Result<(), Failure> {
        let text = if self.json {
            let json = serde_json::to_string(report);
            json.map_err(|error| Failure::new(Kind::Failed, "printing the result", error))? + "\n"
        } else if self.quiet {
            return Ok(());
        } else {
            legible_lines(&report.to_string())
        };
        Self::write(text.as_bytes())
    }

    /// Prints a line of the result to stdout at once, where a person reads it.
    pub(super) fn tell(&self, line: &str) -> Result<(), Failure> {
        if self.json || self.quiet { Ok(()) } else { Self::write(format!("{}\n", legible(line)).as_bytes()) }
    }

    /// Prints these lines where nothing but errors is wanted, and `print` has printed nothing.
    pub(super) fn insist(&self, lines: &str) -> Result<(), Failure> {
        if self.quiet && !self.json { Self::write(legible_lines(lines).as_bytes()) } else { Ok(()) }
    }

    /// Writes to stdout.
    pub(super) fn write(text: &[u8]) -> Result<(), Failure> {
        match io::stdout().lock().write_all(text) {
            // Whoever read the first lines had enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Kind::Failed, "printing the result", error))
            }
            _ => Ok(()),
        }
    }

    /// Tells a failure on stderr: one line, and what to do about it.
    pub(super) fn complain(failure: &Failure) {
        let mut stderr = io::stderr().lock();
        // There is nowhere left to complain to if this fails.
        let _ = writeln!(stderr, "salesync: {}", legible(&failure.to_string().replace('\n', " ")));
        if let Some(hint) = failure.advice() {
            let _ = writeln!(stderr, "hint: {}", legible_lines(hint));
        }
    }
}

/// On the terminal.
impl Onlooker for Context {
    fn sees(&self, stage: &Stage) {
        self.progress.of_exchange(stage);
    }

    fn hears(&self, trouble: &Failure) {
        Self::complain(trouble);
    }
}
