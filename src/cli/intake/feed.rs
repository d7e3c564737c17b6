//! One branch's bundles on their way from its queue to its tables.

use std::collections::VecDeque;
use std::time::Instant;

use super::lent::Lent;
use crate::broker::Delivery;
use crate::cli::unattended::retry::Retry;
use crate::domain::{Failure, NodeName};

/// The way from a branch's queue to its tables. What stops it stops no other.
pub(in crate::cli) struct Feed<'a> {
    pub(super) branch: &'a NodeName,
    /// Bundles that have come and wait for a worker, the first to come first.
    ///
    /// One that could not be tried stays here until it can be: giving it back each time would count as so many
    /// failed deliveries, and end among the dead letters.
    pub(super) waiting: VecDeque<Delivery>,
    /// The bundle that a worker is at.
    pub(super) under_way: Option<Lent>,
    /// Whether a worker does something for it.
    pub(super) is_at_work: bool,
    /// Nobody has decided anything that is not carried out, and nothing waits in the archive.
    pub(super) is_in_order: bool,
    /// Nothing was in the queue after what has come.
    pub(super) is_dry: bool,
    /// How often it was tried in vain.
    pub(super) tries: u32,
    turn: Turn,
    retry: Retry,
}

/// When something may be done for a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
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
            under_way: None,
            is_at_work: false,
            is_in_order: false,
            is_dry: false,
            tries: 0,
            turn: Turn::Now,
            retry: Retry::new(),
        }
    }

    /// There are new connections, and nobody is at work.
    pub(super) fn begin(&mut self) {
        self.lose();
        (self.is_at_work, self.is_in_order) = (false, false);
    }

    /// The broker's connection is gone. What came on it comes again.
    pub(super) fn lose(&mut self) {
        self.waiting.clear();
        (self.under_way, self.is_dry) = (None, false);
    }

    /// Whether something could be done for it now.
    pub(super) fn is_ready(&self) -> bool {
        self.is_its_turn() && !self.is_at_work
    }

    fn is_its_turn(&self) -> bool {
        match self.turn {
            Turn::Now => true,
            Turn::From(time) => time <= Instant::now(),
            Turn::Never => false,
        }
    }

    /// Whether there is nothing more to do for it in a run that does not stay.
    pub(super) fn is_over(&self) -> bool {
        let is_done = self.is_in_order && self.is_dry && self.waiting.is_empty();
        !self.is_at_work && (self.turn == Turn::Never || is_done)
    }

    /// Whether the next bundle may come while a worker is at it. What has failed is not tried as often as others have news.
    pub(super) fn wants_next(&self) -> bool {
        self.is_at_work && self.is_its_turn() && !self.is_dry && self.waiting.is_empty()
    }

    /// Forgets bundles that cannot be answered for any more. They come again.
    pub(super) fn forget_lost(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(Delivery::is_answerable);
        self.is_dry &= self.waiting.len() == before;
    }

    /// Nothing stops it.
    pub(super) fn is_well(&mut self) {
        if self.retry.is_under_way() {
            tracing::warn!("{} goes on", self.branch);
            self.retry = Retry::new();
        }
        if self.turn != Turn::Never {
            (self.turn, self.tries) = (Turn::Now, 0);
        }
    }

    /// It is tried again later.
    pub(super) fn put_off(&mut self, failure: &Failure) {
        self.turn = Turn::From(Instant::now() + self.retry.after(failure));
        self.is_in_order = false;
    }

    /// It is left for another run, and so is what has come.
    pub(super) fn give_up(&mut self) -> VecDeque<Delivery> {
        self.turn = Turn::Never;
        std::mem::take(&mut self.waiting)
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
        feed.is_at_work = true;
        assert!(feed.wants_next() && !feed.is_ready());
        feed.put_off(&Failure::new(Kind::Unreachable, "fetching", "the queue is gone"));
        assert!(!feed.wants_next());
        feed.is_at_work = false;
        assert!(!feed.is_ready());
        feed.is_well();
        assert!(feed.is_ready());
        feed.is_at_work = true;
        assert!(feed.wants_next());
    }
}
