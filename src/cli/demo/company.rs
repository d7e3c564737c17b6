//! The company of the demo: four database servers, a broker, a folder per node.

use std::env;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use super::node::Node;
use crate::domain::{Failure, Kind};
use crate::sandbox::{BrokerServer, Definitions, PostgresServer, Sandbox};

/// What head office is called.
const HEAD_OFFICE: &str = "head-office";

/// What the branches are called.
pub(super) const BRANCHES: [&str; 3] = ["east", "west", "north"];

/// Where the exchanges and queues are.
const VHOST: &str = "salesync";

/// What head office adds to its configuration file: it signs.
const SIGNING: &str = "[signing]\nkey = \"signing.key\"\n";

/// Head office, its branches and the broker between them, all running. Everything ends and is removed
/// when it is dropped, or when this process ends in any other way.
#[derive(Debug)]
pub(super) struct Company {
    pub(super) head_office: Node,
    pub(super) branches: [Node; 3],
    pub(super) broker: BrokerServer,
}

impl Company {
    /// Starts all servers at the same time, each with an empty database, and makes the folders.
    pub(super) fn start(sandbox: &Sandbox) -> Result<Self, Failure> {
        let (broker, head_office, branches) = thread::scope(|scope| {
            let broker = scope.spawn(|| start_broker(sandbox));
            let head_office = scope.spawn(|| start_node(sandbox, HEAD_OFFICE));
            let branches = BRANCHES.map(|name| scope.spawn(move || start_node(sandbox, name)));
            (finish(broker), finish(head_office), branches.map(finish))
        });
        let [east, west, north] = branches;
        let company = Self { head_office: head_office?, branches: [east?, west?, north?], broker: broker? };
        company.configure()?;
        Ok(company)
    }

    /// The broker, for the user that may do everything.
    pub(super) fn broker_url(&self) -> String {
        self.broker.url(VHOST)
    }

    /// Head office is configured; it has yet to enrol its branches, who get their configuration by that.
    fn configure(&self) -> Result<(), Failure> {
        self.head_office.make_folder()?;
        self.head_office.configure("head-office", &self.broker_url(), SIGNING)?;
        self.branches.iter().try_for_each(Node::make_folder)
    }
}

fn start_broker(sandbox: &Sandbox) -> Result<BrokerServer, Failure> {
    BrokerServer::start(sandbox, "broker", &Definitions::with_vhosts([VHOST]))
}

fn start_node(sandbox: &Sandbox, name: &str) -> Result<Node, Failure> {
    let server = PostgresServer::start(sandbox, &format!("{name}-postgresql"))?;
    let database = name.replace('-', "_");
    server.create_database(&database)?;
    let program = env::current_exe()
        .map_err(|error| Failure::new(Kind::Failed, "looking for the salesync program", error))?;
    let folder = sandbox.path().join(Path::new(name));
    Ok(Node { name: name.to_owned(), folder, server, database, program })
}

/// What the thread came to; its panic is ours.
fn finish<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
