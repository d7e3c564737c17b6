//! The threads that apply bundles, each with a connection to the database of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};
use std::time::{Duration, Instant};

use postgres::Client;
use tempfile::NamedTempFile;

use crate::broker::Wake;
use crate::cli::settings::Settings;
use crate::cli::unattended::retry::Retry;
use crate::database::share_work;
use crate::domain::{Failure, Kind, NodeName};
use crate::head_office::{Arrival, Postmark, Predecessor, Receiver, Turn, Verdict};

/// How long a worker that could not connect waits before it tries again.
const PAUSE: Duration = Duration::from_secs(5);

/// What is to be done for a branch.
pub(super) enum Task {
    /// Carry out what people have decided, and apply what waits in the archive.
    PutInOrder,
    /// Receive this bundle.
    Receive(Incoming),
}

/// A bundle to be received.
pub(super) struct Incoming {
    pub(super) draft: NamedTempFile,
    pub(super) postmark: Postmark,
    /// What it waits for, if another of its branch is being received.
    pub(super) turn: Option<Turn>,
    /// What the one after it waits for.
    pub(super) predecessor: Predecessor,
}

/// What a worker has done.
pub(super) struct Done<'a> {
    pub(super) branch: &'a NodeName,
    /// Which of the branch's tasks.
    pub(super) ticket: u64,
    /// None if its turn did not come.
    pub(super) outcome: Result<Option<Vec<Verdict>>, Failure>,
    /// It has lost its connection by that.
    is_lost: bool,
}

/// What a worker has to tell.
enum News<'a> {
    Connected,
    NotConnected(Failure),
    Done(Done<'a>),
}

/// How it stands with a worker.
enum State {
    Connecting,
    Free,
    Busy,
    /// It could not connect, and tries again.
    Without(Failure),
}

/// A worker, as those see it who give it something to do.
struct Desk<'a> {
    tasks: Sender<(&'a NodeName, u64, Task)>,
    state: State,
    /// When it has begun what it is at.
    begun: Arc<Mutex<Instant>>,
}

/// All workers. They end when this is dropped.
pub(super) struct Workers<'a> {
    desks: Vec<Desk<'a>>,
    news: Inbox<(usize, News<'a>)>,
    is_ending: Arc<AtomicBool>,
    /// Why one has no connection.
    told: Retry,
}

/// How workers are started.
#[derive(Clone)]
pub(super) struct Start<'a> {
    pub(super) settings: &'a Settings,
    /// The session that holds the lock.
    pub(super) holder: i32,
    /// Whoever waits for news.
    pub(super) wake: Wake,
}

impl<'a> Workers<'a> {
    /// So many of them, which connect by themselves.
    pub(super) fn start<'s>(
        scope: &'s Scope<'s, 'a>,
        start: &Start<'a>,
        count: usize,
    ) -> Result<Self, Failure> {
        let (sender, news) = channel();
        let mut workers = Self { desks: Vec::new(), news, is_ending: Arc::default(), told: Retry::new() };
        for number in 0..count {
            let (tasks, inbox) = channel();
            let begun = Arc::new(Mutex::new(Instant::now()));
            let worker = Worker {
                number,
                start: start.clone(),
                tasks: inbox,
                news: sender.clone(),
                begun: Arc::clone(&begun),
                is_ending: Arc::clone(&workers.is_ending),
            };
            Builder::new()
                .name(format!("apply {}", number + 1))
                .spawn_scoped(scope, move || worker.run())
                .map_err(|error| Failure::new(Kind::Failed, "starting a thread", error))?;
            workers.desks.push(Desk { tasks, state: State::Connecting, begun });
        }
        Ok(workers)
    }

    /// How many could do something now.
    pub(super) fn free(&self) -> usize {
        self.desks.iter().filter(|desk| matches!(desk.state, State::Free)).count()
    }

    /// Whether something is being done.
    pub(super) fn is_busy(&self) -> bool {
        self.desks.iter().any(|desk| matches!(desk.state, State::Busy))
    }

    /// Gives a free one something to do, which has this number among what the branch gives. False if there is none.
    pub(super) fn give(&mut self, branch: &'a NodeName, ticket: u64, task: Task) -> bool {
        let Some(desk) = self.desks.iter_mut().find(|desk| matches!(desk.state, State::Free)) else {
            return false;
        };
        *desk.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let is_given = desk.tasks.send((branch, ticket, task)).is_ok();
        desk.state = if is_given { State::Busy } else { State::Connecting };
        is_given
    }

    /// What has been done since the last call; waits for the first so long.
    pub(super) fn done(&mut self, patience: Duration) -> Vec<Done<'a>> {
        let mut done = Vec::new();
        let mut news = self.news.recv_timeout(patience).ok();
        while let Some((number, news_of_one)) = news {
            self.desks[number].state = match news_of_one {
                News::Connected => {
                    self.told = Retry::new();
                    State::Free
                }
                News::NotConnected(failure) => {
                    self.told.after(&failure);
                    State::Without(failure)
                }
                News::Done(task) => {
                    let state = if task.is_lost { State::Connecting } else { State::Free };
                    done.push(task);
                    state
                }
            };
            news = self.news.try_recv().ok();
        }
        done
    }

    /// Why no worker has a connection, if so.
    pub(super) fn trouble(&self) -> Option<&Failure> {
        let mut last = None;
        for desk in &self.desks {
            let State::Without(failure) = &desk.state else { return None };
            last = Some(failure);
        }
        last
    }

    /// How long one has been at the same bundle at most.
    pub(super) fn longest(&self) -> Duration {
        let busy = self.desks.iter().filter(|desk| matches!(desk.state, State::Busy));
        let time = |desk: &Desk<'_>| desk.begun.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        busy.map(time).max().unwrap_or_default()
    }

    /// What waits in the archive for the bundles under way is left for another time.
    pub(super) fn hurry(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
    }
}

struct Worker<'a> {
    number: usize,
    start: Start<'a>,
    tasks: Inbox<(&'a NodeName, u64, Task)>,
    news: Sender<(usize, News<'a>)>,
    begun: Arc<Mutex<Instant>>,
    is_ending: Arc<AtomicBool>,
}

impl<'a> Worker<'a> {
    /// Works until nobody has anything to do any more.
    fn run(&self) {
        loop {
            match self.connect() {
                Ok(mut client) => {
                    self.tell(News::Connected);
                    if !self.work(&mut client) {
                        return;
                    }
                }
                Err(failure) => {
                    self.tell(News::NotConnected(failure));
                    // Nothing is given to one without a connection; this only waits, or hears that all is over.
                    if let Err(RecvTimeoutError::Disconnected) = self.tasks.recv_timeout(PAUSE) {
                        return;
                    }
                }
            }
        }
    }

    fn connect(&self) -> Result<Client, Failure> {
        let mut client = self.start.settings.connect_database("apply worker")?;
        share_work(&mut client, self.start.holder)?;
        Ok(client)
    }

    /// Does what it is given until the connection is lost. False if there is nothing to do any more.
    fn work(&self, client: &mut Client) -> bool {
        while let Ok((branch, ticket, task)) = self.tasks.recv() {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.carry_out(client, branch, task)));
            let has_failed = outcome.is_err();
            let outcome = outcome.unwrap_or_else(|_| {
                let doing = format!("applying bundles of {branch}");
                Err(Failure::new(Kind::Failed, doing, "the program has a fault, which is told above"))
            });
            let is_lost = has_failed || outcome.is_err() && !self.receiver(client).is_connected();
            self.tell(News::Done(Done { branch, ticket, outcome, is_lost }));
            if is_lost {
                return true;
            }
        }
        false
    }

    fn carry_out(
        &self,
        client: &mut Client,
        branch: &NodeName,
        task: Task,
    ) -> Result<Option<Vec<Verdict>>, Failure> {
        let may_go_on = || {
            *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            !self.is_ending.load(Ordering::SeqCst)
        };
        let mut receiver = self.receiver(client).as_long_as(&may_go_on);
        match task {
            Task::Receive(Incoming { draft, postmark, turn, predecessor }) => {
                let arrival = Arrival::by_queue(branch, &postmark);
                let verdicts = match turn {
                    Some(turn) => receiver.receive_ahead(draft, arrival, &turn)?,
                    None => Some(receiver.receive(draft, arrival)?),
                };
                if verdicts.is_some() {
                    predecessor.decided();
                }
                Ok(verdicts)
            }
            Task::PutInOrder => {
                let mut verdicts = receiver.carry_out_decisions(|of| of == branch)?;
                verdicts.extend(receiver.catch_up(branch, None)?);
                Ok(Some(verdicts))
            }
        }
    }

    fn receiver<'c>(&self, client: &'c mut Client) -> Receiver<'c>
    where
        'a: 'c,
    {
        let Settings { archive, policy, enrolment, .. } = self.start.settings;
        Receiver::new(client, archive, *policy, enrolment)
    }

    fn tell(&self, news: News<'a>) {
        // If nobody listens any more, everything is over.
        if self.news.send((self.number, news)).is_ok() {
            self.start.wake.wake();
        }
    }
}
