//! The pages of the company, which `--serve` leaves running.

use std::thread;

use super::company::Company;
use super::node::Node;
use super::story::Story;
use super::table::Table;
use crate::domain::Failure;
use crate::sandbox::{Sandbox, Service};

/// Says where the pages are and what to try there, and waits. Only a signal ends it, and with it this process.
pub(super) fn serve(story: &Story, sandbox: &Sandbox, company: &Company) -> Result<(), Failure> {
    story.chapter(9, "Now you")?;
    let [east, west, north] = &company.branches;
    let head_office = &company.head_office;
    // What is sent from a page arrives by itself.
    let applying = start(sandbox, head_office, "apply.log", &["apply", "--follow"])?;
    let mut table = Table::new(&["node", "its page"]);
    let mut services = vec![applying];
    for node in [head_office, east, west, north] {
        let mut service = start(sandbox, node, "page.log", &["serve", "--listen", "127.0.0.1:0"])?;
        let address = service.line(&format!("the page of {}", node.name), "http://")?;
        table.rows.push(vec![node.name.clone(), address]);
        services.push(service);
    }
    story.tell("The company goes on running, and each node has a page. Open them in a browser:")?;
    story.answered(format!("\n{table}"))?;
    story.tell(
        "At a branch: add a sale, press *Sync now*. At head office: see it arrive, look at the days, find out how a bundle came.",
    )?;
    story.tell("Ctrl-C here ends the servers and removes all of it.")?;
    loop {
        thread::park();
    }
}

fn start(sandbox: &Sandbox, node: &Node, log: &str, arguments: &[&str]) -> Result<Service, Failure> {
    Service::start(sandbox, &node.folder, log, &node.program, arguments)
}
