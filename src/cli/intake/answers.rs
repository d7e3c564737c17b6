//! What the workers have done is answered: receipts to the branches, and the broker may forget the message.

use std::time::Duration;

use super::feed::Assigned;
use super::lent::Lent;
use super::workers::Done;
use super::{Intake, Trouble};
use crate::broker::Broker;
use crate::cli::unattended::stop::SLICE;
use crate::domain::Failure;
use crate::halt::{self, Step};
use crate::head_office::Outcome;

/// A message whose bundle is decided, and that is not answered for.
pub(super) struct Decided {
    /// The feed it came by.
    index: usize,
    ticket: u64,
    message: Lent,
    /// What became of its bundle.
    outcome: Option<Outcome>,
}

impl<'a> Intake<'a, '_> {
    /// Takes in what the workers have done; waits for the first so long.
    pub(super) fn take_in(&mut self, patience: Duration) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for done in self.workers.done(patience) {
            // Each is noted, whatever the trouble with another is.
            outcome = outcome.and(self.note(done));
        }
        outcome
    }

    fn note(&mut self, done: Done<'a>) -> Result<(), Failure> {
        let Some(index) = self.feeds.iter().position(|feed| feed.branch == done.branch) else {
            return Ok(());
        };
        let (feed, ticket) = (&mut self.feeds[index], done.ticket);
        let Some(Assigned { is_bundle, message, .. }) = feed.done(ticket) else { return Ok(()) };
        match done.outcome {
            Ok(Some(found)) => {
                // It is decided, and told also if the answer does not get through.
                let outcome = found.first().map(|own| own.outcome.clone());
                feed.is_in_order |= !is_bundle;
                self.has_news |= message.is_none() && !found.is_empty();
                self.verdicts.add(found);
                if let Some(message) = message {
                    // Another may have come meanwhile.
                    feed.is_dry = false;
                    self.decided.push(Decided { index, ticket, message, outcome });
                    halt::after(Step::MessageDecided);
                }
                Ok(())
            }
            // The one before it has failed, and comes first.
            Ok(None) => message.map_or(Ok(()), |message| self.put_back(index, ticket, message)),
            Err(failure) => {
                if let Some(message) = message {
                    self.put_back(index, ticket, message)?;
                }
                // The database may have given up on this bundle only: for want of space, of memory, of a lock.
                let trouble = Trouble::receiving(failure, &mut self.receiver);
                self.meet(index, trouble)
            }
        }
    }

    /// Sends the receipts, and answers for the messages.
    pub(super) fn answer(&mut self) -> Result<(), Failure> {
        let decided = std::mem::take(&mut self.decided);
        if decided.is_empty() && !self.has_news {
            return Ok(());
        }
        let published = if std::mem::take(&mut self.has_news) {
            self.receiver.write_to_branches(&mut self.broker)
        } else {
            self.receiver.publish_receipts(&mut self.broker).map(drop)
        };
        let mut outcome = Ok(());
        for Decided { index, ticket, message, outcome: own } in decided {
            let answered = if let Err(failure) = &published {
                self.put_back(index, ticket, message).and(Err(failure.clone()))
            } else {
                let answered = answer(&mut self.broker, message, own.as_ref());
                halt::after(Step::MessageAnswered);
                answered
            };
            outcome = outcome.and(match answered {
                Ok(()) => {
                    self.feeds[index].is_well();
                    Ok(())
                }
                Err(failure) => self.meet(index, failure.into()),
            });
        }
        outcome
    }

    /// It waits again, where it was. Where its branch is left for another run, it is in its queue again.
    fn put_back(&mut self, index: usize, ticket: u64, message: Lent) -> Result<(), Failure> {
        let delivery = message.whole(&mut self.broker)?;
        let feed = &mut self.feeds[index];
        if feed.is_given_up() {
            return self.broker.return_to_queue(delivery);
        }
        feed.waits_again(ticket, delivery);
        Ok(())
    }

    /// Waits for what is being done, and answers for it as far as that goes.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        self.workers.hurry();
        let mut outcome = Ok(());
        while self.workers.is_busy() {
            outcome = outcome.and(self.take_in(SLICE)).and(self.answer());
        }
        outcome = outcome.and(self.answer());
        // Receipts of files have waited for a broker; one branch's trouble does not keep them back.
        if self.broker.is_connected() {
            outcome = outcome.and(self.receiver.write_to_branches(&mut self.broker));
        }
        outcome
    }
}

/// What is decided is taken out of the queue; what is rejected goes to the dead letters.
fn answer(broker: &mut Broker, message: Lent, outcome: Option<&Outcome>) -> Result<(), Failure> {
    match outcome {
        Some(Outcome::Rejected { reason, .. }) => {
            let delivery = message.whole(broker)?;
            broker.bury(delivery, reason)
        }
        _ => message.acknowledge(broker),
    }
}
