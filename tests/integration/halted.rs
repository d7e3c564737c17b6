//! The real program, stopped after a step (`salesync::halt`), to be killed there or to meet a fault.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use salesync::halt;
use salesync::sandbox::wait_until;

use crate::company::{Node, Run};
use crate::running::Running;

const LIMIT: Duration = Duration::from_mins(2);

/// A run of the program that stands still.
pub struct Halted {
    /// What it has just done.
    pub step: String,
    arguments: String,
    child: Child,
    file: PathBuf,
}

/// How far a run came.
pub enum Reached {
    Halt(Halted),
    /// It ended before.
    End(Run),
}

impl Node {
    /// Runs the program until it has come to the place `at`, in the words of `salesync::halt::AT`.
    pub fn run_until(&self, arguments: &[&str], at: &str) -> Reached {
        let file = self.folder.join("halted");
        let mut command = self.command(arguments);
        let mut child = command.env(halt::AT, at).env(halt::FILE, &file).spawn().unwrap();
        let arguments = arguments.join(" ");
        let looked = wait_until(LIMIT, "a halt or the end", || {
            let step = match fs::read_to_string(&file) {
                Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
                step => step.unwrap(),
            };
            let has_ended = child.try_wait().unwrap().is_some();
            Ok((has_ended || !step.is_empty()).then_some(step))
        });
        match looked.unwrap_or_else(|failure| panic!("salesync {arguments}: {failure}")) {
            step if step.is_empty() => Reached::End(Run::ended(arguments, child.wait_with_output().unwrap())),
            step => Reached::Halt(Halted { step, arguments, child, file }),
        }
    }

    /// The same, and it must come there.
    pub fn halted(&self, arguments: &[&str], at: &str) -> Halted {
        match self.run_until(arguments, at) {
            Reached::Halt(halted) => halted,
            Reached::End(run) => panic!("never came to {at}: {run:?}"),
        }
    }
}

impl Halted {
    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.release();
    }

    /// Lets it go on, while the test does.
    pub fn release(&self) {
        if self.file.exists() {
            fs::remove_file(&self.file).unwrap();
        }
    }

    /// Lets it go on, to its end.
    pub fn go_on(self) -> Run {
        self.release();
        Run::ended(self.arguments, self.child.wait_with_output().unwrap())
    }
}

/// A run that the test goes on beside, before the program stands still and after it.
pub struct Halting {
    pub running: Running,
    file: PathBuf,
}

impl Halting {
    /// Starts the program at a node. It is to stop at the place `at`.
    pub fn start(node: &Node, arguments: &[&str], at: &str) -> Self {
        let file = node.folder.join("halted");
        let mut command = node.command(arguments);
        let running = Running::of(command.env(halt::AT, at).env(halt::FILE, &file));
        Self { running, file }
    }

    /// Waits until it stands still.
    pub fn stands_still(&self) {
        let has_stopped = || fs::read_to_string(&self.file).is_ok_and(|step| !step.is_empty());
        wait_until(LIMIT, "a halt", || Ok(has_stopped().then_some(()))).unwrap();
    }

    /// The program has a fault where it stands.
    pub fn has_a_fault(&self) {
        fs::write(&self.file, halt::FAULT).unwrap();
        wait_until(LIMIT, "the fault", || Ok((!self.file.exists()).then_some(()))).unwrap();
    }

    /// SIGKILL.
    pub fn kill(self) {
        drop(self.running);
        fs::remove_file(&self.file).unwrap();
    }
}
