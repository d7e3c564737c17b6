//! Checks that go on in a thread of their own, since what they ask may never answer.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::domain::{Check, Examination, Failure, Finding, Grade, Kind};

/// For connecting and logging in.
const CONNECTING: Duration = Duration::from_secs(25);
/// For one check. Statements and calls have limits of their own below it.
const CHECKING: Duration = Duration::from_secs(90);

/// Checks of one server or folder, one after another.
pub(super) struct Underway {
    connection: Option<Check>,
    checks: Vec<Check>,
    found: Receiver<Vec<Finding>>,
}

impl Underway {
    /// Checks of what is there already.
    pub(super) fn of<S: Send + 'static>(mut subject: S, list: &'static [Examination<S>]) -> Self {
        let (sender, found) = channel();
        thread::spawn(move || examine(&mut subject, list, |findings| sender.send(findings).is_ok()));
        Self { connection: None, checks: list.iter().map(|(check, _)| *check).collect(), found }
    }

    /// Connects, which is the first check, and makes the others. `connect` also says what it has reached.
    pub(super) fn start<S: 'static>(
        connection: Check,
        list: &'static [Examination<S>],
        connect: impl FnOnce() -> Result<(S, Finding), Failure> + Send + 'static,
    ) -> Self {
        let (sender, found) = channel();
        thread::spawn(move || {
            let tell = |findings| sender.send(findings).is_ok();
            match connect() {
                Ok((mut subject, reached)) => {
                    tell(vec![reached]);
                    examine(&mut subject, list, tell);
                }
                Err(failure) => {
                    tell(vec![Finding::of(connection, &failure)]);
                }
            }
        });
        Self { connection: Some(connection), checks: list.iter().map(|(check, _)| *check).collect(), found }
    }

    /// What was found, when all is done or nothing answers any more. A thread that still waits ends with the program.
    pub(super) fn finish(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let mut answers = true;
        for check in self.connection.into_iter().chain(self.checks) {
            let patience = if self.connection == Some(check) { CONNECTING } else { CHECKING };
            let heard =
                if answers { self.found.recv_timeout(patience) } else { Err(RecvTimeoutError::Disconnected) };
            match heard {
                Ok(found) => findings.extend(found),
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("no answer within {}", humantime::format_duration(patience));
                    let cure = "see whether the server or the disk is alive";
                    findings.push(Finding::failed(check, Kind::Unreachable, what, cure));
                    answers = false;
                }
                Err(RecvTimeoutError::Disconnected) => findings.push(unchecked(check, &findings)),
            }
        }
        findings
    }
}

/// Because of the last thing that has failed.
fn unchecked(check: Check, findings: &[Finding]) -> Finding {
    let cause = findings.iter().rev().find(|finding| finding.grade == Grade::Failed);
    let why = cause.map_or_else(|| "it ended".to_owned(), |cause| format!("see {}", cause.check.name()));
    Finding::unchecked(check, &why)
}

fn examine<S>(subject: &mut S, list: &[Examination<S>], tell: impl Fn(Vec<Finding>) -> bool) {
    for (check, examine) in list {
        let findings = examine(subject).unwrap_or_else(|failure| vec![Finding::of(*check, &failure)]);
        // Without its schema a database has nothing else to tell.
        let is_over =
            *check == Check::Schema && findings.iter().any(|finding| finding.grade == Grade::Failed);
        if !tell(findings) || is_over {
            return;
        }
    }
}
