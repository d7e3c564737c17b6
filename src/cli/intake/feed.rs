//! One branch's bundles on their way from its queue to its tables.

use std::collections::VecDeque;
use std::time::Instant;

use super::lent::Lent;
use crate::broker::Delivery;
use crate::cli::unattended::retry::Retry;
use crate::domain::{Failure, NodeName};
use crate::head_office::{MOST_UNDER_WAY, Turn};

/// The way from a branch's queue to its tables. What stops it stops no other.
pub(in crate::cli) struct Feed<'a> {
    pub(super) branch: &'a NodeName,
    /// Bundles that have come and wait for a worker, the first to come first.
    ///
    /// One that could not be tried stays here until it can be: giving it back each time would count as so many
    /// failed deliveries, and end among the dead letters. Each has its number.
    pub(super) waiting: VecDeque<(u64, Delivery)>,
    /// What workers do for it, in the order in which it will be decided: one thing, or some bundles.
    pub(super) assigned: VecDeque<Assigned>,
    /// What came last has this number, or was given to a worker by itself.
    last_ticket: u64,
    /// Nobody has decided anything that is not carried out, and nothing waits in the archive.
    pub(super) is_in_order: bool,
    /// Nothing was in the queue after what has come.
    pub(super) is_dry: bool,
    /// How often it was tried in vain.
    pub(super) tries: u32,
    due: Due,
    retry: Retry,
}

/// What a worker does for a branch.
pub(super) struct Assigned {
    pub(super) ticket: u64,
    pub(super) is_bundle: bool,
    /// The bundle's message, unless the broker's connection has been lost since.
    pub(super) message: Option<Lent>,
    /// What the bundle after it waits for, if it is a bundle and nobody has been told.
    pub(super) turn_of_next: Option<Turn>,
}

/// When something may be done for a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Now,
    /// Something has failed; it is tried again then.
    From(Instant),
    /// It is left for another run.
    Never,
}

impl<'a> Feed<'a> {
    /// Nothing has come yet.
    pub(in crate::cli) fn new(branch: &'a NodeName) -> Self {
        Self {
            branch,
            waiting: VecDeque::new(),
            assigned: VecDeque::new(),
            last_ticket: 0,
            is_in_order: false,
            is_dry: false,
            tries: 0,
            due: Due::Now,
            retry: Retry::new(),
        }
    }

    /// There are new connections, and nobody is at work.
    pub(super) fn begin(&mut self) {
        self.lose();
        self.assigned.clear();
        self.is_in_order = false;
    }

    /// The broker's connection is gone. What came on it comes again.
    pub(super) fn lose(&mut self) {
        self.waiting.clear();
        self.assigned.iter_mut().for_each(|assigned| assigned.message = None);
        self.is_dry = false;
    }

    /// A number that nothing has had yet.
    pub(super) fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// A bundle has come, and waits.
    pub(super) fn came(&mut self, delivery: Delivery) {
        let ticket = self.ticket();
        self.waiting.push_back((ticket, delivery));
    }

    /// A bundle that could not be tried waits again, where it was.
    pub(super) fn waits_again(&mut self, ticket: u64, delivery: Delivery) {
        let place = self.waiting.partition_point(|(other, _)| *other < ticket);
        self.waiting.insert(place, (ticket, delivery));
    }

    /// A worker is done with this.
    pub(super) fn done(&mut self, ticket: u64) -> Option<Assigned> {
        let place = self.assigned.iter().position(|assigned| assigned.ticket == ticket)?;
        self.assigned.remove(place)
    }

    /// What the next bundle would wait for, if it may be given to a worker while others are at some: not if something is to be
    /// done first, and not as long as something has just failed.
    pub(super) fn turn_of_next(&mut self) -> Option<Turn> {
        let is_well = self.due == Due::Now && self.tries == 0 && self.is_in_order;
        if !is_well || !(1..MOST_UNDER_WAY).contains(&self.assigned.len()) {
            return None;
        }
        self.forget_lost();
        if self.waiting.is_empty() {
            return None;
        }
        self.assigned.back_mut()?.turn_of_next.take()
    }

    /// Whether something could be done for it now.
    pub(super) fn is_ready(&self) -> bool {
        self.is_its_turn() && self.assigned.is_empty()
    }

    fn is_its_turn(&self) -> bool {
        match self.due {
            Due::Now => true,
            Due::From(time) => time <= Instant::now(),
            Due::Never => false,
        }
    }

    /// Whether there is nothing more to do for it in a run that does not stay.
    pub(super) fn is_over(&self) -> bool {
        let is_done = self.is_in_order && self.is_dry && self.waiting.is_empty();
        self.assigned.is_empty() && (self.due == Due::Never || is_done)
    }

    /// Whether the next bundle may come while a worker is at it. What has failed is not tried as often as others have news.
    pub(super) fn wants_next(&self) -> bool {
        !self.assigned.is_empty() && self.is_its_turn() && !self.is_dry && self.waiting.is_empty()
    }

    /// Forgets bundles that cannot be answered for any more. They come again.
    pub(super) fn forget_lost(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|(_, delivery)| delivery.is_answerable());
        self.is_dry &= self.waiting.len() == before;
    }

    /// Nothing stops it.
    pub(super) fn is_well(&mut self) {
        if self.retry.is_under_way() {
            tracing::warn!("{} goes on", self.branch);
            self.retry = Retry::new();
        }
        if self.due != Due::Never {
            (self.due, self.tries) = (Due::Now, 0);
        }
    }

    /// It is tried again later.
    pub(super) fn put_off(&mut self, failure: &Failure) {
        self.due = Due::From(Instant::now() + self.retry.after(failure));
        self.is_in_order = false;
    }

    /// It is left for another run, and so is what has come.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Delivery> + use<> {
        self.due = Due::Never;
        std::mem::take(&mut self.waiting).into_iter().map(|(_, delivery)| delivery)
    }

    /// Whether it is left for another run.
    pub(super) fn is_given_up(&self) -> bool {
        self.due == Due::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Kind;

    #[test]
    fn what_was_put_off_fetches_nothing_before_its_time_also_while_a_worker_is_at_it() {
        let branch: NodeName = "east".parse().unwrap();
        let mut feed = Feed::new(&branch);
        let works = |feed: &mut Feed<'_>| {
            let ticket = feed.ticket();
            feed.assigned.push_back(Assigned { ticket, is_bundle: true, message: None, turn_of_next: None });
        };
        works(&mut feed);
        assert!(feed.wants_next() && !feed.is_ready());
        feed.put_off(&Failure::new(Kind::Unreachable, "fetching", "the queue is gone"));
        assert!(!feed.wants_next());
        feed.assigned.clear();
        assert!(!feed.is_ready());
        feed.is_well();
        assert!(feed.is_ready());
        works(&mut feed);
        assert!(feed.wants_next());
    }
}
