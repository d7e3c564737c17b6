//! `salesync apply`

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use super::args::Apply;
use super::context::Context;
use super::daemon;
use super::exit::Exit;
use super::settings::{Role, Settings};
use super::verdicts::Verdicts;
use crate::archive::{Archive, open_bundle};
use crate::broker::{Broker, Delivery};
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind, NodeName};
use crate::halt::{self, Step};
use crate::head_office::{Arrival, Outcome, Receiver, Source, Verdict};

pub(super) fn run(context: &Context, args: &Apply) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::HeadOffice)?;
    if args.follow {
        return daemon::run(context, &settings);
    }
    let mut client = settings.connect_prepared_database("apply")?;
    take_lock(&mut client, Lock::Apply)?;
    let mut receiver = Receiver::new(&mut client, &settings.archive, settings.policy)?;
    let verdicts = if args.check { Verdicts::of_rehearsal() } else { Verdicts::default() };
    let mut verdicts = verdicts.shown_by(context.progress());
    let outcome = match (&args.files[..], args.check) {
        ([], _) => drain(&settings, &mut receiver, &mut verdicts),
        (files, true) => each(files, |file| rehearse(&mut receiver, file, &mut verdicts)),
        (files, false) => {
            each(files, |file| receive_file(&mut receiver, &settings.archive, file, &mut verdicts))
        }
    };
    verdicts.end();
    // What was done is told also if the rest failed.
    context.print(&verdicts)?;
    outcome.map(|()| verdicts.exit(!args.files.is_empty()))
}

/// Trouble with one of several, and whether the others would meet it too.
pub(super) struct Trouble {
    pub(super) failure: Failure,
    concerns_all: bool,
}

impl Trouble {
    /// One while a bundle was received. The database may have given up on this bundle only: for want of
    /// space, of memory, of a lock.
    pub(super) fn receiving(failure: Failure, receiver: &mut Receiver<'_>) -> Self {
        let concerns_all = failure.kind() == Kind::Unreachable && !receiver.is_connected();
        Self { failure, concerns_all }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { concerns_all: failure.kind() == Kind::Unreachable, failure }
    }
}

/// Works on each. Trouble with one does not keep from the others, unless a server is away; each trouble is
/// told once, the last by the caller.
pub(super) fn each<T>(
    all: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> Result<(), Trouble>,
) -> Result<(), Failure> {
    let mut trouble = Ok(());
    for one in all {
        let Err(Trouble { failure, concerns_all }) = work(one) else { continue };
        if let Err(earlier) = std::mem::replace(&mut trouble, Err(failure)) {
            Context::complain(&earlier);
        }
        if concerns_all {
            break;
        }
    }
    trouble
}

/// Receives one file, as it would have come from the queue.
pub(super) fn receive_file(
    receiver: &mut Receiver<'_>,
    archive: &Archive,
    path: &Path,
    verdicts: &mut Verdicts,
) -> Result<(), Trouble> {
    let mut file = File::open(path).map_err(|error| Failure::file("opening the bundle", path, &error))?;
    let mut draft = archive.draft()?;
    io::copy(&mut file, draft.as_file_mut())
        .map_err(|error| Failure::file("copying the bundle", path, &error))?;
    let found = receiver.receive(draft, Arrival { branch: None, source: Source::File });
    verdicts.add(found.map_err(|failure| Trouble::receiving(failure, receiver))?);
    Ok(())
}

fn rehearse(receiver: &mut Receiver<'_>, path: &Path, verdicts: &mut Verdicts) -> Result<(), Trouble> {
    match open_bundle(path) {
        Ok(bundle) => {
            let rehearsed = receiver.rehearse(bundle);
            verdicts.add(vec![rehearsed.map_err(|failure| Trouble::receiving(failure, receiver))?]);
        }
        Err(failure) if failure.kind() == Kind::Damaged => verdicts.add_damaged(failure.to_string()),
        Err(failure) => return Err(failure.into()),
    }
    Ok(())
}

/// Empties every branch's queue.
fn drain(settings: &Settings, receiver: &mut Receiver<'_>, verdicts: &mut Verdicts) -> Result<(), Failure> {
    verdicts.add(receiver.carry_out_decisions()?);
    let mut broker = settings.connect_broker()?;
    let drained = each(settings.branches.keys(), |branch| {
        // A message that cannot be read costs the connection, but concerns its own branch only.
        if !broker.is_connected() {
            broker = settings.connect_broker()?;
        }
        drain_branch(&mut broker, &settings.archive, branch, receiver, verdicts)
    });
    // Receipts of files have waited for a broker; one branch's trouble does not keep them back.
    let answered = if broker.is_connected() { receiver.write_to_branches(&mut broker) } else { Ok(()) };
    broker.close();
    drained.and(answered)
}

fn drain_branch(
    broker: &mut Broker,
    archive: &Archive,
    branch: &NodeName,
    receiver: &mut Receiver<'_>,
    verdicts: &mut Verdicts,
) -> Result<(), Trouble> {
    // An earlier run may have been cut short between a bundle and those that waited for it.
    let waiting = receiver.catch_up(branch, None);
    verdicts.add(waiting.map_err(|failure| Trouble::receiving(failure, receiver))?);
    while let Some(delivery) = broker.next_bundle(branch.as_str())? {
        if let Err(Undecided { trouble, delivery }) =
            take(broker, archive, branch, delivery, receiver, verdicts)
        {
            // It is still in the queue; giving it back at once only saves the next run a wait.
            if let Some(Err(error)) = delivery.map(|delivery| broker.return_to_queue(*delivery)) {
                tracing::debug!("{error}");
            }
            return Err(trouble);
        }
    }
    Ok(())
}

/// A message that could not be dealt with.
pub(super) struct Undecided {
    pub(super) trouble: Trouble,
    /// The message, if it can be tried again here.
    pub(super) delivery: Option<Box<Delivery>>,
}

/// Receives the bundle in this message, sends the receipts, and answers for the message.
pub(super) fn take(
    broker: &mut Broker,
    archive: &Archive,
    branch: &NodeName,
    delivery: Delivery,
    receiver: &mut Receiver<'_>,
    verdicts: &mut Verdicts,
) -> Result<(), Undecided> {
    let found = match receive_delivery(archive, &delivery, branch, receiver) {
        Ok(found) => found,
        Err(failure) => {
            let trouble = Trouble::receiving(failure, receiver);
            return Err(Undecided { trouble, delivery: Some(Box::new(delivery)) });
        }
    };
    // It is decided, and told also if the answer does not get through.
    let own = found.first().map(|verdict| verdict.outcome.clone());
    verdicts.add(found);
    halt::after(Step::MessageDecided);
    if let Err(failure) = receiver.publish_receipts(broker) {
        return Err(Undecided { trouble: failure.into(), delivery: Some(Box::new(delivery)) });
    }
    let answered = answer(broker, delivery, own.as_ref());
    halt::after(Step::MessageAnswered);
    answered.map_err(|failure| Undecided { trouble: failure.into(), delivery: None })
}

fn receive_delivery(
    archive: &Archive,
    delivery: &Delivery,
    branch: &NodeName,
    receiver: &mut Receiver<'_>,
) -> Result<Vec<Verdict>, Failure> {
    let draft: NamedTempFile = archive.draft()?;
    draft
        .as_file()
        .write_all(&delivery.payload)
        .map_err(|error| Failure::file("writing", draft.path(), &error))?;
    receiver.receive(draft, Arrival { branch: Some(branch), source: Source::Queue })
}

/// What is decided is taken out of the queue; what is rejected goes to the dead letters.
fn answer(broker: &mut Broker, delivery: Delivery, outcome: Option<&Outcome>) -> Result<(), Failure> {
    match outcome {
        Some(Outcome::Rejected { reason, .. }) => broker.bury(delivery, reason),
        _ => broker.acknowledge(delivery),
    }
}
