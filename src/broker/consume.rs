//! Being handed bundles as they come, instead of asking for them.
//!
//! Each branch's queue has a consumer on a channel of its own: what goes wrong with one (no queue, no right,
//! a message kept too long) costs the others nothing. A consumer is handed four bundles and no more until
//! one of them is answered, so head office has at most four bundles of each branch in memory.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::Notify;

use super::connection::Broker;
use super::failure;
use super::link::Trouble;
use super::receive::Delivery;
use super::topology::{BUNDLES, queue_of};
use crate::domain::Failure;

/// The next bundles are at hand while one is being applied.
const PREFETCH: u16 = 4;

/// Ends a wait for bundles early, from whatever thread: something else has happened meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Ends the wait, or the next one if there is none.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// The consumer of a branch's queue.
pub(super) struct Subscription {
    branch: String,
    pub(super) channel: Channel,
    consumer: Consumer,
}

impl Broker {
    /// From now on bundles of `branch` are handed over by [`wait_for_bundle`](Self::wait_for_bundle).
    ///
    /// A missing queue is [`Kind::Configuration`](crate::domain::Kind::Configuration) and leaves the other
    /// branches' subscriptions as they are.
    pub fn subscribe(&mut self, branch: &str) -> Result<(), Failure> {
        self.unsubscribe(branch);
        let queue = queue_of(BUNDLES, branch)?;
        let doing = format!("subscribing to queue {queue}");
        let subscribed = self.link.wait(self.deadlines.rpc, async {
            let channel = self.connection.create_channel().await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel.basic_consume(queue, ShortString::default(), options, arguments).await?;
            Ok((channel, consumer))
        });
        let (channel, consumer) = subscribed.map_err(|trouble| failure::during(doing, trouble))?;
        self.subscriptions.push(Subscription { branch: branch.to_owned(), channel, consumer });
        Ok(())
    }

    /// Ends the subscription; what was handed over and not answered comes again.
    pub fn unsubscribe(&mut self, branch: &str) {
        self.subscriptions.retain(|subscription| subscription.branch != branch);
    }

    /// Whether bundles of `branch` are handed over, as far as is known without asking the broker.
    #[must_use]
    pub fn is_subscribed(&self, branch: &str) -> bool {
        let mut subscriptions = self.subscriptions.iter();
        subscriptions
            .any(|subscription| subscription.branch == branch && subscription.channel.status().connected())
    }

    /// The same, with waits for bundles that this ends.
    #[must_use]
    pub fn woken_by(mut self, wake: Wake) -> Self {
        self.wake = wake;
        self
    }

    /// The next bundle of any branch subscribed to, or `None` if none has come within `patience`, or a
    /// subscription has ended meanwhile, or the wait was ended. The branches take turns.
    pub fn wait_for_bundle(&mut self, patience: Duration) -> Result<Option<Delivery>, Failure> {
        let (subscriptions, wake) = (&mut self.subscriptions, &self.wake);
        let handed = self.link.wait(patience, async {
            let mut woken = pin!(wake.0.notified());
            poll_fn(|context| {
                for (index, subscription) in subscriptions.iter_mut().enumerate() {
                    if let Poll::Ready(handed) = Pin::new(&mut subscription.consumer).poll_next(context) {
                        // An error is the end too: the queue was deleted, or the channel closed.
                        return Poll::Ready(Ok(Some((index, handed.and_then(Result::ok)))));
                    }
                }
                woken.as_mut().poll(context).map(|()| Ok(None))
            })
            .await
        });
        match handed {
            Ok(Some((index, Some(message)))) => {
                let subscription = self.subscriptions.remove(index);
                let delivery = Delivery::new(&subscription.branch, message, 0, subscription.channel.clone());
                // The last in the row from now on.
                self.subscriptions.push(subscription);
                Ok(Some(delivery))
            }
            Ok(Some((index, None))) => {
                let ended = self.subscriptions.remove(index);
                tracing::debug!("the subscription to the queue of {} has ended", ended.branch);
                Ok(None)
            }
            Ok(None) | Err(Trouble::Late(_)) => Ok(None),
            Err(trouble) => Err(failure::during("waiting for bundles", trouble)),
        }
    }
}
