//! The branches join, as branches do: enrolled at head office, with a user of their own at the broker, everything signed.

use std::fs;
use std::panic::resume_unwind;
use std::thread;

use super::company::Company;
use super::node::Node;
use super::story::Story;
use crate::domain::{Failure, Kind};
use crate::sandbox::{Sandbox, Service};

/// How a command for head office begins, which `join` prints.
const CONFIRM: &str = "  salesync enroll ";

/// The file with the branches' public keys, for whoever checks an archive.
pub(super) const KEYS: &str = "branches.keys";

/// Enrols all branches.
pub(super) fn enrol(story: &Story, sandbox: &Sandbox, company: &Company) -> Result<(), Failure> {
    let head_office = &company.head_office;
    story.tell(
        "Head office and each branch have a PostgreSQL server of their own. Everything that is said between them is signed: \
         head office makes its key, declares the queues, and enrols each branch. What a branch needs is in one file, also a \
         password of its own at the broker, where it may write and read nothing but its own.",
    )?;
    head_office.salesync(story, &["keygen"])?.exits(0)?;
    head_office.salesync(story, &["init"])?.exits(0)?;
    for branch in &company.branches {
        let file = format!("{}.toml", branch.name);
        head_office.salesync(story, &["enroll", &branch.name, "--out", &file])?.exits(0)?;
    }
    import_definitions(story, company)?;
    story.tell(
        "At the branch `join` makes the key, installs the capture of changes, and tries every part of it, up to head office's \
         answer; there `apply --follow` runs in another terminal. --with-sales makes the table, as these databases are empty.",
    )?;
    let applying = Service::start(
        sandbox,
        &head_office.folder,
        "apply.log",
        &head_office.program,
        &["apply", "--follow"],
    )?;
    let confirmations = company.branches.each_ref().map(|branch| join(story, head_office, branch));
    story.tell("Head office confirms the keys, and from here on believes nobody else.")?;
    let mut keys = String::new();
    for (branch, confirm) in company.branches.iter().zip(confirmations) {
        let confirm = confirm?;
        let key = confirm.rsplit(' ').next().unwrap_or_default();
        keys.extend([branch.name.as_str(), " ", key, "\n"]);
        let arguments: Vec<&str> = confirm.split(' ').collect();
        head_office.salesync(story, &arguments)?.exits(0)?.says("is taken as its own")?;
    }
    let file = head_office.folder.join(KEYS);
    fs::write(&file, keys).map_err(|error| Failure::file("writing", &file, &error))?;
    // The day goes on without it, command by command.
    drop(applying);
    story.tell("What it knows of East now:")?;
    head_office.show_file(story, "branches.d/east.toml", usize::MAX)
}

/// What head office has to run.
fn join(story: &Story, head_office: &Node, branch: &Node) -> Result<String, Failure> {
    let file = format!("../{}/{}.toml", head_office.name, branch.name);
    let arguments = ["join", &file, "--database", &branch.url(), "--with-sales"];
    let joined = branch.salesync(story, &arguments)?.exits(0)?.says("proven by its key")?;
    let printed = joined.printed();
    let confirm = printed.lines().find_map(|line| line.strip_prefix(CONFIRM));
    confirm.map(|rest| format!("enroll {rest}")).ok_or_else(|| {
        Failure::new(Kind::Failed, format!("joining {}", branch.name), "it did not say what to confirm")
    })
}

/// At the same time, as each takes a second.
fn import_definitions(story: &Story, company: &Company) -> Result<(), Failure> {
    let files = company.branches.each_ref().map(|branch| {
        let name = format!("{}.broker.json", branch.name);
        (company.head_office.folder.join(&name).display().to_string(), name)
    });
    for (_, name) in &files {
        story.typed("broker#", &format!("rabbitmqctl import_definitions < {name}"))?;
    }
    thread::scope(|scope| {
        let running = files.each_ref().map(|(path, _)| {
            scope.spawn(move || company.broker.control(&["import_definitions", path]).map(drop))
        });
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
