//! One round of exchange after another: what lives longer than a connection.

use super::bundle_report::Report;
use super::context::Context;
use super::exchange::Exchange;
use super::exit::Exit;
use super::outgoing::Outgoing;
use super::settings::Settings;
use crate::branch::{Since, follow_changes, unfollow_changes};
use crate::domain::{Failure, Kind};

/// The rounds of a branch. The lock on bundling is held between them, as long as the database is there.
pub(super) struct Rounds<'a> {
    context: &'a Context,
    settings: &'a Settings,
    since: Since,
    follows: bool,
    /// Whether something was sealed, or found not to be necessary.
    has_sealed: bool,
    exchange: Option<Exchange<'a>>,
    /// Whether there has been a connection to the database, with the lock.
    was_up: bool,
    pub(super) outgoing: Outgoing,
}

impl<'a> Rounds<'a> {
    /// None yet. The first cut collects what there is `since`, the others what has changed after it.
    pub(super) fn new(context: &'a Context, settings: &'a Settings, since: Since) -> Self {
        Self {
            context,
            settings,
            since,
            follows: false,
            has_sealed: false,
            exchange: None,
            was_up: false,
            outgoing: Outgoing::default(),
        }
    }

    /// The same, notified of changes between the rounds.
    pub(super) fn following(self) -> Self {
        Self { follows: true, ..self }
    }

    /// Whether there has been a round that got at least as far as the lock on bundling.
    pub(super) fn was_up(&self) -> bool {
        self.was_up
    }

    /// The exchange, while the database is connected.
    pub(super) fn exchange(&mut self) -> Option<&mut Exchange<'a>> {
        self.exchange.as_mut()
    }

    /// Cuts, takes in answers, and publishes as long as the next bundle `may_begin`.
    pub(super) fn round(&mut self, may_begin: &dyn Fn() -> bool) -> Result<(), Failure> {
        self.try_round(may_begin).inspect_err(|_| self.drop_what_is_lost())
    }

    /// Gives up the connections that are lost, after something has failed.
    pub(super) fn drop_what_is_lost(&mut self) {
        if !self.exchange.as_mut().is_some_and(Exchange::survives) {
            self.exchange = None;
        }
    }

    fn try_round(&mut self, may_begin: &dyn Fn() -> bool) -> Result<(), Failure> {
        let exchange = match &mut self.exchange {
            Some(exchange) => exchange,
            None => {
                let mut exchange = Exchange::begin(self.context, self.settings, "bundle")?;
                self.was_up = true;
                if self.follows {
                    follow_changes(&mut exchange.client)?;
                }
                self.exchange.insert(exchange)
            }
        };
        if self.has_sealed {
            // While the line is down changes add up to one bundle, and not to one for every attempt.
            exchange.reach_broker()?;
        }
        let sealed = exchange.seal(self.since);
        match &sealed {
            Ok(()) => (self.since, self.has_sealed) = (Since::Last, true),
            Err(failure) if matches!(failure.kind(), Kind::NeedsPerson | Kind::Usage) => return sealed,
            Err(_) => {}
        }
        let node = exchange.node()?;
        exchange.collect(&node, &mut self.outgoing)?;
        let sent = exchange.visit_broker(&node, &mut self.outgoing, may_begin);
        sealed.and(sent)
    }

    /// Prints what became of the bundles; returns the exit status that calls for.
    pub(super) fn report(&mut self) -> Result<Exit, Failure> {
        let mut report = Report::new(&self.outgoing);
        if let Some(exchange) = &mut self.exchange {
            let node = exchange.node()?;
            report = report.with_answers(exchange, &node)?;
        }
        self.context.print(&report)?;
        Ok(report.exit())
    }

    /// Ends well.
    pub(super) fn end(self) {
        if let Some(mut exchange) = self.exchange {
            if self.follows && let Err(failure) = unfollow_changes(&mut exchange.client) {
                tracing::debug!("{failure}");
            }
            exchange.end();
        }
    }
}
