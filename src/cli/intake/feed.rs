//! One branch's bundles on their way from its queue to its tables.

use std::collections::VecDeque;
use std::time::Instant;

use crate::broker::Delivery;
use crate::cli::unattended::retry::Retry;
use crate::domain::{Failure, NodeName};

/// The way from a branch's queue to its tables. What stops it stops no other.
pub(in crate::cli) struct Feed<'a> {
    pub(super) branch: &'a NodeName,
    /// Bundles that have come and are not answered for, the first to come first. While a bundle is being applied
    /// it is the first of them.
    ///
    /// One that could not be tried stays here until it can be: giving it back each time would count as so many
    /// failed deliveries, and end among the dead letters.
    pub(super) at_hand: VecDeque<Delivery>,
    /// What a worker does for it.
    pub(super) at_work: AtWork,
    /// Nobody has decided anything that is not carried out, and nothing waits in the archive.
    pub(super) is_in_order: bool,
    /// Nothing was in the queue when the last was fetched.
    pub(super) is_dry: bool,
    /// It is left for another run.
    pub(super) is_given_up: bool,
    /// How often it was tried in vain.
    pub(super) tries: u32,
    /// When to try again, if something has failed.
    again: Option<Instant>,
    retry: Retry,
}

/// What a worker does for a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtWork {
    /// Nothing.
    Nobody,
    /// It puts it in order.
    OnArchive,
    /// It receives the first bundle at hand.
    OnBundle,
}

impl<'a> Feed<'a> {
    /// Nothing has come yet.
    pub(in crate::cli) fn new(branch: &'a NodeName) -> Self {
        Self {
            branch,
            at_hand: VecDeque::new(),
            at_work: AtWork::Nobody,
            is_in_order: false,
            is_dry: false,
            is_given_up: false,
            tries: 0,
            again: None,
            retry: Retry::new(),
        }
    }

    /// There are new connections; what came on the old ones comes again.
    pub(super) fn begin(&mut self) {
        self.at_hand.clear();
        self.at_work = AtWork::Nobody;
        (self.is_in_order, self.is_dry) = (false, false);
    }

    /// Whether a worker is at it.
    pub(super) fn is_at_work(&self) -> bool {
        self.at_work != AtWork::Nobody
    }

    /// Whether something could be done for it now.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_at_work() && !self.is_given_up && self.again.is_none_or(|again| again <= Instant::now())
    }

    /// Whether there is nothing more to do for it in a run that does not stay.
    pub(super) fn is_over(&self) -> bool {
        let is_done = self.is_in_order && self.is_dry && self.at_hand.is_empty();
        !self.is_at_work() && (self.is_given_up || is_done)
    }

    /// Whether another bundle may come while a worker is at the one before it.
    pub(super) fn wants_next(&self) -> bool {
        let waiting = self.at_hand.len().saturating_sub(usize::from(self.at_work == AtWork::OnBundle));
        self.is_at_work() && !self.is_dry && waiting == 0
    }

    /// Forgets bundles that cannot be answered for any more. They come again.
    pub(super) fn forget_lost(&mut self) {
        let before = self.at_hand.len();
        self.at_hand.retain(Delivery::is_answerable);
        self.is_dry &= self.at_hand.len() == before;
    }

    /// Nothing stops it.
    pub(super) fn is_well(&mut self) {
        if self.retry.is_under_way() {
            tracing::warn!("{} goes on", self.branch);
            self.retry = Retry::new();
        }
        (self.again, self.tries) = (None, 0);
    }

    /// It is tried again later.
    pub(super) fn put_off(&mut self, failure: &Failure) {
        self.again = Some(Instant::now() + self.retry.after(failure));
        self.is_in_order = false;
    }
}
