//! A service of a node that stays: its page, or head office's `apply`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::folder::{Folder, Sandbox};
use super::leash::Leash;
use super::program::Program;
use crate::domain::Failure;

/// It takes a tenth of a second, but not while the machine compiles.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A program that was started as ourselves, in a folder of ours within the sandbox. It is asked to end when dropped, and
/// also when this process ends in any other way.
#[derive(Debug)]
pub struct Service {
    /// Declared before the folder, so that it is dropped first.
    leash: Leash,
    log: PathBuf,
    _folder: Arc<Folder>,
}

impl Service {
    /// Starts `program` in the folder `home`. What it prints and says goes to `home/log_name`.
    pub fn start(
        sandbox: &Sandbox,
        home: &Path,
        log_name: &str,
        program: &Path,
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        let folder = sandbox.folder();
        let program = Program::new(program).args(arguments).env("HOME", home);
        let leash = Leash::start_as(None, &folder, home, log_name, &program, "TERM")?;
        Ok(Self { leash, log: home.join(log_name), _folder: folder })
    }

    /// Waits for the first line that begins like this.
    pub fn line(&mut self, what: &str, beginning: &str) -> Result<String, Failure> {
        let log = &self.log;
        let find = || {
            let text = fs::read_to_string(log).unwrap_or_default();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().find(|line| line.starts_with(beginning)).map(str::to_owned)
        };
        self.leash.wait_until_ready(what, START_LIMIT, || find().is_some())?;
        Ok(find().unwrap_or_default())
    }
}
