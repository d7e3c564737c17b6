//! `salesync apply --follow`: head office, always there.

use std::time::{Duration, Instant};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::intake::{self, Feed, Intake, Manner, Plan};
use crate::cli::progress::Progress;
use crate::cli::settings::{Role, Settings, Source};
use crate::cli::unattended::retry::{Retry, is_lasting};
use crate::cli::unattended::service::{self, BUNDLE, STEP, Service};
use crate::cli::unattended::stop::Stop;
use crate::cli::verdicts::Verdicts;
use crate::database::{Lock, take_lock};
use crate::domain::{Count, Failure, Kind};

/// How often to look for what nobody hands over.
const LOOK: Duration = Duration::from_mins(1);

/// How often to look whether the configuration has changed.
const READ: Duration = Duration::from_secs(1);

/// How often to look whether somebody has decided something, while bundles come: a look takes a moment.
const LISTEN: Duration = Duration::from_millis(100);

pub(in crate::cli) fn run(context: &Context, workers: Option<usize>) -> Result<Exit, Failure> {
    let mut settings = context.settings_of(Role::HeadOffice)?;
    let (stop, service, mut past) = (Stop::listen()?, Service::start(), Past::default());
    let outcome = loop {
        let workers = settings.workers(workers);
        let plan = Plan { settings: &settings, manner: Manner::Stay, workers };
        let daemon = Daemon { plan, stop: &stop, service: &service, progress: context.progress() };
        match daemon.run(&mut past) {
            Ok(Some(renewed)) => settings = renewed,
            ended => break ended,
        }
    };
    service::stopping();
    outcome.map(|_| Exit::Done)
}

struct Daemon<'a> {
    plan: Plan<'a>,
    stop: &'a Stop,
    service: &'a Service,
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

impl<'a> Daemon<'a> {
    /// Serves until it is asked to stop, and connects again where a server was away; or until the configuration has
    /// changed: then the new one is returned.
    fn run(&self, past: &mut Past) -> Result<Option<Settings>, Failure> {
        let (mut retry, mut is_ready) = (Retry::new(), false);
        let mut source = self.plan.settings.source();
        let mut feeds: Vec<Feed<'a>> = self.plan.settings.branches.keys().map(Feed::new).collect();
        loop {
            let mut connected = || {
                service::ready("waiting for bundles");
                if retry.is_under_way() {
                    tracing::warn!("it goes on");
                    retry = Retry::new();
                }
                is_ready = true;
            };
            let failure = match self.serve(&mut feeds, past, &mut source, &mut connected) {
                Ok(renewed) => return Ok(renewed),
                Err(failure) => failure,
            };
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
                return Ok(None);
            }
            if let Some(renewed) = source.renewed(Role::HeadOffice) {
                return Ok(Some(renewed));
            }
        }
    }

    /// Serves until it is asked to stop, or a connection is lost, or the configuration has changed.
    fn serve(
        &self,
        feeds: &mut [Feed<'a>],
        past: &mut Past,
        source: &mut Source,
        connected: &mut dyn FnMut(),
    ) -> Result<Option<Settings>, Failure> {
        self.service.step(STEP);
        let mut client = self.plan.settings.connect_prepared_database("apply")?;
        take_lock(&mut client, Lock::Apply)?;
        past.had_lock = true;
        let (mut verdicts, mut renewed) = (Verdicts::default(), None);
        let outcome = intake::run(self.plan, &mut client, feeds, &mut verdicts, |intake| {
            past.was_up = true;
            intake.receiver.listen_for_decisions()?;
            connected();
            let outcome = self.work(intake, past, &mut || {
                renewed = source.renewed(Role::HeadOffice);
                renewed.is_some()
            });
            // For the bundles that are being applied.
            self.service.step(BUNDLE);
            outcome
        });
        self.tell(&verdicts, past);
        outcome.map(|()| renewed)
    }

    fn work(
        &self,
        intake: &mut Intake<'a, '_>,
        past: &mut Past,
        is_renewed: &mut dyn FnMut() -> bool,
    ) -> Result<(), Failure> {
        let mut idle = Retry::new();
        let (mut look, mut listen, mut read) = (Instant::now(), Instant::now(), Instant::now());
        while !self.stop.is_asked() {
            if Instant::now() >= read {
                read = Instant::now() + READ;
                if is_renewed() {
                    break;
                }
            }
            self.step(intake, BUNDLE);
            let mut is_time = Instant::now() >= look;
            if Instant::now() >= listen {
                listen = Instant::now() + LISTEN;
                is_time |= intake.receiver.hears_of_decision()?;
            }
            if is_time {
                look = Instant::now() + LOOK;
                intake.look_around()?;
            }
            intake.take_turns()?;
            self.tell(&intake.verdicts(), past);
            self.step(intake, STEP);
            match intake.wait() {
                Err(failure) if intake.is_connected() => {
                    let pause = idle.after(&failure);
                    self.step(intake, pause + STEP);
                    self.stop.wait(pause);
                }
                waited => waited?,
            }
        }
        Ok(())
    }

    /// The loop is alive, unless a worker hangs.
    fn step(&self, intake: &Intake<'_, '_>, longest: Duration) {
        if intake.longest() < BUNDLE {
            self.service.step(longest);
        }
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
