//! What head office asks of a branch.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::day::is_clock_time;
use super::{Epoch, NodeName, Sequence, legible};

/// The format this program writes, and the only one it reads.
pub const REQUEST_FORMAT: &str = "salesync-request/1";

/// What head office asks of a branch. It comes with the receipts, and is answered by bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`REQUEST_FORMAT`].
    pub format: String,
    /// Its identity: a request that comes twice is one.
    pub request_id: Uuid,
    /// The branch it is for.
    pub branch: NodeName,
    /// What is wanted.
    pub wanted: Wanted,
    /// Why, for people.
    pub reason: String,
    /// Head office's clock when it was made.
    pub requested_at: DateTime<Utc>,
}

/// What is wanted of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The same archived bytes of these bundles again.
    Resend {
        /// Their epoch; none means the branch's current one.
        epoch: Option<Epoch>,
        /// The first.
        first: Sequence,
        /// The last.
        last: Sequence,
    },
    /// Every table whole, in a new epoch.
    Full,
    /// A cut now, and a bundle even if nothing has changed.
    Sync,
}

impl Wanted {
    /// The word in the databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resend { .. } => "resend",
            Self::Full => "full",
            Self::Sync => "sync",
        }
    }

    /// First and last bundle and their epoch, where bundles are wanted again.
    pub fn bundles(self) -> Option<(Option<Epoch>, Sequence, Sequence)> {
        match self {
            Self::Resend { epoch, first, last } => Some((epoch, first, last)),
            Self::Full | Self::Sync => None,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resend { first, last, .. } if first == last => write!(f, "bundle {first} again"),
            Self::Resend { first, last, .. } => write!(f, "the bundles {first} to {last} again"),
            Self::Full => write!(f, "every table whole"),
            Self::Sync => write!(f, "a bundle now"),
        }
    }
}

impl Request {
    /// A request made now.
    pub fn new(branch: NodeName, wanted: Wanted, reason: String) -> Self {
        let format = REQUEST_FORMAT.to_owned();
        Self { format, request_id: Uuid::now_v7(), branch, wanted, reason, requested_at: Utc::now() }
    }

    /// Reads a request; its reason is made [legible].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut request: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if request.format != REQUEST_FORMAT {
            return Err(format!("its format is {:?}, this program reads {REQUEST_FORMAT}", request.format));
        }
        if request.reason.contains('\0') {
            return Err("its reason is no text that a database can keep".to_owned());
        }
        if !is_clock_time(request.requested_at) {
            return Err("its time is none that a clock shows".to_owned());
        }
        match request.wanted.bundles() {
            Some((_, first, last)) if first > last => Err("it wants bundles from behind".to_owned()),
            _ => {
                request.reason = legible(&request.reason);
                Ok(request)
            }
        }
    }
}
