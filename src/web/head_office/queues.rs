//! How many bundles wait at the broker for each branch: asked in the background, so that no page waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::broker::Broker;
use crate::domain::{Failure, NodeName};
use crate::web::server::State;
use crate::web::site::{ConnectBroker, LookUpBranches, Role};

/// How long it rests between two rounds. Each question has its deadline.
const PAUSE: Duration = Duration::from_secs(12);

/// What is known of the queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::web) struct Queues {
    /// Messages in the queue of each branch; none where there is no queue.
    pub(in crate::web) depths: BTreeMap<String, Option<u32>>,
    /// Since when the broker cannot be asked, and why, if it cannot.
    pub(in crate::web) away: Option<(DateTime<Utc>, String)>,
}

/// Asks the broker from time to time.
pub(in crate::web) struct QueueWatch {
    connect: ConnectBroker,
    look_up_branches: LookUpBranches,
    known: Mutex<Queues>,
}

impl QueueWatch {
    pub(in crate::web) fn new(connect: ConnectBroker, look_up_branches: LookUpBranches) -> Self {
        Self { connect, look_up_branches, known: Mutex::default() }
    }

    /// What was known at the end of the last round.
    pub(in crate::web) fn known(&self) -> Queues {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One round. True if anything is other than before.
    fn ask(&self, broker: &mut Option<Broker>) -> bool {
        let before = self.known();
        let asked = self.depths(broker);
        if asked.is_err() {
            *broker = None;
        }
        let now = match asked {
            Ok(depths) => Queues { depths, away: None },
            // What was known stays: it is old, but the time says so.
            Err(failure) => {
                let since = before.away.as_ref().map_or_else(Utc::now, |(since, _)| *since);
                Queues { away: Some((since, failure.to_string())), depths: before.depths.clone() }
            }
        };
        let is_news = now != before;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = now;
        is_news
    }

    fn depths(&self, broker: &mut Option<Broker>) -> Result<BTreeMap<String, Option<u32>>, Failure> {
        let broker = match broker {
            Some(broker) => broker,
            None => broker.insert((self.connect)()?),
        };
        let depth = |name: &NodeName| Ok((name.to_string(), broker.queue_depth(name.as_str())?));
        (self.look_up_branches)().expect_every.keys().map(depth).collect()
    }
}

/// Begins to ask, in a thread that ends with the server. Open pages are told of what is new.
pub(in crate::web) fn watch_queues(state: &State) {
    let state = Arc::downgrade(state);
    let began = thread::Builder::new().name("queues".to_owned()).spawn(move || {
        let mut broker = None;
        while let Some(state) = state.upgrade() {
            let Role::HeadOffice(site) = &state.role else { return };
            let Some(watch) = &site.queues else { return };
            if watch.ask(&mut broker) {
                state.live.tell();
            }
            drop(state);
            thread::sleep(PAUSE);
        }
    });
    if let Err(error) = began {
        tracing::warn!("the queues at the broker are not looked at: {error}");
    }
}
