//! One round of exchange after another: what lives longer than a connection.

use super::outgoing::Outgoing;
use super::report::Report;
use super::{Exchange, forbids_sending};
use crate::branch::{Since, follow_changes, unfollow_changes};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::settings::Settings;
use crate::domain::{Failure, Kind};

/// What became of the lock on bundling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockSoFar {
    NotTaken,
    /// Another one had it.
    Refused,
    /// It was held at least once.
    Held,
}

/// The rounds of a branch. The lock on bundling is held between them, as long as the database is there.
pub(in crate::cli) struct Rounds<'a> {
    context: &'a Context,
    settings: &'a Settings,
    since: Since,
    follows: bool,
    /// Whether something was sealed, or found not to be necessary.
    has_sealed: bool,
    exchange: Option<Exchange<'a>>,
    lock: LockSoFar,
    pub(in crate::cli) outgoing: Outgoing,
}

impl<'a> Rounds<'a> {
    /// None yet. The first cut collects what there is `since`, the others what has changed after it.
    pub(in crate::cli) fn new(context: &'a Context, settings: &'a Settings, since: Since) -> Self {
        Self {
            context,
            settings,
            since,
            follows: false,
            has_sealed: false,
            exchange: None,
            lock: LockSoFar::NotTaken,
            outgoing: Outgoing::default(),
        }
    }

    /// The same, notified of changes between the rounds.
    pub(in crate::cli) fn following(self) -> Self {
        Self { follows: true, ..self }
    }

    /// Whether another one was at work when this one began. It has to end then; later it waits.
    pub(in crate::cli) fn is_refused(&self) -> bool {
        self.lock == LockSoFar::Refused
    }

    /// Whether it got far enough to know what there is to send.
    fn knows_its_work(&self) -> bool {
        self.has_sealed || !self.outgoing.bundles().is_empty()
    }

    /// The exchange, while the database is connected.
    pub(in crate::cli) fn exchange(&mut self) -> Option<&mut Exchange<'a>> {
        self.exchange.as_mut()
    }

    /// Cuts, takes in answers, and publishes as long as the next bundle `may_begin`.
    pub(in crate::cli) fn round(&mut self, may_begin: &dyn Fn() -> bool) -> Result<(), Failure> {
        self.try_round(may_begin).inspect_err(|_| self.drop_what_is_lost())
    }

    /// Gives up the connections that are lost, after something has failed.
    pub(in crate::cli) fn drop_what_is_lost(&mut self) {
        if !self.exchange.as_mut().is_some_and(Exchange::survives) {
            self.exchange = None;
        }
    }

    fn try_round(&mut self, may_begin: &dyn Fn() -> bool) -> Result<(), Failure> {
        if self.exchange.is_none() {
            self.exchange = Some(self.begin()?);
        }
        let Some(exchange) = &mut self.exchange else { return Ok(()) };
        if self.has_sealed {
            // While the line is down changes add up to one bundle, and not to one for every attempt.
            exchange.reach_broker()?;
        }
        let sealed = exchange.seal_and_send(self.since, &mut self.outgoing, may_begin);
        match &sealed {
            Ok(()) => (self.since, self.has_sealed) = (Since::Last, true),
            Err(failure) if forbids_sending(failure) => return sealed,
            Err(_) => {}
        }
        let node = exchange.node()?;
        exchange.collect(&node, &mut self.outgoing)?;
        let sent = exchange.visit_broker(&mut self.outgoing, may_begin);
        sealed.and(sent)
    }

    fn begin(&mut self) -> Result<Exchange<'a>, Failure> {
        let begun = Exchange::begin(self.context, self.settings, "bundle");
        match &begun {
            Ok(_) => self.lock = LockSoFar::Held,
            Err(failure) if failure.kind() == Kind::Postponed && self.lock == LockSoFar::NotTaken => {
                self.lock = LockSoFar::Refused;
            }
            Err(_) => {}
        }
        let mut exchange = begun?;
        if self.follows {
            follow_changes(&mut exchange.client)?;
        }
        Ok(exchange)
    }

    /// Prints what became of the bundles, if that is known; returns the exit status that calls for.
    pub(in crate::cli) fn report(&mut self) -> Result<Exit, Failure> {
        if !self.knows_its_work() {
            return Ok(Exit::Done);
        }
        let mut report = Report::new(&self.outgoing);
        if let Some(exchange) = &mut self.exchange {
            report = report.with_answers(exchange)?;
        }
        self.context.print(&report)?;
        Ok(report.exit())
    }

    /// Ends well.
    pub(in crate::cli) fn end(self) {
        if let Some(mut exchange) = self.exchange {
            if self.follows
                && let Err(failure) = unfollow_changes(&mut exchange.client)
            {
                tracing::debug!("{failure}");
            }
            exchange.end();
        }
    }
}
