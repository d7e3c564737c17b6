//! `salesync serve`

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::args::Serve;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::sync::synchronise_in_turn;
use super::unattended::stop::Stop;
use crate::branch::import::{ImportOptions, SaleRules};
use crate::domain::{Failure, Onlooker};
use crate::web::{self, BranchSite, HeadOfficeSite, KnownBranches, LookUpBranches, Site};

/// How often to look whether the configuration has changed.
const LOOK: Duration = Duration::from_secs(1);

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
    let (policy, has_broker) = (settings.policy, settings.has_broker());
    HeadOfficeSite::new(
        look_up_branches(settings),
        settings.amounts.clone(),
        policy,
        connect_broker,
        has_broker,
    )
}

/// What the configuration says of the branches. A change of it is taken in like by `apply --follow`; everything else needs
/// another start.
fn look_up_branches(settings: &Settings) -> LookUpBranches {
    let known = |settings: &Settings| {
        let (expect_every, enrolment) = (settings.expectations(), settings.enrolment.clone());
        Arc::new(KnownBranches { expect_every, enrolment })
    };
    let state = Mutex::new((settings.source(), known(settings), Instant::now()));
    Arc::new(move || {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (source, branches, looked) = &mut *state;
        if looked.elapsed() >= LOOK {
            *looked = Instant::now();
            if let Some(renewed) = source.renewed(Role::HeadOffice) {
                *branches = known(&renewed);
            }
        }
        Arc::clone(branches)
    })
}

fn branch(settings: &Arc<Settings>) -> Result<BranchSite, Failure> {
    let rules = SaleRules::new(&ImportOptions { date_format: None, tax_rate: settings.tax_rate })?;
    let (amounts, settings) = (settings.amounts.clone(), Arc::clone(settings));
    let synchronise = Box::new(move |onlooker: &dyn Onlooker| synchronise_in_turn(&settings, onlooker));
    Ok(BranchSite::new(amounts, rules, synchronise))
}
