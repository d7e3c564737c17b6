//! `salesync resend`

use super::args::Resend;
use super::bundle::publish_all;
use super::context::Context;
use super::exchange::Exchange;
use super::exchange::outgoing::Outgoing;
use super::exit::Exit;
use super::settings::Role;
use crate::branch::numbered_bundles;
use crate::domain::Failure;

pub(super) fn run(context: &Context, args: &Resend) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let mut exchange = Exchange::begin(context, &settings, "resend")?;
    let node = exchange.node()?;
    let (first, last) = args.bundles;
    let mut outgoing = Outgoing::default();
    outgoing.add(numbered_bundles(&mut exchange.client, &node, &settings.archive, first, last)?);
    publish_all(context, exchange, outgoing)
}
