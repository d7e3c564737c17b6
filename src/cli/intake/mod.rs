//! Bundles come in from the queues of all branches and are applied, those of several branches at the same time.
//!
//! One thread, the one that calls, has the broker's connection and the lock; it fetches messages, publishes
//! receipts and answers for messages. [Workers](workers) apply. A branch's bundles keep their order: one worker applies
//! them, others may load the next ones meanwhile, and after each bundle it is another branch's turn.

mod answers;
mod assign;
mod feed;
mod lent;
mod probes;
mod workers;

use std::thread;
use std::time::Duration;

use postgres::Client;

use self::answers::Decided;
pub(in crate::cli) use self::feed::Feed;
use self::workers::{Start, Workers};
use crate::broker::{Broker, Delivery, Wake};
use crate::cli::apply::Trouble;
use crate::cli::context::Context;
use crate::cli::settings::Settings;
use crate::cli::unattended::stop::SLICE;
use crate::cli::verdicts::Verdicts;
use crate::database::session;
use crate::domain::{Failure, Kind, NodeName};
use crate::head_office::Receiver;

/// How often a run that does not stay tries what may go well another time at once: a deadlock, a session that
/// somebody has ended.
const MOST_TRIES: u32 = 3;

/// What becomes of a branch whose queue is empty, or that meets with trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Manner {
    /// It is done with, and left for another run.
    Drain,
    /// Its bundles are handed over as they come; it is tried again later.
    Stay,
}

/// What the intake works with.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Plan<'a> {
    pub(in crate::cli) settings: &'a Settings,
    pub(in crate::cli) manner: Manner,
    /// How many bundles are applied at the same time.
    pub(in crate::cli) workers: usize,
}

/// What is at work.
pub(in crate::cli) struct Intake<'a, 'r> {
    plan: Plan<'a>,
    pub(in crate::cli) receiver: Receiver<'r>,
    broker: Broker,
    wake: Wake,
    workers: Workers<'a>,
    feeds: &'r mut [Feed<'a>],
    verdicts: &'r mut Verdicts,
    /// The feed whose turn it is.
    turn: usize,
    decided: Vec<Decided>,
    /// Something else was decided than what has just come.
    has_news: bool,
    /// Trouble with a branch that was left for another run, the last.
    trouble: Result<(), Failure>,
}

/// Empties every branch's queue.
pub(in crate::cli) fn drain(
    settings: &Settings,
    workers: usize,
    client: &mut Client,
    verdicts: &mut Verdicts,
) -> Result<(), Failure> {
    let plan = Plan { settings, manner: Manner::Drain, workers };
    let mut feeds: Vec<_> = settings.branches.keys().map(Feed::new).collect();
    run(plan, client, &mut feeds, verdicts, |intake| {
        loop {
            intake.take_turns()?;
            // With nothing left to do, nobody would end the wait.
            if intake.feeds.iter().all(Feed::is_over) {
                break;
            }
            intake.wait()?;
        }
        // Whoever has decided something meanwhile has left it to this run.
        intake.carry_out_decisions(|_| true)
    })
}

/// Sets everything up, lets `work` make use of it, and waits until the workers are done. `client` holds the lock.
/// What becomes of bundles is added to `verdicts`, also if the rest fails.
pub(in crate::cli) fn run<'a>(
    plan: Plan<'a>,
    client: &mut Client,
    feeds: &mut [Feed<'a>],
    verdicts: &mut Verdicts,
    work: impl FnOnce(&mut Intake<'a, '_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Plan { settings, workers, .. } = plan;
    let holder = session(client)?;
    let receiver = Receiver::alone(client, &settings.archive, settings.policy, &settings.enrolment)?;
    feeds.iter_mut().for_each(Feed::begin);
    thread::scope(|scope| {
        let wake = Wake::default();
        let start = Start { settings, holder, wake: wake.clone() };
        let workers = Workers::start(scope, &start, workers)?;
        let broker = settings.connect_broker()?.woken_by(wake.clone());
        let mut intake = Intake {
            plan,
            receiver,
            broker,
            wake,
            workers,
            feeds,
            verdicts,
            turn: 0,
            decided: Vec::new(),
            has_news: false,
            trouble: Ok(()),
        };
        let worked = intake.carry_out_others_decisions().and_then(|()| work(&mut intake));
        let ended = intake.end();
        intake.broker.close();
        match (worked.and(ended), intake.trouble) {
            (Err(last), Err(earlier)) => {
                Context::complain(&earlier);
                Err(last)
            }
            (worked, trouble) => worked.and(trouble),
        }
    })
}

impl Intake<'_, '_> {
    /// Takes in what the workers have done, gives them something to do, and answers for what is done.
    pub(in crate::cli) fn take_turns(&mut self) -> Result<(), Failure> {
        self.take_in(Duration::ZERO)?;
        self.hand_out()?;
        self.answer()?;
        self.fetch_next()?;
        self.hand_out_ahead()
    }

    /// Waits for a moment, or until something happens.
    pub(in crate::cli) fn wait(&mut self) -> Result<(), Failure> {
        if let Some(delivery) = self.broker.wait_for_bundle(SLICE)?
            && let Some(index) = self.feeds.iter().position(|feed| feed.branch.as_str() == delivery.branch)
        {
            self.come(index, delivery)?;
        }
        Ok(())
    }

    /// Looks again for what nobody hands over: decisions, bundles that wait in the archive, receipts and requests
    /// that could not be sent when they were due, or that others have written.
    pub(in crate::cli) fn look_around(&mut self) -> Result<(), Failure> {
        self.carry_out_others_decisions()?;
        self.feeds.iter_mut().for_each(|feed| feed.is_in_order = false);
        let Err(failure) = self.receiver.write_to_branches(&mut self.broker) else { return Ok(()) };
        if self.is_connected() {
            tracing::debug!("{failure}");
            return Ok(());
        }
        Err(failure)
    }

    /// Whether both servers are there, as far as this thread's connections show.
    pub(in crate::cli) fn is_connected(&mut self) -> bool {
        self.broker.is_connected() && self.receiver.is_connected()
    }

    /// How long a worker has been at the same bundle at most.
    pub(in crate::cli) fn longest(&self) -> Duration {
        self.workers.longest()
    }

    /// The verdicts since the last call.
    pub(in crate::cli) fn verdicts(&mut self) -> Verdicts {
        std::mem::take(self.verdicts)
    }

    /// Decisions on branches that are no longer configured.
    fn carry_out_others_decisions(&mut self) -> Result<(), Failure> {
        let known: Vec<_> = self.feeds.iter().map(|feed| feed.branch).collect();
        self.carry_out_decisions(|branch| !known.contains(&branch))
    }

    /// Decisions on branches that no worker is at.
    fn carry_out_decisions(&mut self, meant: impl Fn(&NodeName) -> bool) -> Result<(), Failure> {
        let found = self.receiver.carry_out_decisions(meant)?;
        self.has_news |= !found.is_empty();
        self.verdicts.add(found);
        Ok(())
    }

    /// From an empty queue bundles are handed over from now on.
    fn subscribe(&mut self, index: usize) -> Result<(), Failure> {
        let feed = &mut self.feeds[index];
        if self.plan.manner == Manner::Drain || !feed.is_dry {
            return Ok(());
        }
        feed.is_dry = false;
        match self.broker.subscribe(feed.branch.as_str()) {
            Ok(()) => Ok(()),
            Err(failure) => self.meet(index, failure.into()),
        }
    }

    /// Fetches the next bundle of each branch that a worker is at. Where bundles are handed over, the next comes by itself, and
    /// what is fetched besides might be the one after it.
    fn fetch_next(&mut self) -> Result<(), Failure> {
        for index in 0..self.feeds.len() {
            let feed = &self.feeds[index];
            if feed.wants_next() && !self.broker.is_subscribed(feed.branch.as_str()) {
                self.fetch(index)?;
            }
        }
        Ok(())
    }

    fn fetch(&mut self, index: usize) -> Result<(), Failure> {
        let feed = &mut self.feeds[index];
        match self.broker.next_bundle(feed.branch.as_str()) {
            Ok(Some(delivery)) => return self.come(index, delivery),
            Ok(None) => feed.is_dry = true,
            Err(failure) => return self.meet(index, failure.into()),
        }
        Ok(())
    }

    /// A message has come. A bundle waits for its turn; a probe is answered at once.
    fn come(&mut self, index: usize, delivery: Delivery) -> Result<(), Failure> {
        let feed = &mut self.feeds[index];
        if !delivery.is_probe() {
            feed.came(delivery);
            return Ok(());
        }
        let answered = probes::answer(&mut self.receiver, &mut self.broker, feed.branch, delivery);
        answered.or_else(|failure| {
            let trouble = Trouble::receiving(failure, &mut self.receiver);
            self.meet(index, trouble)
        })
    }

    /// A branch has met with trouble. Fails only where all would.
    fn meet(&mut self, index: usize, trouble: Trouble) -> Result<(), Failure> {
        match self.plan.manner {
            Manner::Stay => self.put_off(index, trouble.failure),
            Manner::Drain => self.give_up(index, trouble),
        }
    }

    /// Puts off what has failed, unless a connection is lost. An alarm of the broker leaves it open: it keeps
    /// receipts back, and passes.
    fn put_off(&mut self, index: usize, failure: Failure) -> Result<(), Failure> {
        let is_lost = !self.is_connected();
        if !is_lost || failure.kind() == Kind::Damaged {
            self.feeds[index].put_off(&failure);
        }
        if is_lost { Err(failure) } else { Ok(()) }
    }

    /// Leaves the branch for another run, if trying again at once does not help.
    fn give_up(&mut self, index: usize, trouble: Trouble) -> Result<(), Failure> {
        let Trouble { failure, concerns_all } = trouble;
        if concerns_all {
            return Err(failure);
        }
        let feed = &mut self.feeds[index];
        feed.tries += 1;
        if failure.kind() == Kind::Unreachable && feed.tries < MOST_TRIES {
            tracing::info!("{failure}; tried again");
            feed.is_in_order = false;
            return Ok(());
        }
        // It is still in the queue; giving it back at once only saves the next run a wait.
        for delivery in feed.give_up() {
            if let Err(error) = self.broker.return_to_queue(delivery) {
                tracing::debug!("{error}");
            }
        }
        if let Err(earlier) = std::mem::replace(&mut self.trouble, Err(failure)) {
            Context::complain(&earlier);
        }
        // A message that cannot be read costs the connection, but concerns its own branch only.
        if !self.broker.is_connected() {
            tracing::info!("connecting to the broker again");
            self.broker = self.plan.settings.connect_broker()?.woken_by(self.wake.clone());
            self.feeds.iter_mut().for_each(Feed::lose);
            self.has_news |= !self.decided.is_empty();
            self.decided.clear();
        }
        Ok(())
    }
}
