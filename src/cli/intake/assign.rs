//! The workers are given something to do.

use std::fs::File;
use std::io::Write as _;

use super::Intake;
use super::feed::Assigned;
use super::lent::Lent;
use super::workers::{Incoming, Task};
use crate::archive::Archive;
use crate::broker::Delivery;
use crate::domain::Failure;
use crate::head_office::{Postmark, Predecessor, Turn};

impl Intake<'_, '_> {
    /// Gives every free worker something to do, the branches in turn.
    pub(super) fn hand_out(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.workers.trouble().filter(|_| self.plan.manner == super::Manner::Drain) {
            return Err(failure.clone());
        }
        for _ in 0..self.feeds.len() {
            if self.workers.free() == 0 {
                break;
            }
            let index = self.turn;
            self.turn = (index + 1) % self.feeds.len();
            self.hand_out_of(index)?;
        }
        Ok(())
    }

    /// Whatever is next for a branch that no worker is at. A message that cannot be read
    /// costs the connection. If it is fetched, it is known whose it is, and only that branch is put off; if it is
    /// handed over, that is found out after connecting again. So a queue is emptied by fetching before its messages are
    /// handed over.
    fn hand_out_of(&mut self, index: usize) -> Result<(), Failure> {
        let feed = &mut self.feeds[index];
        if !feed.is_ready() {
            return Ok(());
        }
        if !feed.is_in_order {
            let ticket = feed.ticket();
            if self.workers.give(feed.branch, ticket, Task::PutInOrder) {
                feed.assigned.push_back(Assigned {
                    ticket,
                    is_bundle: false,
                    message: None,
                    turn_of_next: None,
                });
            }
            return Ok(());
        }
        feed.forget_lost();
        if feed.waiting.is_empty() && !self.broker.is_subscribed(feed.branch.as_str()) {
            if !feed.is_dry {
                self.fetch(index)?;
            }
            self.subscribe(index)?;
        }
        if self.feeds[index].waiting.is_empty() {
            if self.broker.is_subscribed(self.feeds[index].branch.as_str()) {
                self.feeds[index].is_well();
            }
            return Ok(());
        }
        self.give_bundle(index, None)
    }

    /// Workers that have nothing else to do load the next bundle of a branch that another is at, if it has come. One
    /// is kept free for a branch that may come with something meanwhile, if there is any.
    pub(super) fn hand_out_ahead(&mut self) -> Result<(), Failure> {
        let is_another_idle = self.feeds.iter().any(|feed| feed.assigned.is_empty() && !feed.is_over());
        for index in 0..self.feeds.len() {
            if self.workers.free() <= usize::from(is_another_idle) {
                break;
            }
            if let Some(turn) = self.feeds[index].turn_of_next() {
                self.give_bundle(index, Some(turn))?;
            }
        }
        Ok(())
    }

    /// Gives the next bundle that has come to a worker.
    fn give_bundle(&mut self, index: usize, turn: Option<Turn>) -> Result<(), Failure> {
        let feed = &mut self.feeds[index];
        let Some((ticket, delivery)) = feed.waiting.front() else { return Ok(()) };
        let (predecessor, turn_of_next) = Predecessor::of_next();
        let (incoming, body) = match incoming(&self.plan.settings.archive, delivery, turn, predecessor) {
            Ok(incoming) => incoming,
            Err(failure) => return self.meet(index, failure.into()),
        };
        let ticket = *ticket;
        if self.workers.give(feed.branch, ticket, Task::Receive(incoming)) {
            let message = feed.waiting.pop_front().map(|(_, delivery)| Lent::new(delivery, body));
            feed.assigned.push_back(Assigned {
                ticket,
                is_bundle: true,
                message,
                turn_of_next: Some(turn_of_next),
            });
            feed.is_dry = false;
        }
        Ok(())
    }
}

/// The bundle of a message, in a file, and the same file for the message.
fn incoming(
    archive: &Archive,
    delivery: &Delivery,
    turn: Option<Turn>,
    predecessor: Predecessor,
) -> Result<(Incoming, File), Failure> {
    let draft = archive.draft()?;
    let written = draft.as_file().write_all(&delivery.payload);
    written.map_err(|error| Failure::file("writing", draft.path(), &error))?;
    let body = Lent::open(&draft)?;
    let postmark = Postmark { user: delivery.user_id.clone(), routing_key: delivery.routing_key.clone() };
    Ok((Incoming { draft, postmark, turn, predecessor }, body))
}
