//! `salesync apply`

use std::fs::File;
use std::io;
use std::path::Path;

use chrono::Utc;
use postgres::Client;

use super::args::Apply;
use super::context::Context;
use super::daemon;
use super::exit::Exit;
use super::intake;
use super::settings::{Role, Settings};
use super::verdicts::Verdicts;
use crate::archive::{Archive, arrived_at};
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind};
use crate::head_office::{Arrival, Receiver};

pub(super) fn run(context: &Context, args: &Apply) -> Result<Exit, Failure> {
    if args.follow {
        return daemon::run(context, args.workers);
    }
    let settings = context.settings_of(Role::HeadOffice)?;
    let workers = settings.workers(args.workers);
    let mut client = settings.connect_prepared_database("apply")?;
    take_lock(&mut client, Lock::Apply)?;
    let verdicts = if args.check { Verdicts::of_rehearsal() } else { Verdicts::default() };
    let mut verdicts = verdicts.shown_by(context.progress());
    let outcome = if args.files.is_empty() {
        intake::drain(&settings, workers, &mut client, &mut verdicts)
    } else {
        take_files(&settings, args, &mut client, &mut verdicts)
    };
    verdicts.end();
    // What was done is told also if the rest failed.
    context.print(&verdicts)?;
    outcome.map(|()| verdicts.exit(!args.files.is_empty()))
}

fn take_files(
    settings: &Settings,
    args: &Apply,
    client: &mut Client,
    verdicts: &mut Verdicts,
) -> Result<(), Failure> {
    let mut receiver = Receiver::alone(client, &settings.archive, settings.policy, &settings.enrolment)?;
    each(&args.files, |file| {
        if args.check {
            rehearse(&mut receiver, &settings.archive, file, verdicts)
        } else {
            receive_file(&mut receiver, &settings.archive, file, verdicts)
        }
    })
}

/// Trouble with one of several, and whether the others would meet it too.
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) concerns_all: bool,
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
    let found = receiver.receive(draft, arrival(archive, path)?);
    verdicts.add(found.map_err(|failure| Trouble::receiving(failure, receiver))?);
    Ok(())
}

/// A file comes now, unless it has come before and lies in head office's own archive.
fn arrival<'a>(archive: &Archive, path: &Path) -> Result<Arrival<'a>, Failure> {
    Ok(Arrival::by_file(if archive.contains(path) { arrived_at(path)? } else { Utc::now() }))
}

fn rehearse(
    receiver: &mut Receiver<'_>,
    archive: &Archive,
    path: &Path,
    verdicts: &mut Verdicts,
) -> Result<(), Trouble> {
    match archive.open(path) {
        Ok(bundle) => {
            let rehearsed = receiver.rehearse(bundle, arrival(archive, path)?);
            verdicts.add(vec![rehearsed.map_err(|failure| Trouble::receiving(failure, receiver))?]);
        }
        Err(failure) if failure.kind() == Kind::Damaged => verdicts.add_damaged(failure.to_string()),
        Err(failure) => return Err(failure.into()),
    }
    Ok(())
}
