//! Programs that end when their owner does: servers, and tools that run to their end.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use super::account::Account;
use super::folder::Folder;
use super::program::Program;
use super::wait::wait_until;
use crate::domain::{Failure, Kind};

/// Runs the server beside a watcher that reads the leash, our pipe on its standard input. At the end of
/// the pipe the watcher signals the server. Once that has ended, for whatever reason, whatever is left
/// of the process group goes too, and with it this shell. Its standard output holds the folder; the
/// server must not have it, nor the leash.
const SCRIPT: &str = r#"
log=$1 signal=$2
shift 2
exec 3<&0 2>>"$log"
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
{
    read -r _
    kill -s "$signal" "$server"
    sleep 10
    kill -s KILL 0
} <&3 &
wait "$server"
echo "salesync: the server has ended with status $?" >>"$log"
kill -s KILL 0
"#;

/// Runs a tool beside a watcher that reads the leash, as above. Without it a `rabbitmqctl` whose owner was
/// killed waits for a node that is gone, half a minute on a busy machine, and works in the folder meanwhile.
const TOOL_SCRIPT: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
tool=$!
{
    read -r _
    kill -s KILL 0
} <&3 >/dev/null 2>&1 &
wait "$tool"
"#;

/// How many of a log's last lines a failure shows: Erlang says the cause first and then much more.
const SHOWN_LINES: usize = 60;

/// A running server in a process group of its own. Dropping it ends the server and waits for that.
#[derive(Debug)]
pub(super) struct Leash {
    shell: Child,
    /// The leash itself; taken only when dropped.
    pipe: Option<ChildStdin>,
    command_line: String,
    log: PathBuf,
}

impl Leash {
    /// Starts `program` in `home`, a part of the folder, under the folder's account. Its output is appended to
    /// `home/log_name`. `signal` ends it, as `kill -s` knows it; what then is left gets KILL.
    pub(super) fn start(
        folder: &Folder,
        home: &Path,
        log_name: &str,
        program: &Program,
        signal: &str,
    ) -> Result<Self, Failure> {
        Self::start_as(folder.account(), folder, home, log_name, program, signal)
    }

    /// The same under this account, or as ourselves.
    pub(super) fn start_as(
        account: Option<Account>,
        folder: &Folder,
        home: &Path,
        log_name: &str,
        program: &Program,
        signal: &str,
    ) -> Result<Self, Failure> {
        let log = home.join(log_name);
        let mut shell = shell(SCRIPT);
        shell.arg(&log).arg(signal);
        let mut command = leashed(account, home, program, shell);
        command.stdout(folder.hold()?).stderr(Stdio::null());
        let started = command.spawn();
        let mut shell =
            started.map_err(|error| Failure::new(Kind::Failed, format!("starting {program}"), error))?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe, command_line: program.to_string(), log })
    }

    /// Polls `is_ready` for at most `limit`. A failure says what a person needs to find the cause:
    /// the command line and the end of the log.
    pub(super) fn wait_until_ready(
        &mut self,
        what: &str,
        limit: Duration,
        mut is_ready: impl FnMut() -> bool,
    ) -> Result<(), Failure> {
        let shell = &mut self.shell;
        let waited = wait_until(limit, "it to be ready", || {
            if is_ready() {
                return Ok(Some(()));
            }
            match shell.try_wait() {
                Ok(None) => Ok(None),
                Ok(Some(_)) => Err(Failure::new(Kind::Failed, "waiting for it to be ready", "it has ended")),
                Err(error) => Err(Failure::new(Kind::Failed, "watching it", error)),
            }
        });
        waited.map_err(|failure| {
            let why = format!("{failure}\n{}", self.report());
            Failure::new(failure.kind(), format!("starting {what}"), why)
        })
    }

    /// The command line, the log's path and the log's last lines.
    fn report(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n  ");
        format!("command: {}\nend of its log {}:\n  {tail}", self.command_line, self.log.display())
    }
}

/// Runs `program`, a tool, in `home` under the folder's account and waits for its end. It is killed when this
/// process ends before.
pub(super) fn run_to_end(folder: &Folder, home: &Path, program: &Program) -> io::Result<Output> {
    let mut command = leashed(folder.account(), home, program, shell(TOOL_SCRIPT));
    let mut tool = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Waiting for a child closes its standard input, if it still has it.
    let leash = tool.stdin.take();
    let output = tool.wait_with_output();
    drop(leash);
    output
}

fn shell(script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "salesync-leash"]);
    shell
}

/// The command that has `shell` run `program` on a leash.
fn leashed(account: Option<Account>, home: &Path, program: &Program, shell: Command) -> Command {
    let mut command = program.command_under(shell);
    command.current_dir(home).process_group(0).stdin(Stdio::piped());
    if let Some(account) = account {
        account.run(&mut command);
    }
    command
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The shell ends by its own KILL; there is nothing in that to report.
        let _ = self.shell.wait();
    }
}
