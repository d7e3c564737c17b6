//! A branch's exchange with head office: cut, take in answers, publish. `bundle`, `resend` and `sync` are
//! one round of it; a window and a follower are many.

mod cutting;
pub(in crate::cli) mod follow;
pub(in crate::cli) mod outgoing;
pub(in crate::cli) mod report;
mod rounds;
pub(in crate::cli) mod window;

use std::time::{Duration, Instant};

use postgres::Client;

use self::cutting::{options, with_cutter};
use self::outgoing::Outgoing;
use crate::branch::{
    Answers, Node, Since, pending_bundles, prepare_answers, publish, settle, unanswered_bundles,
    unfollow_changes,
};
use crate::broker::Broker;
use crate::cli::settings::Settings;
use crate::database::{Lock, take_lock};
use crate::domain::{Failure, Kind, Onlooker, Stage};

/// How long a database may take to say that it is there after something has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a cut failed so that nothing may be sent either: this may not be the database that sealed it. Of
/// other failures what was sealed earlier does not have to wait for the end.
pub(in crate::cli) fn forbids_sending(failure: &Failure) -> bool {
    matches!(failure.kind(), Kind::NeedsPerson | Kind::Usage)
}

/// A branch connected to its database and, once it is needed, to the broker.
pub(in crate::cli) struct Exchange<'a> {
    settings: &'a Settings,
    pub(in crate::cli) onlooker: &'a dyn Onlooker,
    pub(in crate::cli) client: Client,
    broker: Option<Broker>,
    /// What stood in the way of publishing while something was cut.
    trouble: Option<Failure>,
}

impl<'a> Exchange<'a> {
    /// Connects to the database, where `command` is seen in the list of sessions, and takes the lock on
    /// bundling. The `onlooker` is told how far it is.
    pub(in crate::cli) fn begin(
        onlooker: &'a dyn Onlooker,
        settings: &'a Settings,
        command: &str,
    ) -> Result<Self, Failure> {
        let mut client = settings.connect_prepared_database(command)?;
        take_lock(&mut client, Lock::Bundle)?;
        // A follower that was killed has left its wish behind.
        unfollow_changes(&mut client)?;
        Ok(Self::with(settings, onlooker, client, None))
    }

    fn with(
        settings: &'a Settings,
        onlooker: &'a dyn Onlooker,
        client: Client,
        broker: Option<Broker>,
    ) -> Self {
        Self { settings, onlooker, client, broker, trouble: None }
    }

    /// What the branch is, after the last [`seal`](Self::seal).
    pub(in crate::cli) fn node(&mut self) -> Result<Node, Failure> {
        Node::load(&mut self.client, &self.settings.node, &self.settings.archive)
    }

    /// Puts everything pending on the list of what is to be sent.
    pub(in crate::cli) fn collect(&mut self, node: &Node, outgoing: &mut Outgoing) -> Result<(), Failure> {
        outgoing.add(pending_bundles(&mut self.client, node, &self.settings.archive)?);
        Ok(())
    }

    /// Connects to the broker, unless it is connected.
    pub(in crate::cli) fn reach_broker(&mut self) -> Result<(), Failure> {
        if !self.broker.as_ref().is_some_and(Broker::is_connected) {
            self.broker = Some(self.settings.connect_broker()?);
        }
        Ok(())
    }

    /// Takes in head office's answers, does what it asks for, and publishes what is on the list, oldest
    /// first. Before each bundle it asks whether that `may_begin`; if not, the rest stays on the list.
    pub(in crate::cli) fn visit_broker(
        &mut self,
        outgoing: &mut Outgoing,
        may_begin: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.take_answers(outgoing)?;
        let answers = self.prepare_answers(outgoing);
        if answers.as_ref().is_err_and(forbids_sending) {
            return answers.map(drop);
        }
        self.publish(outgoing, may_begin)?;
        let answers = answers?;
        if outgoing.left().bundles == 0 { answers.are_published(&mut self.client) } else { Ok(()) }
    }

    /// Prepares what head office has asked for, and puts it on the list.
    fn prepare_answers(&mut self, outgoing: &mut Outgoing) -> Result<Answers, Failure> {
        let node = self.node()?;
        let settings = self.settings;
        let mut answers = with_cutter(settings, None, |cutter| {
            prepare_answers(&mut self.client, &node, cutter, &options(settings, Since::Last))
        })?;
        if answers.has_cut {
            // Of an epoch that has ended nothing needs to be sent any more.
            outgoing.forget_unsent();
            let node = self.node()?;
            self.collect(&node, outgoing)?;
        }
        outgoing.add(std::mem::take(&mut answers.resend));
        for trouble in &answers.troubles {
            self.onlooker.hears(trouble);
            outgoing.is_owing = true;
        }
        Ok(answers)
    }

    /// Takes in head office's answers.
    pub(in crate::cli) fn take_answers(&mut self, outgoing: &mut Outgoing) -> Result<(), Failure> {
        self.reach_broker()?;
        // A request may have begun a new epoch since the last time.
        let node = self.node()?;
        let Some(broker) = &mut self.broker else { return Ok(()) };
        match settle(&mut self.client, broker, &node, &self.settings.head_office) {
            Ok(settled) => {
                outgoing.receipts += settled.receipts;
                outgoing.refused += settled.refused;
            }
            // That receipts cannot be had is no reason to keep sales back.
            Err(failure) if matches!(failure.kind(), Kind::Configuration | Kind::Permission) => {
                self.onlooker.hears(&failure);
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn publish(&mut self, outgoing: &mut Outgoing, may_begin: &dyn Fn() -> bool) -> Result<(), Failure> {
        self.reach_broker()?;
        let Some(broker) = &mut self.broker else { return Ok(()) };
        while may_begin() {
            self.onlooker.sees(&Stage::Sending(outgoing.extent()));
            let Some(bundle) = outgoing.next() else { break };
            let begun = Instant::now();
            let published = publish(&mut self.client, broker, bundle);
            if published.is_err() {
                self.onlooker.sees(&Stage::SendingEnded);
            }
            published?;
            outgoing.note_sent(begun.elapsed());
        }
        self.onlooker.sees(&Stage::SendingEnded);
        Ok(())
    }

    /// How many bundles were published and have not been answered as applied.
    pub(in crate::cli) fn unanswered(&mut self, node: &Node) -> Result<i64, Failure> {
        unanswered_bundles(&mut self.client, node)
    }

    /// Whether it can go on after something has failed. The broker is then connected anew.
    pub(in crate::cli) fn survives(&mut self) -> bool {
        self.broker = None;
        self.client.is_valid(PATIENCE).is_ok()
    }

    /// Says goodbye to the broker.
    pub(in crate::cli) fn end(self) {
        if let Some(broker) = self.broker {
            broker.close();
        }
    }
}
