//! `salesync init`

use std::fmt;

use serde::Serialize;

use super::args::Init;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::branch::{check_amounts, create_sales, init_branch};
use crate::domain::{Failure, Kind, NodeName, TableName};
use crate::head_office::init_head_office;

#[derive(Debug, Default, Serialize)]
struct Report {
    node: String,
    role: &'static str,
    migrations: usize,
    created: Vec<String>,
    tracked: Vec<String>,
    unchanged: Vec<String>,
    untracked: Vec<String>,
    branches: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Init) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    let report = match settings.role {
        Role::Branch => branch(&settings, args)?,
        Role::HeadOffice => head_office(&settings, args)?,
    };
    context.print(&report)?;
    Ok(Exit::Done)
}

fn branch(settings: &Settings, args: &Init) -> Result<Report, Failure> {
    if settings.tables.is_empty() {
        return Err(Failure::new(Kind::Configuration, "preparing this branch", "no tables are configured")
            .hint("name them in the configuration: tables = [\"public.sales\"]"));
    }
    let mut client = settings.connect_database("init")?;
    let created = args.with_sales && create_sales(&mut client)?;
    check_amounts(&mut client, &settings.amounts)?;
    let done = init_branch(&mut client, &settings.node, &settings.tables)?;
    let names = |tables: &[TableName]| tables.iter().map(ToString::to_string).collect();
    Ok(Report {
        node: settings.node.to_string(),
        role: "branch",
        migrations: done.migrations,
        created: created.then(|| "public.sales".to_owned()).into_iter().collect(),
        tracked: names(&done.tracked),
        unchanged: names(&done.unchanged),
        untracked: names(&done.untracked),
        branches: Vec::new(),
    })
}

fn head_office(settings: &Settings, args: &Init) -> Result<Report, Failure> {
    if args.with_sales {
        return Err(Failure::new(Kind::Usage, "preparing head office", "--with-sales is for branches")
            .hint("head office's tables are made when the first bundle comes"));
    }
    let branches: Vec<NodeName> = settings.branches.keys().cloned().collect();
    let mut client = settings.connect_database("init")?;
    let migrations = init_head_office(&mut client, &settings.node, &branches)?;
    let names: Vec<&str> = branches.iter().map(NodeName::as_str).collect();
    let mut broker = settings.connect_broker()?;
    broker.declare_topology(&names)?;
    broker.close();
    Ok(Report {
        node: settings.node.to_string(),
        role: "head-office",
        migrations,
        branches: names.into_iter().map(str::to_owned).collect(),
        ..Report::default()
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is ready as {}", self.node, self.role)?;
        let lists = [
            ("created", &self.created),
            ("now captured", &self.tracked),
            ("captured as before", &self.unchanged),
            ("not captured any more", &self.untracked),
            ("queues for", &self.branches),
        ];
        for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            writeln!(f, "  {what}: {}", names.join(", "))?;
        }
        Ok(())
    }
}
