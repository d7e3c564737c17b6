//! What `salesync doctor` finds: one line for each thing that was looked at, with the cure.

use serde::{Serialize, Serializer};

use super::{Failure, Kind};

macro_rules! checks {
    ($($(#[$meta:meta])+ $variant:ident = $name:literal,)+) => {
        /// Something that can be looked at before the window opens. The name is a contract: scripts look for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[$meta])+ $variant,)+
        }

        impl Check {
            /// All of them, in the order in which they are told.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// `capture.triggers`: what it belongs to, and what it is.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

checks! {
    /// The configuration can be read.
    File = "configuration.file",
    /// What is secret in the configuration and beside it is read by nobody else.
    Secrets = "configuration.secrets",
    /// This node's own key.
    OwnKey = "keys.own",
    /// The keys of those whom this node believes.
    KnownKeys = "keys.known",
    /// How long certificates are still valid.
    Certificates = "certificates.expiry",
    /// The database answers and lets this node in.
    Database = "database.connection",
    /// The server is one that salesync works with.
    Server = "database.server",
    /// The salesync schema is the one of this program.
    Schema = "database.schema",
    /// The database is this node's, and the one that wrote the last bundle.
    Node = "database.node",
    /// No transaction has been open for long.
    Transactions = "database.transactions",
    /// No transaction was prepared and forgotten.
    Prepared = "database.prepared",
    /// The configured tables can be captured.
    Tables = "capture.tables",
    /// The triggers are there, enabled, and those of this version.
    Triggers = "capture.triggers",
    /// As much was logged as was written.
    Completeness = "capture.completeness",
    /// No table was forgotten.
    Untracked = "capture.untracked",
    /// How large the change log is.
    Log = "changes.log",
    /// What is in no bundle yet, and since when.
    Unsynced = "changes.unsynced",
    /// What is sealed and was not published.
    Pending = "changes.pending",
    /// What head office has answered.
    Answers = "changes.answers",
    /// When a run last had something to do and did it.
    LastRun = "changes.last-run",
    /// The archive has room for what the next bundle will need.
    NextBundle = "changes.next-bundle",
    /// The archive can be written to, and has its files on one disk.
    Archive = "archive.folder",
    /// The archive's disk has room.
    Space = "archive.space",
    /// The broker answers and lets this node in.
    Broker = "broker.connection",
    /// The exchanges are there.
    Exchanges = "broker.exchanges",
    /// The queues are there, are quorum queues, and are emptied.
    Queues = "broker.queues",
    /// This node may publish what it has to.
    Publish = "broker.publish",
    /// This node may do nothing else.
    Rights = "broker.rights",
    /// What limits the broker has.
    Limits = "broker.limits",
    /// Nothing was put aside for a person.
    DeadLetters = "broker.dead-letters",
    /// The database's clock is this machine's.
    DatabaseClock = "clock.database",
    /// This machine's clock is head office's.
    HeadOfficeClock = "clock.head-office",
    /// Cron and the business days mean the same time.
    TimeZone = "clock.time-zone",
    /// Head office's branches are those of its configuration.
    Branches = "branches.known",
    /// How each branch stands.
    Standing = "branches.standing",
    /// Bundles are applied, and decisions carried out.
    Apply = "work.apply",
    /// What the branches are to be told has gone.
    Letters = "work.receipts",
    /// Head office may change its tables.
    Ownership = "work.tables",
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Good to know, or not to be seen from here.
    Note,
    /// Work goes on, and somebody should do something.
    Warning,
    /// The next run will not do its work.
    Failed,
}

impl Grade {
    /// `warning`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it is.
    pub grade: Grade,
    /// What it is, in a sentence without an end.
    pub what: String,
    /// What to do about it.
    pub cure: Option<String>,
    /// What sort of trouble it is, if it has failed.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

impl Finding {
    fn new(check: Check, grade: Grade, what: impl Into<String>) -> Self {
        Self { check, grade, what: what.into(), cure: None, kind: None }
    }

    /// It is as it should be.
    pub fn ok(check: Check, what: impl Into<String>) -> Self {
        Self::new(check, Grade::Ok, what)
    }

    /// Nobody has to do anything.
    pub fn note(check: Check, what: impl Into<String>) -> Self {
        Self::new(check, Grade::Note, what)
    }

    /// Somebody should do something.
    pub fn warning(check: Check, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(check, Grade::Warning, what).cure(cure)
    }

    /// The next run will not do its work.
    pub fn failed(check: Check, kind: Kind, what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { kind: Some(kind), ..Self::new(check, Grade::Failed, what).cure(cure) }
    }

    /// It could not be looked at, because of this.
    pub fn unchecked(check: Check, why: &str) -> Self {
        Self::note(check, format!("not checked: {why}"))
    }

    /// The same with what to do.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// What would stop the next run, in its own words.
    pub fn of(check: Check, failure: &Failure) -> Self {
        let mut finding = Self::new(check, Grade::Failed, failure.to_string());
        finding.kind = Some(failure.kind());
        finding.cure = failure.advice().map(str::to_owned);
        finding
    }
}

/// A check and how it is made. What it returns as an error is a finding too.
pub type Examination<S> = (Check, fn(&mut S) -> Result<Vec<Finding>, Failure>);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_in_two_parts() {
        let names: BTreeSet<&str> = Check::ALL.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(names.iter().all(|name| name.split('.').filter(|part| !part.is_empty()).count() == 2));
    }
}
