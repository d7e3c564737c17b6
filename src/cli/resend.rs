//! `salesync resend`

use super::args::Resend;
use super::bundle::publish_all;
use super::context::Context;
use super::exit::Exit;
use super::settings::Role;
use crate::branch::{Node, numbered_bundles};
use crate::database::{Lock, take_lock};
use crate::domain::Failure;

pub(super) fn run(context: &Context, args: &Resend) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let mut client = settings.connect_prepared_database("resend")?;
    take_lock(&mut client, Lock::Bundle)?;
    let node = Node::load(&mut client, &settings.node, &settings.archive)?;
    let (first, last) = args.bundles;
    let bundles = numbered_bundles(&mut client, &node, &settings.archive, first, last)?;
    publish_all(context, &settings, &mut client, &node, bundles)
}
