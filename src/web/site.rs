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

/// What head office knows of its branches. It may change while the page is served.
#[derive(Debug)]
pub struct KnownBranches {
    /// How long each may be silent before it is late, where that is configured.
    pub expect_every: Expectations,
    /// Their keys.
    pub enrolment: Enrolment,
}

/// Looks up what is known by now.
pub type LookUpBranches = Arc<dyn Fn() -> Arc<KnownBranches> + Send + Sync>;

/// What only head office has.
pub struct HeadOfficeSite {
    look_up_branches: LookUpBranches,
    /// The column with the money of the tables that have one.
    pub(super) amounts: BTreeMap<TableName, String>,
    /// What it does without asking a person.
    pub(super) policy: Policy,
    pub(super) connect_broker: ConnectBroker,
    /// The branches' queues, where there is a broker.
    pub(super) queues: Option<QueueWatch>,
    /// What was decided on the page is carried out by this.
    pub(super) follow_up: FollowUp,
}

impl HeadOfficeSite {
    /// `amounts` is the column with the money of the tables that have one.
    pub fn new(
        look_up_branches: LookUpBranches,
        amounts: BTreeMap<TableName, String>,
        policy: Policy,
        connect_broker: ConnectBroker,
        has_broker: bool,
    ) -> Self {
        let watch = || QueueWatch::new(Arc::clone(&connect_broker), Arc::clone(&look_up_branches));
        let queues = has_broker.then(watch);
        Self { look_up_branches, amounts, policy, connect_broker, queues, follow_up: FollowUp::default() }
    }

    /// What is known of the branches by now.
    pub(super) fn branches(&self) -> Arc<KnownBranches> {
        (self.look_up_branches)()
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
