//! `salesync bundle --follow`: where the line is always up, changes go as they are committed.

use std::time::{Duration, Instant};

use super::rounds::Rounds;
use crate::branch::{Since, Unapplied, unapplied_bundles, wait_for_change};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use crate::cli::unattended::retry::{Retry, is_lasting};
use crate::cli::unattended::service::{self, CUT, STEP, Service};
use crate::cli::unattended::stop::{SLICE, Stop};
use crate::domain::Failure;

/// Without a notification it looks this often; a notification can be missed while there is no connection.
const POLL: Duration = Duration::from_mins(1);

/// The first look for an answer of head office; each is twice as late as the one before.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// Changes that keep coming are taken after so many times the quiet that is waited for.
const RESTLESS: u32 = 4;

pub(in crate::cli) fn run(context: &Context, settings: &Settings, since: Since) -> Result<Exit, Failure> {
    let stop = Stop::listen()?;
    let follower = Follower { debounce: settings.debounce, stop: &stop, service: Service::start() };
    let mut rounds = Rounds::new(context, settings, since).following();
    let outcome = follower.follow(&mut rounds);
    service::stopping();
    rounds.end();
    outcome.map(|()| Exit::Done)
}

struct Follower<'a> {
    debounce: Duration,
    stop: &'a Stop,
    service: Service,
}

impl Follower<'_> {
    fn follow(&self, rounds: &mut Rounds<'_>) -> Result<(), Failure> {
        let mut retry = Retry::new();
        let (mut was_up, mut is_ready) = (false, false);
        let (mut poll, mut told) = (FIRST_ANSWER, Vec::new());
        while !self.stop.is_asked() {
            let done = self.round(rounds, &mut told, &mut poll);
            if let Err(failure) = &done
                && (rounds.is_refused() || is_lasting(failure, was_up))
            {
                return done;
            }
            was_up |= done.is_ok();
            if !is_ready {
                service::ready("following");
                is_ready = true;
            }
            let waited = match done {
                Ok(()) => {
                    if retry.is_under_way() {
                        tracing::warn!("it goes on");
                        retry = Retry::new();
                    }
                    service::status("up to date, waiting for changes");
                    self.wait(rounds, poll).inspect_err(|_| rounds.drop_what_is_lost())
                }
                Err(failure) => Err(failure),
            };
            if let Err(failure) = waited {
                service::status(&failure.to_string());
                let pause = retry.after(&failure);
                self.service.step(pause + STEP);
                self.stop.wait(pause);
            }
        }
        Ok(())
    }

    /// One round; what head office has not applied is told once.
    fn round(
        &self,
        rounds: &mut Rounds<'_>,
        told: &mut Vec<Unapplied>,
        poll: &mut Duration,
    ) -> Result<(), Failure> {
        self.service.step(CUT);
        rounds.round(&|| {
            self.service.step(CUT);
            !self.stop.is_asked()
        })?;
        let has_sent = rounds.outgoing.sent() > 0;
        rounds.outgoing.forget_sent();
        let Some(exchange) = rounds.exchange() else { return Ok(()) };
        let node = exchange.node()?;
        let unapplied = unapplied_bundles(&mut exchange.client)?;
        for Unapplied { sequence, state, reason } in unapplied.iter().filter(|now| !told.contains(now)) {
            tracing::warn!("head office has {state} bundle {sequence}: {reason}");
        }
        *told = unapplied;
        *poll = match exchange.unanswered(&node)? {
            0 => POLL,
            _ if has_sent => FIRST_ANSWER,
            _ => (*poll * 2).min(POLL),
        };
        Ok(())
    }

    /// Waits until something has changed and then nothing for a moment, or it is time for a look.
    fn wait(&self, rounds: &mut Rounds<'_>, poll: Duration) -> Result<(), Failure> {
        let Some(exchange) = rounds.exchange() else { return Ok(()) };
        let end = Instant::now() + poll;
        let mut is_changed = false;
        while !is_changed && !self.stop.is_asked() && Instant::now() < end {
            self.service.step(STEP);
            is_changed = wait_for_change(&mut exchange.client, SLICE)?;
        }
        let latest = Instant::now() + self.debounce * RESTLESS;
        while is_changed && !self.stop.is_asked() && Instant::now() < latest {
            is_changed = wait_for_change(&mut exchange.client, self.debounce)?;
        }
        Ok(())
    }
}
