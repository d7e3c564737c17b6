//! A server's program: where it is installed and how it is called.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::domain::{Failure, Kind};

/// Names the packages to whom a program is missing.
const PACKAGES: &str = "run scripts/install-servers, or install the Debian packages postgresql and rabbitmq-server, \
                        for the tests also chromium and chromium-driver";

/// What the servers' own scripts call; the rest of our environment is kept from them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program with its arguments and its whole environment.
#[derive(Debug, Clone)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
}

impl Program {
    /// The program at `path`, with no arguments and an environment of its own.
    pub(super) fn new(path: &Path) -> Self {
        let environment = vec![("PATH".into(), PATH.into()), ("LC_ALL".into(), "C.UTF-8".into())];
        Self { path: path.to_path_buf(), arguments: Vec::new(), environment }
    }

    /// Adds an argument.
    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(super) fn args<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// Sets an environment variable.
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The command that has `shell` call it: the program and its arguments are its last arguments.
    pub(super) fn command_under(&self, mut shell: Command) -> Command {
        shell.arg(&self.path).args(&self.arguments);
        shell.env_clear().envs(self.environment.iter().cloned());
        shell
    }
}

/// The command line, to be read and to be pasted into a shell.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "env -i")?;
        for (name, value) in &self.environment {
            write!(f, " {name}={}", quoted(value))?;
        }
        write!(f, " {}", quoted(self.path.as_os_str()))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// `word` as the shell must see it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Finds a `PostgreSQL` program: the newest version of Debian's folders, else `PATH`.
pub fn find_postgres(name: &str) -> Result<PathBuf, Failure> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path()).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(major_version(folder)));
    find(name, folders.into_iter().map(|folder| folder.join("bin")))
}

/// Finds a `RabbitMQ` or Erlang program. Debian's folder first: the script of the same name in `PATH`
/// insists on being root or the system's own broker.
pub(super) fn find_rabbitmq(name: &str) -> Result<PathBuf, Failure> {
    find(name, [PathBuf::from("/usr/lib/rabbitmq/bin")])
}

/// Finds `ChromeDriver`.
pub(super) fn find_chromedriver() -> Result<PathBuf, Failure> {
    find("chromedriver", [PathBuf::from("/usr/bin")])
}

fn major_version(folder: &Path) -> Option<u32> {
    folder.file_name()?.to_str()?.parse().ok()
}

fn find(name: &str, folders: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, Failure> {
    let search = env::var_os("PATH").unwrap_or_else(|| PATH.into());
    let mut places = folders.into_iter().chain(env::split_paths(&search)).map(|folder| folder.join(name));
    places.find(|place| place.is_file()).ok_or_else(|| {
        Failure::new(Kind::Configuration, format!("looking for the program {name}"), "it is not installed")
            .hint(PACKAGES)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let program = Program::new(Path::new("/bin/printf")).arg("%s").arg("it's a").env("A", "{1,2}");
        assert_eq!(
            program.to_string(),
            format!(r"env -i PATH={PATH} LC_ALL=C.UTF-8 A='{{1,2}}' /bin/printf %s 'it'\''s a'")
        );
    }

    #[test]
    fn a_missing_program_is_a_configuration_failure_that_names_the_packages() {
        let failure = find_postgres("no-such-program").unwrap_err();
        assert_eq!(failure.kind(), Kind::Configuration);
        let hint = failure.advice().unwrap_or_default();
        for word in ["scripts/install-servers", "postgresql", "rabbitmq-server", "chromium-driver"] {
            assert!(hint.contains(word), "{hint}");
        }
    }
}
