//! What the pages are of: the node, and what its handlers may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use postgres::Client;

use super::branch::Synchroniser;
use super::head_office::{FollowUp, QueueWatch};
use crate::archive::Archive;
use crate::branch::branch_mark;
use crate::branch::import::SaleRules;
use crate::broker::Broker;
use crate::domain::{Failure, Kind, NodeName, Onlooker, TableName};
use crate::head_office::monitor::Expectations;
use crate::head_office::{Enrolment, Policy, head_office_mark};

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
            Self::Branch(site) => Ok(format!("{} {}", branch_mark(client)?, site.synchroniser.mark())),
        }
    }

    /// Head office; its pages are served nowhere else.
    pub(super) fn head_office(&self) -> Result<&HeadOfficeSite, Failure> {
        match self {
            Self::HeadOffice(site) => Ok(site),
            Self::Branch(_) => {
                Err(Failure::new(Kind::Usage, "looking at this node's role", "it is not head office"))
            }
        }
    }
}

/// Opens a connection to the node's broker.
pub type ConnectBroker = Arc<dyn Fn() -> Result<Broker, Failure> + Send + Sync>;

/// What only head office has.
pub struct HeadOfficeSite {
    /// How long each branch may be silent before it is late, where that is configured.
    pub(super) expect_every: Expectations,
    /// The column with the money of the tables that have one.
    pub(super) amounts: BTreeMap<TableName, String>,
    /// What it does without asking a person.
    pub(super) policy: Policy,
    /// The branches' keys.
    pub(super) enrolment: Enrolment,
    pub(super) connect_broker: ConnectBroker,
    /// The branches' queues, where there is a broker.
    pub(super) queues: Option<QueueWatch>,
    /// What was decided on the page is carried out by this.
    pub(super) follow_up: FollowUp,
}

impl HeadOfficeSite {
    /// `expect_every` is how long each branch may be silent before it is late, where that is configured; `amounts` the
    /// column with the money of the tables that have one.
    pub fn new(
        expect_every: Expectations,
        amounts: BTreeMap<TableName, String>,
        (policy, enrolment): (Policy, Enrolment),
        connect_broker: ConnectBroker,
        has_broker: bool,
    ) -> Self {
        let branches = expect_every.keys().cloned().collect();
        let queues = has_broker.then(|| QueueWatch::new(Arc::clone(&connect_broker), branches));
        let follow_up = FollowUp::default();
        Self { expect_every, amounts, policy, enrolment, connect_broker, queues, follow_up }
    }
}

/// Brings everything to head office, and waits a little for its answers.
pub type Synchronise = Box<dyn Fn(&dyn Onlooker) -> Result<(), Failure> + Send + Sync>;

/// What only a branch has.
pub struct BranchSite {
    /// The column with the money of the tables that have one.
    pub(super) amounts: BTreeMap<TableName, String>,
    /// What a sale is checked by.
    pub(super) rules: SaleRules,
    /// Its exchange with head office.
    pub(super) synchroniser: Arc<Synchroniser>,
}

impl BranchSite {
    /// A branch whose tables have their money in these columns.
    pub fn new(amounts: BTreeMap<TableName, String>, rules: SaleRules, synchronise: Synchronise) -> Self {
        Self { amounts, rules, synchroniser: Arc::new(Synchroniser::new(synchronise)) }
    }
}
