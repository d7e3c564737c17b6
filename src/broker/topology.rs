//! The names at the broker, and how they hang together.
//!
//! ```text
//! salesync.bundles  (topic)  --<branch>--> salesync.bundles.<branch>     branch to head office
//! salesync.receipts (direct) --<branch>--> salesync.receipts.<branch>    head office to branch
//! salesync.dead     (fanout) ------------> salesync.dead                 what head office refused
//! ```
//!
//! Exchanges are durable, queues are quorum queues: they alone have a message on disk when they confirm
//! it. The queue type is the only argument declared, since it is the only thing that a policy cannot
//! set; all else (limits, dead-lettering) is left to policies, which can be changed later.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::connection::Broker;
use super::failure;
use super::link::Trouble;
use crate::domain::{Failure, Kind};

pub(super) const BUNDLES: &str = "salesync.bundles";
pub(super) const RECEIPTS: &str = "salesync.receipts";
pub(super) const DEAD: &str = "salesync.dead";

/// A name as AMQP carries it. `lapin` panics on one that is too long, so all pass through here.
pub(super) fn name(text: impl Into<String>) -> Result<ShortString, Failure> {
    let text = text.into();
    ShortString::try_new(text.as_str()).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        Failure::new(Kind::Failed, format!("naming {shown}…"), "AMQP has names of at most 255 bytes")
    })
}

/// The queue of `branch` behind `exchange`.
pub(super) fn queue_of(exchange: &str, branch: &str) -> Result<ShortString, Failure> {
    name(format!("{exchange}.{branch}"))
}

impl Broker {
    /// Declares the exchanges, the queue of dead letters, and the two queues of each branch. What is
    /// there already stays as it is; what is there with another type is a failure.
    pub fn declare_topology(&mut self, branches: &[&str]) -> Result<(), Failure> {
        self.declare("the exchanges", async |channel| {
            exchange(&channel, BUNDLES, ExchangeKind::Topic).await?;
            exchange(&channel, RECEIPTS, ExchangeKind::Direct).await?;
            exchange(&channel, DEAD, ExchangeKind::Fanout).await?;
            queue(&channel, DEAD.into(), DEAD, ShortString::default()).await
        })?;
        for branch in branches {
            let key = name(*branch)?;
            let (bundles, receipts) = (queue_of(BUNDLES, branch)?, queue_of(RECEIPTS, branch)?);
            self.declare(&format!("the queues of {branch}"), async |channel| {
                queue(&channel, bundles, BUNDLES, key.clone()).await?;
                queue(&channel, receipts, RECEIPTS, key).await
            })?;
        }
        Ok(())
    }

    /// How many bundles of `branch` wait to be fetched; `None` if it has no queue.
    pub fn queue_depth(&mut self, branch: &str) -> Result<Option<u32>, Failure> {
        let queue = queue_of(BUNDLES, branch)?;
        let doing = format!("looking at the queue {queue}");
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let asked = self.on_publishing_channel(self.deadlines.rpc, async |channel| {
            channel.queue_declare(queue, options, FieldTable::default()).await
        });
        match asked {
            Ok(queue) => Ok(Some(queue.message_count())),
            Err(Trouble::Lapin(error)) if is_not_found(&error) => Ok(None),
            Err(trouble) => Err(failure::during(doing, trouble)),
        }
    }

    fn declare(
        &mut self,
        what: &str,
        work: impl AsyncFnOnce(Channel) -> lapin::Result<()>,
    ) -> Result<(), Failure> {
        self.on_publishing_channel(self.deadlines.rpc, work)
            .map_err(|trouble| failure::during(format!("declaring {what} at the broker"), trouble))
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
}

async fn queue(channel: &Channel, queue: ShortString, exchange: &str, key: ShortString) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.clone(), QueueDeclareOptions::durable(), arguments).await?;
    channel.queue_bind(queue, exchange.into(), key, QueueBindOptions::default(), FieldTable::default()).await
}
