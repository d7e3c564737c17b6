//! What to do in the company that `--keep` leaves running.

use std::path::Path;
use std::thread;

use super::company::Company;
use super::enrolment::KEYS;
use super::node::Node;
use super::story::Story;
use super::table::Table;
use crate::domain::Failure;

/// Says how to connect and what to try, and waits. Only a signal ends it, and with it this process.
pub(super) fn keep(story: &Story, company: &Company) -> Result<(), Failure> {
    story.chapter(9, "Now you")?;
    story.tell("The company goes on running. Each node has a folder with its configuration and archive:")?;
    let [east, ..] = &company.branches;
    let head_office = &company.head_office;
    let nodes = || [head_office].into_iter().chain(&company.branches);
    let mut table = Table::new(&["node", "database", "configuration"]);
    table.rows.extend(nodes().map(|node| {
        vec![node.name.clone(), node.url(), node.folder.join("salesync.toml").display().to_string()]
    }));
    story.answered(format!("\n{table}"))?;
    story.tell(format!("The broker is {}", company.broker_url()))?;
    story.tell("Paste into another terminal, this first:")?;
    story.answered(format!("\n{}", path_line(&head_office.program)))?;
    story.tell("Sell something in the east, and bring it to head office:")?;
    let sale = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total) \
                VALUES (current_date, 'East', 'Globe', 1, 50, 50, 3.50, 53.50)";
    let globes = "SELECT * FROM public.sales WHERE product = 'Globe'";
    let steps = [psql(east, sale), salesync(east, "bundle"), salesync(head_office, "apply")];
    story.answered(format!("\n{}\n{}", steps.join("\n"), psql(head_office, globes)))?;
    story.tell("Look around:")?;
    let looks = [
        salesync(head_office, "status"),
        salesync(head_office, &format!("verify --keys {KEYS} bundles")),
        salesync(east, "inspect --rows bundles/east/*/0000000002.bundle"),
        salesync(east, "resend 1..2"),
        format!("psql {}", head_office.url()),
    ];
    story.answered(format!("\n{}", looks.join("\n")))?;
    story.tell("Ctrl-C here ends the servers and removes all of it.")?;
    loop {
        thread::park();
    }
}

/// Puts the program where the other lines look for it.
fn path_line(program: &Path) -> String {
    let folder = program.parent().unwrap_or(Path::new("."));
    format!("export PATH={}:\"$PATH\"", quoted(&folder.display().to_string()))
}

fn salesync(node: &Node, arguments: &str) -> String {
    format!("cd {} && salesync {arguments}", quoted(&node.folder.display().to_string()))
}

fn psql(node: &Node, sql: &str) -> String {
    format!("psql {} -c \"{sql}\"", node.url())
}

/// `text` as the shell must see it.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
