//! `salesync serve`

use super::args::Serve;
use super::context::Context;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::unattended::stop::Stop;
use crate::domain::Failure;
use crate::web::{self, BranchSite, HeadOfficeSite, Options, Site};

pub(super) fn run(context: &Context, args: &Serve) -> Result<Exit, Failure> {
    let settings = context.settings()?;
    settings.connect_prepared_database("serve")?;
    let stop = Stop::listen()?;
    let options = Options { listen: args.listen };
    let ready = |address| Context::write(format!("http://{address}/\n").as_bytes());
    web::serve(site(settings), &options, ready, move || stop.is_asked())?;
    Ok(Exit::Done)
}

fn site(settings: Settings) -> Site {
    let role = match settings.role {
        Role::HeadOffice => web::Role::HeadOffice(HeadOfficeSite { expect_every: settings.expectations() }),
        Role::Branch => web::Role::Branch(BranchSite {}),
    };
    let (node, archive) = (settings.node.clone(), settings.archive.clone());
    let connect = Box::new(move || settings.connect_prepared_database("serve"));
    Site { node, archive, connect, role }
}
