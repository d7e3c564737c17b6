//! The one error that reaches a user: what was being done, why it failed, what to do.

use std::fmt;
use std::io;
use std::path::Path;

/// What sort of trouble it is. It decides the exit status, and with it what a script does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It failed, and nothing below says it better.
    Failed,
    /// The command was called wrongly.
    Usage,
    /// The work is done as far as it goes, but a person has to decide something.
    NeedsPerson,
    /// A bundle is damaged.
    Damaged,
    /// The database or the broker cannot be reached; trying again later may help.
    Unreachable,
    /// Work is left, safely stored; the next run goes on with it.
    Postponed,
    /// Somebody refused: a password, a role, a file mode.
    Permission,
    /// The configuration is wrong or missing.
    Configuration,
}

/// A failed operation, in the words the user reads.
///
/// Its `Display` is one line, `what was being done: why`. The hint is printed on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    kind: Kind,
    doing: String,
    why: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure of `kind` while `doing` something (`"connecting to the database"`), because of `why`.
    pub fn new(kind: Kind, doing: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { kind, doing: doing.into(), why: why.to_string(), hint: None }
    }

    /// A file operation that failed; a full disk or a forbidden file is told as such.
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let doing = format!("{doing} {}", path.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::new(Kind::Permission, doing, error)
                .hint("give the user that runs salesync access to this path"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::new(Kind::Failed, doing, error)
                    .hint("free some space and run the command again; nothing half-made was kept")
            }
            io::ErrorKind::NotFound => Self::new(Kind::Failed, doing, error)
                .hint("check the name; one without a leading / is looked for in the folder where you are"),
            io::ErrorKind::NotADirectory | io::ErrorKind::ReadOnlyFilesystem => {
                Self::new(Kind::Failed, doing, error)
                    .hint("check this path; archive.dir must name a folder salesync may write to")
            }
            _ => Self::new(Kind::Failed, doing, error),
        }
    }

    /// The same failure with the sentence that says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, taken for another sort of trouble.
    #[must_use]
    pub fn as_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What sort of trouble it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Why it failed, without what was being done.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to do about it, if there is something to say.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.why)
    }
}

impl std::error::Error for Failure {}
