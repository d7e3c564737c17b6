//! `salesync doctor`

mod certificates;
mod files;
mod report;
mod underway;

use std::sync::Arc;

use self::report::Report;
use self::underway::Underway;
use super::args::Doctor;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use crate::archive::Archive;
use crate::branch::{self, BranchSubject};
use crate::broker::{BRANCH_EXAMINATIONS, BrokerSubject, HEAD_OFFICE_EXAMINATIONS};
use crate::database::look_only;
use crate::domain::{Check, Examination, Failure, Finding};
use crate::head_office::{self, HeadOfficeSubject};

const ARCHIVE: &[Examination<Archive>] = &[
    (Check::Archive, |archive| archive.look_at_folder()),
    (Check::Space, |archive| archive.look_at_space()),
];

pub(super) fn run(context: &Context, args: &Doctor) -> Result<Exit, Failure> {
    let settings = match context.settings() {
        Ok(settings) => Arc::new(settings),
        Err(failure) => {
            return print(context, &Report::new(None, vec![Finding::of(Check::File, &failure)]));
        }
    };
    // All at once: each may have to wait for what does not answer.
    let underway = [
        Some(database(&settings)),
        Some(Underway::of(settings.archive.clone(), ARCHIVE)),
        settings.has_broker().then(|| broker(&settings, !args.no_probe)),
    ];
    let mut findings = files::look(&settings);
    if !settings.has_broker() {
        findings.push(Finding::note(Check::Broker, "none is configured: bundles travel as files only"));
    }
    findings.extend(underway.into_iter().flatten().flat_map(Underway::finish));
    print(context, &Report::new(Some(&settings), findings))
}

/// Who wants to hear of errors only hears what somebody should do, and nothing of the rest.
fn print(context: &Context, report: &Report) -> Result<Exit, Failure> {
    context.print(report)?;
    context.insist(&report.complaints())?;
    Ok(report.exit())
}

fn database(settings: &Arc<Settings>) -> Underway {
    let settings = Arc::clone(settings);
    match settings.role {
        Role::Branch => Underway::start(Check::Database, branch::EXAMINATIONS, move || {
            let (client, reached) = connect_database(&settings)?;
            let subject = BranchSubject {
                client,
                name: settings.node.clone(),
                archive: settings.archive.clone(),
                tables: settings.tables.clone(),
                amounts: settings.amounts.clone(),
                local_tables: settings.local_tables.clone(),
                status: None,
            };
            Ok((subject, reached))
        }),
        Role::HeadOffice => Underway::start(Check::Database, head_office::EXAMINATIONS, move || {
            let (client, reached) = connect_database(&settings)?;
            let subject = HeadOfficeSubject {
                client,
                name: settings.node.clone(),
                branches: settings.expectations(),
                enrolment: settings.enrolment.clone(),
                archive: settings.archive.clone(),
            };
            Ok((subject, reached))
        }),
    }
}

fn connect_database(settings: &Settings) -> Result<(postgres::Client, Finding), Failure> {
    let mut client = settings.connect_database("doctor")?;
    look_only(&mut client)?;
    Ok((client, Finding::ok(Check::Database, format!("{} lets us in", settings.database_url()?))))
}

fn broker(settings: &Arc<Settings>, may_publish: bool) -> Underway {
    let settings = Arc::clone(settings);
    let list = match settings.role {
        Role::Branch => BRANCH_EXAMINATIONS,
        Role::HeadOffice => HEAD_OFFICE_EXAMINATIONS,
    };
    Underway::start(Check::Broker, list, move || {
        let broker = settings.reach_broker()?;
        let (branches, max_bytes) = match settings.role {
            Role::Branch => (vec![settings.node.clone()], settings.limits.max_bytes),
            Role::HeadOffice => (settings.branches.keys().cloned().collect(), 0),
        };
        let reached = Finding::ok(Check::Broker, format!("{} lets us in", settings.broker_address()?));
        Ok((BrokerSubject { broker, branches, max_bytes, may_publish }, reached))
    })
}
