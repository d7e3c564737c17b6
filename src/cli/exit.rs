//! Exit statuses. Scripts are written against them.

use std::process::ExitCode;

use crate::domain::Kind;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done, and that includes that there was nothing to do.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Called wrongly.
    Usage = 2,
    /// Finished, but something needs a person.
    NeedsPerson = 3,
    /// A bundle is damaged (`EX_DATAERR`).
    Damaged = 65,
    /// Database or broker unreachable (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// Work is left, safely; the next run goes on (`EX_TEMPFAIL`).
    Postponed = 75,
    /// Permission denied (`EX_NOPERM`).
    Permission = 77,
    /// Wrong configuration (`EX_CONFIG`).
    Configuration = 78,
}

impl Exit {
    /// The status for a failure.
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Self::Failed,
            Kind::Usage => Self::Usage,
            Kind::NeedsPerson => Self::NeedsPerson,
            Kind::Damaged => Self::Damaged,
            Kind::Unreachable => Self::Unreachable,
            Kind::Postponed => Self::Postponed,
            Kind::Permission => Self::Permission,
            Kind::Configuration => Self::Configuration,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
