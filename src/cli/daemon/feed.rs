//! One branch's bundles, as `apply --follow` receives them.

use std::time::Instant;

use crate::archive::Archive;
use crate::broker::{Broker, Delivery};
use crate::cli::apply::{Undecided, take};
use crate::cli::unattended::retry::Retry;
use crate::cli::verdicts::Verdicts;
use crate::domain::{Failure, Kind, NodeName};
use crate::head_office::Receiver;

/// The way from a branch's queue to its tables. What stops it stops no other.
pub(in crate::cli) struct Feed<'a> {
    branch: &'a NodeName,
    /// A bundle that could not be tried. It stays here, unanswered, until it can be: giving it back each time
    /// would count as so many failed deliveries, and end among the dead letters.
    kept: Option<Box<Delivery>>,
    /// When to try again, if something has failed.
    again: Option<Instant>,
    retry: Retry,
}

/// What the feeds of all branches work with.
pub(in crate::cli) struct Servers<'a, 'r> {
    pub(in crate::cli) broker: &'a mut Broker,
    pub(in crate::cli) receiver: &'a mut Receiver<'r>,
    pub(in crate::cli) archive: &'a Archive,
}

impl<'a> Feed<'a> {
    /// Not subscribed yet.
    pub(in crate::cli) fn new(branch: &'a NodeName) -> Self {
        Self { branch, kept: None, again: None, retry: Retry::new() }
    }

    /// There is a new connection; what came on an old one comes again.
    pub(in crate::cli) fn begin(&mut self) {
        self.kept = None;
    }

    /// The branch whose bundles come here.
    pub(in crate::cli) fn branch(&self) -> &'a NodeName {
        self.branch
    }

    /// Whether it has to be put in order, and may be by now.
    pub(in crate::cli) fn is_due(&self, broker: &Broker) -> bool {
        match self.again {
            Some(again) => Instant::now() >= again,
            None => !broker.is_subscribed(self.branch.as_str()),
        }
    }

    /// Applies what waits in the archive, tries again what could not be tried, or fetches what is in the queue
    /// and, once that is empty, subscribes to it.
    ///
    /// A message that cannot be read costs the connection. If it is fetched, it is known whose it is, and that
    /// branch is put off; if it is handed over, that is found out after connecting again.
    pub(in crate::cli) fn put_in_order(
        &mut self,
        servers: &mut Servers<'_, '_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), Failure> {
        if self.again.is_some_and(|again| again > Instant::now()) {
            return Ok(());
        }
        match servers.receiver.catch_up(self.branch, None) {
            Ok(found) => verdicts.add(found),
            Err(failure) => return self.put_off(servers, failure),
        }
        self.kept.take_if(|delivery| !delivery.is_answerable());
        if let Some(delivery) = self.kept.take() {
            return self.take(servers, *delivery, verdicts);
        }
        let branch = self.branch.as_str();
        if !servers.broker.is_subscribed(branch) {
            match servers.broker.next_bundle(branch) {
                Ok(Some(delivery)) => return self.take(servers, delivery, verdicts),
                Ok(None) => {}
                Err(failure) => return self.put_off(servers, failure),
            }
            if let Err(failure) = servers.broker.subscribe(branch) {
                return self.put_off(servers, failure);
            }
        }
        self.is_well();
        Ok(())
    }

    /// Receives a bundle. Fails only where all feeds would.
    pub(in crate::cli) fn take(
        &mut self,
        servers: &mut Servers<'_, '_>,
        delivery: Delivery,
        verdicts: &mut Verdicts,
    ) -> Result<(), Failure> {
        let Servers { broker, receiver, archive } = &mut *servers;
        match take(broker, archive, self.branch, delivery, receiver, verdicts) {
            Ok(()) => {
                self.is_well();
                Ok(())
            }
            Err(Undecided { trouble, delivery }) => {
                self.kept = delivery;
                self.put_off(servers, trouble.failure)
            }
        }
    }

    fn is_well(&mut self) {
        if self.retry.is_under_way() {
            tracing::warn!("{} goes on", self.branch);
            self.retry = Retry::new();
        }
        self.again = None;
    }

    /// Puts off what has failed, unless a connection is lost. An alarm of the broker leaves it open: it keeps
    /// receipts back, and passes.
    fn put_off(&mut self, servers: &mut Servers<'_, '_>, failure: Failure) -> Result<(), Failure> {
        let is_lost = !servers.broker.is_connected() || !servers.receiver.is_connected();
        if !is_lost || failure.kind() == Kind::Damaged {
            self.again = Some(Instant::now() + self.retry.after(&failure));
        }
        if is_lost { Err(failure) } else { Ok(()) }
    }
}
