//! The company of the demo: four database servers, a broker, a folder and a configuration file per node.

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

/// Of the branches' logins at a broker that nobody else can reach and that is gone in a minute.
const PASSWORD: &str = "demo";

/// What a branch adds to its configuration file.
const TRACKED_TABLES: &str = "[[table]]\nname = \"public.sales\"\nday = \"date\"\n";

/// Head office, its branches and the broker between them, all running. Everything ends and is removed
/// when it is dropped, or when this process ends in any other way.
#[derive(Debug)]
pub(super) struct Company {
    pub(super) head_office: Node,
    pub(super) branches: [Node; 3],
    pub(super) broker: BrokerServer,
}

impl Company {
    /// Starts all servers at the same time, each with an empty database, and writes the configuration
    /// files.
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

    /// Every branch logs in at the broker as itself, and may do there what a branch has to do, no more.
    fn configure(&self) -> Result<(), Failure> {
        let known: Vec<String> =
            BRANCHES.iter().map(|name| format!("[branches.{name}]\nexpect_every = \"26h\"\n")).collect();
        self.head_office.configure("head-office", &self.broker_url(), &known.join("\n"))?;
        self.branches.iter().try_for_each(|branch| {
            let broker = self.broker.url_for(&branch.name, PASSWORD, VHOST);
            branch.configure("branch", &broker, TRACKED_TABLES)
        })
    }
}

fn start_broker(sandbox: &Sandbox) -> Result<BrokerServer, Failure> {
    let definitions = BRANCHES
        .iter()
        .fold(Definitions::with_vhosts([VHOST]), |all, branch| all.with_branch(VHOST, branch, PASSWORD));
    BrokerServer::start(sandbox, "broker", &definitions)
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
