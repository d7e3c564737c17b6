//! What the pages are of: the node, and what its handlers may do.

use std::collections::BTreeMap;
use std::time::Duration;

use postgres::Client;

use crate::archive::Archive;
use crate::branch::branch_mark;
use crate::domain::{Failure, NodeName};
use crate::head_office::head_office_mark;

/// Opens a connection to the node's database.
pub type Connect = Box<dyn Fn() -> Result<Client, Failure> + Send + Sync>;

/// The node that is shown.
pub struct Site {
    /// Its name.
    pub node: NodeName,
    /// Its archive.
    pub archive: Archive,
    /// How its database is reached.
    pub connect: Connect,
    /// What it is, with what only such a node has.
    pub role: Role,
}

/// What the node is.
pub enum Role {
    /// Head office.
    HeadOffice(HeadOfficeSite),
    /// A branch.
    Branch(BranchSite),
}

impl Role {
    /// What tells one state of the node from another.
    pub(super) fn mark(&self, client: &mut Client) -> Result<String, Failure> {
        match self {
            Self::HeadOffice(_) => head_office_mark(client),
            Self::Branch(_) => branch_mark(client),
        }
    }
}

/// What only head office has.
pub struct HeadOfficeSite {
    /// How long each branch may be silent before it is late, where that is configured.
    pub expect_every: BTreeMap<NodeName, Option<Duration>>,
}

/// What only a branch has.
pub struct BranchSite {}
