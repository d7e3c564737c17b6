//! `salesync replay`

use super::apply::{Trouble, each, receive_file};
use super::args::Replay;
use super::context::Context;
use super::exit::Exit;
use super::rebuild;
use super::settings::Role;
use super::verdicts::Verdicts;
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind, NodeName};
use crate::head_office::{Receiver, ReplayRange, replay_order};

pub(super) fn run(context: &Context, args: Replay) -> Result<Exit, Failure> {
    if args.into_branch {
        return rebuild::run(context, &args);
    }
    if !args.keys.is_empty() {
        let why = "--key and --keys go with --into-branch";
        return Err(Failure::new(Kind::Usage, "reading the arguments", why)
            .hint("at head office the configuration says which keys count for a branch"));
    }
    let settings = context.settings_of(Role::HeadOffice)?;
    let range = ReplayRange { branch: args.branch, from: args.from, to: args.to };
    let mut client = settings.connect_prepared_database("replay")?;
    take_lock(&mut client, Lock::Apply)?;
    let (files, damaged) = replay_order(&settings.archive, &args.folder, &range)?;
    if files.is_empty() && damaged.is_empty() {
        let doing = format!("looking for bundles in {}", args.folder.display());
        return Err(Failure::new(Kind::Usage, doing, "there are none, or none of those that were asked for")
            .hint("name an archive; `salesync verify DIR` lists its bundles"));
    }
    let mut receiver =
        Receiver::alone(&mut client, &settings.archive, settings.policy, &settings.enrolment)?.one_by_one();
    let mut verdicts = Verdicts::default().shown_by(context.progress());
    for failure in &damaged {
        verdicts.add_damaged(failure.to_string());
    }
    let mut outcome =
        each(&files, |file| receive_file(&mut receiver, &settings.archive, file, &mut verdicts));
    if outcome.is_ok() && range.to.is_none() {
        // What was held for want of one of these bundles.
        let wanted = |branch: &&NodeName| range.branch.as_ref().is_none_or(|only| only == *branch);
        outcome = each(settings.branches.keys().filter(wanted), |branch| {
            let waiting = receiver.catch_up(branch, None);
            verdicts.add(waiting.map_err(|failure| Trouble::receiving(failure, &mut receiver))?);
            Ok(())
        });
    }
    verdicts.end();
    context.print(&verdicts)?;
    outcome.map(|()| verdicts.exit(true))
}
