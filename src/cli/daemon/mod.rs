//! `salesync apply --follow`: head office, always there.

mod feed;

use std::time::{Duration, Instant};

use self::feed::{Feed, Servers};
use crate::cli::context::Context;
use crate::cli::count::Count;
use crate::cli::exit::Exit;
use crate::cli::progress::Progress;
use crate::cli::settings::Settings;
use crate::cli::unattended::retry::{Retry, is_lasting};
use crate::cli::unattended::service::{self, BUNDLE, STEP, Service};
use crate::cli::unattended::stop::{SLICE, Stop};
use crate::cli::verdicts::Verdicts;
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind};
use crate::head_office::Receiver;

/// How often to look for what nobody hands over: bundles that wait in the archive, receipts that could not
/// be sent.
const LOOK: Duration = Duration::from_mins(1);

pub(in crate::cli) fn run(context: &Context, settings: &Settings) -> Result<Exit, Failure> {
    let daemon =
        Daemon { settings, stop: Stop::listen()?, service: Service::start(), progress: context.progress() };
    let outcome = daemon.run();
    service::stopping();
    outcome.map(|()| Exit::Done)
}

struct Daemon<'a> {
    settings: &'a Settings,
    stop: Stop,
    service: Service,
    progress: Progress,
}

/// What has happened since the start.
#[derive(Default)]
struct Past {
    /// It held the lock.
    had_lock: bool,
    /// It was connected to both servers.
    was_up: bool,
    applied: usize,
}

impl Daemon<'_> {
    /// Serves, and connects again where a server was away.
    fn run(&self) -> Result<(), Failure> {
        let (mut past, mut retry, mut is_ready) = (Past::default(), Retry::new(), false);
        let mut feeds: Vec<Feed<'_>> = self.settings.branches.keys().map(Feed::new).collect();
        loop {
            let mut connected = || {
                service::ready("waiting for bundles");
                if retry.is_under_way() {
                    tracing::warn!("it goes on");
                    retry = Retry::new();
                }
                is_ready = true;
            };
            let Err(failure) = self.serve(&mut feeds, &mut past, &mut connected) else { return Ok(()) };
            self.progress.clear();
            let is_refused = failure.kind() == Kind::Postponed && !past.had_lock;
            if is_refused || is_lasting(&failure, past.was_up) {
                return Err(failure);
            }
            if !is_ready {
                // It stands by until the servers are there.
                service::ready("starting");
                is_ready = true;
            }
            service::status(&failure.to_string());
            let pause = retry.after(&failure);
            self.service.step(pause + STEP);
            if self.stop.wait(pause) {
                return Ok(());
            }
        }
    }

    /// Serves until it is asked to stop, or a connection is lost.
    fn serve(
        &self,
        feeds: &mut [Feed<'_>],
        past: &mut Past,
        connected: &mut dyn FnMut(),
    ) -> Result<(), Failure> {
        self.service.step(STEP);
        let mut client = self.settings.connect_prepared_database("apply")?;
        take_lock(&mut client, Lock::Apply)?;
        past.had_lock = true;
        let mut broker = self.settings.connect_broker()?;
        past.was_up = true;
        let may_go_on = || {
            self.service.step(BUNDLE);
            !self.stop.is_asked()
        };
        let archive = &self.settings.archive;
        let mut receiver = Receiver::new(&mut client, archive, self.settings.policy)?.as_long_as(&may_go_on);
        receiver.listen_for_decisions()?;
        let mut servers = Servers { broker: &mut broker, receiver: &mut receiver, archive };
        connected();
        let mut verdicts = Verdicts::default();
        verdicts.add(servers.receiver.carry_out_decisions()?);
        self.tell(&verdicts, past);
        feeds.iter_mut().for_each(Feed::begin);
        self.work(&mut servers, feeds, past)?;
        broker.close();
        Ok(())
    }

    fn work(
        &self,
        servers: &mut Servers<'_, '_>,
        feeds: &mut [Feed<'_>],
        past: &mut Past,
    ) -> Result<(), Failure> {
        let mut idle = Retry::new();
        let mut look = Instant::now();
        while !self.stop.is_asked() {
            self.service.step(BUNDLE);
            let mut verdicts = Verdicts::default();
            let has_decision = servers.receiver.hears_of_decision()?;
            if has_decision {
                verdicts.add(servers.receiver.carry_out_decisions()?);
            }
            let is_time = has_decision || Instant::now() >= look;
            for feed in &mut *feeds {
                if is_time || feed.is_due(servers.broker) {
                    feed.put_in_order(servers, &mut verdicts)?;
                }
            }
            if is_time {
                look = Instant::now() + LOOK;
                write_to_branches(servers)?;
            }
            self.tell(&verdicts, past);
            self.service.step(STEP);
            match servers.broker.wait_for_bundle(SLICE) {
                Ok(Some(delivery)) => {
                    let mut verdicts = Verdicts::default();
                    self.service.step(BUNDLE);
                    let feed = feeds.iter_mut().find(|feed| feed.branch().as_str() == delivery.branch);
                    let taken = feed.map_or(Ok(()), |feed| feed.take(servers, delivery, &mut verdicts));
                    self.tell(&verdicts, past);
                    taken?;
                }
                Ok(None) => {}
                Err(failure) if servers.broker.is_connected() => {
                    let pause = idle.after(&failure);
                    self.service.step(pause + STEP);
                    self.stop.wait(pause);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Says what became of bundles.
    fn tell(&self, verdicts: &Verdicts, past: &mut Past) {
        if verdicts.is_empty() {
            return;
        }
        past.applied += verdicts.applied();
        for line in verdicts.to_string().lines() {
            if verdicts.exit(false) == Exit::Done {
                tracing::info!("{line}");
            } else {
                tracing::warn!("{line}");
            }
        }
        self.progress.of_count(past.applied);
        service::status(&format!("{} applied", Count(past.applied as u64, "bundle")));
    }
}

/// Requests, and receipts that could not be sent when they were due, or that others have written.
fn write_to_branches(servers: &mut Servers<'_, '_>) -> Result<(), Failure> {
    let Err(failure) = servers.receiver.write_to_branches(servers.broker) else { return Ok(()) };
    if servers.broker.is_connected() && servers.receiver.is_connected() {
        tracing::debug!("{failure}");
        return Ok(());
    }
    Err(failure)
}
