//! `salesync serve`

use std::sync::Arc;

use super::args::Serve;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::sync::synchronise_in_turn;
use super::unattended::stop::Stop;
use crate::branch::import::{ImportOptions, SaleRules};
use crate::domain::{Failure, Onlooker};
use crate::web::{self, BranchSite, HeadOfficeSite, Site};

pub(super) fn run(context: &Context, args: &Serve) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    settings.connect_prepared_database("serve")?;
    let stop = Stop::listen()?;
    let mut options = settings.serve.clone();
    options.listen = args.listen.unwrap_or(options.listen);
    let ready = |address: &str| Context::write(format!("{address}\n").as_bytes());
    web::serve(site(settings)?, options, ready, move || stop.is_asked())?;
    Ok(Exit::Done)
}

fn site(settings: Settings) -> Result<Site, Failure> {
    let settings = Arc::new(settings);
    let role = match settings.role {
        Role::HeadOffice => web::Role::HeadOffice(head_office(&settings)),
        Role::Branch => web::Role::Branch(branch(&settings)?),
    };
    let (node, archive) = (settings.node.clone(), settings.archive.clone());
    let connect = Box::new(move || settings.connect_prepared_database("serve"));
    Ok(Site { node, archive, connect, role })
}

fn head_office(settings: &Arc<Settings>) -> HeadOfficeSite {
    let of_broker = Arc::clone(settings);
    let connect_broker = Arc::new(move || of_broker.connect_broker());
    let (policy, has_broker) = ((settings.policy, settings.enrolment.clone()), settings.has_broker());
    HeadOfficeSite::new(settings.expectations(), settings.amounts.clone(), policy, connect_broker, has_broker)
}

fn branch(settings: &Arc<Settings>) -> Result<BranchSite, Failure> {
    let rules = SaleRules::new(&ImportOptions { date_format: None, tax_rate: settings.tax_rate })?;
    let (amounts, settings) = (settings.amounts.clone(), Arc::clone(settings));
    let synchronise = Box::new(move |onlooker: &dyn Onlooker| synchronise_in_turn(&settings, onlooker));
    Ok(BranchSite::new(amounts, rules, synchronise))
}
