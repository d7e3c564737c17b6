//! What became of a bundle, and how it had come.

use chrono::{DateTime, Utc};

use super::hold::Hold;
use super::ledger::Source;
use crate::domain::{BundleId, Manifest, NodeName, Sequence, TableEffect};

/// How a bundle came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The branch whose queue it lay in; a file has none.
    pub branch: Option<&'a NodeName>,
    /// By which way.
    pub source: Source,
    /// When head office received it, by its own clock: whether its key is valid depends on that.
    pub received_at: DateTime<Utc>,
    /// What the broker says of its message, if it came in one.
    pub postmark: Option<&'a Postmark>,
}

/// What the broker says of a message.
#[derive(Debug, Clone)]
pub struct Postmark {
    /// The user that published it, if it says so.
    pub user: Option<String>,
    /// The routing key, which the user has to have the right to.
    pub routing_key: String,
}

impl<'a> Arrival<'a> {
    /// From a branch's queue, just now.
    pub fn by_queue(branch: &'a NodeName, postmark: &'a Postmark) -> Self {
        let postmark = Some(postmark);
        Self { branch: Some(branch), source: Source::Queue, received_at: Utc::now(), postmark }
    }

    /// As a file.
    pub fn by_file(received_at: DateTime<Utc>) -> Self {
        Self { branch: None, source: Source::File, received_at, postmark: None }
    }

    /// From head office's own archive.
    pub(super) fn by_archive(branch: &'a NodeName, received_at: DateTime<Utc>) -> Self {
        Self { branch: Some(branch), source: Source::Archive, received_at, postmark: None }
    }
}

/// What became of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Applied: what it did to each table, counts only.
    Applied(Vec<TableEffect>),
    /// It had been applied before; nothing was changed.
    Duplicate,
    /// It waits for an earlier one, or for a person.
    Held(Hold),
    /// It will never be applied.
    Rejected {
        /// Why.
        reason: String,
        /// True if the file itself is damaged.
        is_damaged: bool,
    },
}

/// What became of which bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The branch, if that is known.
    pub branch: Option<NodeName>,
    /// Number and identity; none if the manifest could not be read.
    pub identity: Option<(Sequence, BundleId)>,
    /// Inserts and updates in it.
    pub rows: u64,
    /// Tombstones in it.
    pub tombstones: u64,
    /// What became of it.
    pub outcome: Outcome,
}

impl Outcome {
    /// True if the bundle was applied just now.
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied(_))
    }
}

impl Verdict {
    /// What became of the bundle with this manifest.
    pub(super) fn on(manifest: &Manifest, outcome: Outcome) -> Self {
        Self {
            branch: Some(manifest.branch.clone()),
            identity: Some((manifest.sequence, manifest.bundle_id)),
            rows: manifest.rows(),
            tombstones: manifest.tombstones(),
            outcome,
        }
    }
}
