//! `salesync leave`

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use serde::Serialize;

use super::args::Leave;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::{Remains, branch_status, leave, tracked_tables};
use crate::domain::{Count, Failure, Kind, NodeName};

#[derive(Debug, Serialize)]
struct Report {
    node: String,
    untracked: Vec<String>,
    purged: bool,
    /// Rows that are not proven to be at head office.
    unproven: i64,
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: &Leave) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let mut client = settings.connect_prepared_database("leave")?;
    let status = branch_status(&mut client, &settings.amounts)?;
    let unproven = status.unproven.iter().map(|table| table.rows).sum();
    if unproven > 0 && !args.even_if_unproven && !args.dry_run {
        let why = format!("{} not proven to be at head office", Count(unproven, "changed row"));
        return Err(Failure::new(Kind::NeedsPerson, "leaving", why)
            .hint("`salesync sync` brings them there; --even-if-unproven leaves without them"));
    }
    if args.purge && !args.dry_run {
        make_sure(&settings, args.confirm.as_ref())?;
    }
    let remains = if args.purge { Remains::Purged } else { Remains::Kept };
    let tables = if args.dry_run {
        tracked_tables(&mut client)?.into_iter().map(|table| table.name).collect()
    } else {
        leave(&mut client, remains)?
    };
    context.print(&Report {
        node: settings.node.to_string(),
        untracked: tables.iter().map(ToString::to_string).collect(),
        purged: args.purge,
        unproven,
        dry_run: args.dry_run,
    })?;
    Ok(Exit::Done)
}

/// Somebody has to write the branch's name, or has written it.
fn make_sure(settings: &Settings, confirmed: Option<&NodeName>) -> Result<(), Failure> {
    let doing = "removing the schema salesync";
    let mut answer = confirmed.map(ToString::to_string).unwrap_or_default();
    if confirmed.is_none() {
        ask(settings, &mut answer)?;
    }
    if answer.trim() == settings.node.as_str() {
        return Ok(());
    }
    Err(Failure::new(Kind::Usage, doing, "it was not confirmed").hint("nothing was changed"))
}

fn ask(settings: &Settings, answer: &mut String) -> Result<(), Failure> {
    let doing = "removing the schema salesync";
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Kind::Usage, doing, "there is nobody to ask").hint(
            "--confirm BRANCH says that it is meant; the record of what was proven goes with the schema",
        ));
    }
    let asked = write!(
        io::stderr(),
        "All records of bundles and receipts go. Write {} if that is meant: ",
        settings.node
    )
    .and_then(|()| io::stdin().lock().read_line(answer));
    asked.map(drop).map_err(|error| Failure::new(Kind::Failed, doing, error))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [captured, purged] = if self.dry_run {
            ["would not be captured any more", "would be removed"]
        } else {
            ["is not captured any more", "is removed"]
        };
        self.untracked.iter().try_for_each(|table| writeln!(f, "{table} {captured}"))?;
        if self.purged {
            writeln!(f, "the schema salesync {purged}")?;
        }
        if self.unproven > 0 {
            writeln!(f, "not proven to be at head office: {}", Count(self.unproven, "changed row"))?;
        }
        writeln!(
            f,
            "then: take {} out of cron, and `salesync revoke {}` at head office",
            self.node, self.node
        )
    }
}
