//! Something that is open: it waits for a person, or for a branch.

use chrono::{DateTime, Utc};

use crate::domain::{Epoch, NodeName};
use crate::head_office::branches::OpenRequest;
use crate::head_office::deletions::Deletion;
use crate::head_office::hold::HoldKind;
use crate::head_office::monitor::Lateness;

/// Something that is open.
#[derive(Debug, Clone)]
pub struct Matter {
    /// The branch it is about.
    pub branch: NodeName,
    /// What it is.
    pub kind: MatterKind,
    /// Since when; none if it has always been so.
    pub since: Option<DateTime<Utc>>,
    /// Why, in the words of who has noted it; empty where the kind says it all.
    pub reason: String,
    /// Bundles of the branch that wait behind it, by number.
    pub behind: Vec<i64>,
}

/// What is open.
#[derive(Debug, Clone)]
pub enum MatterKind {
    /// A bundle waits for somebody to decide.
    Held {
        /// Its epoch.
        epoch: Epoch,
        /// Its number.
        sequence: i64,
        /// What it waits for.
        hold: HoldKind,
        /// What it would delete, if that is why.
        deletion: Option<Deletion>,
    },
    /// A bundle was rejected, and none was applied since.
    Rejected {
        /// Its number; none if the file was too damaged to tell.
        sequence: Option<i64>,
        /// The newest incident.
        incident: i64,
        /// How often it was rejected.
        times: i64,
        /// Where the file is kept.
        file: Option<String>,
        /// Another content under a number that is known, or another predecessor.
        is_fork: bool,
    },
    /// What somebody decided could not be done, and nothing has come since.
    Undone(OpenDecision),
    /// Bundles have not come that others wait for.
    Gap {
        /// First and last of each range that is missing. If there is none, what they wait for is here.
        missing: Vec<(i64, i64)>,
        /// When the branch was asked for the first of them.
        asked: Option<OpenRequest>,
    },
    /// The branch has been silent for longer than is expected of it.
    Late(Lateness),
    /// What somebody decided is not carried out yet.
    Undecided(OpenDecision),
    /// The branch was asked for something and has not answered.
    Asked(OpenRequest),
}

/// A decision whose work is not done.
#[derive(Debug, Clone)]
pub struct OpenDecision {
    /// `approve`, `reject` or `retry`.
    pub verdict: String,
    /// The bundle, if it was about one.
    pub sequence: Option<i64>,
    /// Who.
    pub by: String,
}

impl Matter {
    /// How it is ordered: what needs a person first.
    pub(super) fn rank(&self) -> u8 {
        match self.kind {
            MatterKind::Held { .. } | MatterKind::Rejected { .. } => 0,
            MatterKind::Undone(_) => 1,
            MatterKind::Gap { .. } => 2,
            MatterKind::Late(_) => 3,
            MatterKind::Undecided(_) => 4,
            MatterKind::Asked(_) => 5,
        }
    }
}
