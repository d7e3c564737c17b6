//! Fetching messages one by one, and answering for each.

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, BasicProperties, Channel};

use super::connection::{Broker, round_trip};
use super::failure;
use super::publish::{Letter, text};
use super::topology::{BUNDLES, DEAD, RECEIPTS, queue_of};
use crate::domain::{Failure, Kind, PROBE_FORMAT, Signature};
use crate::halt::{self, Step};

/// The longest reason a buried message carries, in bytes: headers share one frame with everything
/// else, and one that does not fit costs the connection.
const REASON: usize = 200;

/// A message fetched and not yet answered for: [`Broker::acknowledge`], [`Broker::bury`] or
/// [`Broker::return_to_queue`] it. If none of them succeeds it comes again, at the latest once the
/// broker has lost sight of this connection.
#[derive(Debug)]
pub struct Delivery {
    /// The branch whose queue it was in.
    pub branch: String,
    /// The body.
    pub payload: Vec<u8>,
    /// What the sender calls it: the bundle id.
    pub message_id: Option<String>,
    /// The login it was published under. The broker checks it if the sender gives one, so the absence
    /// of it proves nothing about the sender.
    pub user_id: Option<String>,
    /// What it was published for. Not the queue's own key if it came there by a further one in its headers (`CC`), to
    /// which the broker asks for no right.
    pub routing_key: String,
    /// The format of the body, as the sender says: `salesync-bundle/1`.
    pub message_type: Option<String>,
    /// Whether it was delivered before. False proves nothing.
    pub redelivered: bool,
    /// How many more wait behind it; 0 if it was handed over, which tells nothing.
    pub remaining: u32,
    /// What the sender says of the content. Not to be trusted; the manifest is.
    pub headers: Headers,
    acker: Acker,
    /// Where it came, and the only place to answer for it.
    channel: Channel,
}

/// The headers of a bundle's message, each absent if it is missing or of another type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// The branch.
    pub branch: Option<String>,
    /// Its epoch.
    pub epoch: Option<String>,
    /// The number within the epoch.
    pub sequence: Option<u64>,
    /// SHA-256 of the manifest, in hexadecimal.
    pub manifest_sha256: Option<String>,
    /// Head office's signature of the body.
    pub signature: Option<Signature>,
    /// Why it was refused, on a dead letter.
    pub reason: Option<String>,
}

impl Broker {
    /// The next bundle in the queue of `branch`, or `None` if there is none.
    ///
    /// A missing queue is [`Kind::Configuration`] and leaves the other queues usable.
    pub fn next_bundle(&mut self, branch: &str) -> Result<Option<Delivery>, Failure> {
        self.fetch(branch, queue_of(BUNDLES, branch)?)
    }

    /// The next receipt for `branch`, or `None` if there is none.
    pub fn next_receipt(&mut self, branch: &str) -> Result<Option<Delivery>, Failure> {
        self.fetch(branch, queue_of(RECEIPTS, branch)?)
    }

    /// The next message that was buried, of whichever branch, or `None` if there is none.
    pub fn next_dead(&mut self) -> Result<Option<Delivery>, Failure> {
        let delivery = self.fetch("", DEAD.into())?;
        Ok(delivery.map(|delivery| Delivery {
            branch: delivery.headers.branch.clone().unwrap_or_default(),
            ..delivery
        }))
    }

    /// Tells the broker that the message is done with. `Ok` means that the broker knows.
    #[expect(clippy::needless_pass_by_value, reason = "a message is answered for once")]
    pub fn acknowledge(&mut self, delivery: Delivery) -> Result<(), Failure> {
        self.settle(&delivery, "acknowledging", async |acker| acker.ack(BasicAckOptions::default()).await)
    }

    /// Gives the message back after a fault that will pass (the database is away).
    ///
    /// Closing the channel would return it too, but counts as a failed delivery against the queue's
    /// delivery limit with newer brokers. Where no such limit is set, it moves to the queue's end.
    #[expect(clippy::needless_pass_by_value, reason = "a message is answered for once")]
    pub fn return_to_queue(&mut self, delivery: Delivery) -> Result<(), Failure> {
        self.give_back(&delivery)
    }

    /// Puts the message aside for a person: into the queue of dead letters, with the reason and the
    /// branch as headers, and then out of its queue. If that fails it stays where it was.
    ///
    /// The original sender goes into the header `sender`: the broker lets nobody publish under
    /// another's `user_id`.
    pub fn bury(&mut self, delivery: Delivery, reason: &str) -> Result<(), Failure> {
        let buried = self.publish(Letter {
            doing: format!("putting {} aside", delivery.title()),
            exchange: DEAD,
            routing_key: "",
            message_id: delivery.message_id.as_deref().and_then(|id| ShortString::try_new(id).ok()),
            message_type: ShortString::try_new(delivery.message_type.as_deref().unwrap_or_default())
                .unwrap_or_default(),
            headers: epitaph(&delivery, reason),
            payload: &delivery.payload,
        });
        if let Err(failure) = buried {
            // It would otherwise stay out of sight as long as this connection lasts. Should this
            // fail too, the connection is gone, which returns it as well.
            if let Err(also) = self.give_back(&delivery) {
                tracing::debug!(%also, "could not give the message back");
            }
            return Err(failure);
        }
        halt::after(Step::MessageBuried);
        self.acknowledge(delivery)
    }

    fn give_back(&mut self, delivery: &Delivery) -> Result<(), Failure> {
        let requeue = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        self.settle(delivery, "returning", async |acker| acker.nack(requeue).await)
    }

    fn fetch(&mut self, branch: &str, queue: ShortString) -> Result<Option<Delivery>, Failure> {
        let doing = format!("fetching from queue {queue}");
        let fetched = self.on_receiving_channel(queue.clone(), self.deadlines.receive, async |channel| {
            Ok((channel.basic_get(queue, BasicGetOptions::default()).await?, channel))
        });
        let (message, channel) = fetched.map_err(|trouble| failure::during(doing, trouble))?;
        Ok(message.map(|message| {
            let remaining = message.message_count;
            Delivery::new(branch, message.delivery, remaining, channel)
        }))
    }

    /// Answers for a message and makes sure that the answer arrived.
    fn settle(
        &mut self,
        delivery: &Delivery,
        verb: &str,
        answer: impl AsyncFnOnce(&Acker) -> lapin::Result<bool>,
    ) -> Result<(), Failure> {
        let doing = || format!("{verb} {}", delivery.title());
        let gone = || {
            Failure::new(Kind::Unreachable, doing(), "the channel it came on was closed meanwhile")
                .hint("nothing is lost: the message comes again")
        };
        let channel = &delivery.channel;
        if !channel.status().connected() {
            return Err(gone());
        }
        let taken = self.link.wait(self.deadlines.rpc, async {
            // `false` is how lapin says that it did not even send it.
            if !answer(&delivery.acker).await? {
                return Ok(false);
            }
            halt::after(Step::AcknowledgementSent);
            round_trip(channel).await?;
            Ok(true)
        });
        if !matches!(taken, Ok(true)) {
            self.give_up(channel);
        }
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(gone()),
            Err(trouble) => Err(failure::during(doing(), trouble)),
        }
    }
}

impl Delivery {
    pub(super) fn new(
        branch: &str,
        message: lapin::message::Delivery,
        remaining: u32,
        channel: Channel,
    ) -> Self {
        let properties = &message.properties;
        Self {
            branch: branch.to_owned(),
            message_id: properties.message_id().as_ref().map(ToString::to_string),
            user_id: properties.user_id().as_ref().map(ToString::to_string),
            routing_key: message.routing_key.to_string(),
            message_type: properties.kind().as_ref().map(ToString::to_string),
            redelivered: message.redelivered,
            remaining,
            headers: Headers::of(properties),
            payload: message.data,
            acker: message.acker,
            channel,
        }
    }

    /// Whether its sender calls it a probe, and no bundle.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.message_type.as_deref() == Some(PROBE_FORMAT)
    }

    /// Whether it can still be answered for, as far as is known without asking the broker. If not, it comes
    /// again.
    #[must_use]
    pub fn is_answerable(&self) -> bool {
        self.channel.status().connected()
    }

    fn title(&self) -> String {
        let id = self.message_id.as_deref().unwrap_or("without id");
        format!("message {id} of {}", self.branch)
    }
}

impl Headers {
    fn of(properties: &BasicProperties) -> Self {
        let Some(table) = properties.headers() else {
            return Self::default();
        };
        Self {
            branch: string(table, "branch"),
            epoch: string(table, "epoch"),
            sequence: whole_number(table, "sequence"),
            manifest_sha256: string(table, "manifest-sha256"),
            signature: string(table, "signature").as_deref().and_then(Signature::from_text),
            reason: string(table, "reason"),
        }
    }
}

fn string(table: &FieldTable, key: &str) -> Option<String> {
    match table.inner().get(key)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned),
        AMQPValue::ShortString(value) => Some(value.to_string()),
        _ => None,
    }
}

fn whole_number(table: &FieldTable, key: &str) -> Option<u64> {
    match *table.inner().get(key)? {
        AMQPValue::LongLongInt(value) => value.try_into().ok(),
        AMQPValue::LongInt(value) => value.try_into().ok(),
        AMQPValue::LongUInt(value) => Some(value.into()),
        _ => None,
    }
}

/// The headers of a dead letter: those known here and nothing else, shortened, since the sender may
/// have filled the frame to the brim.
fn epitaph(delivery: &Delivery, reason: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    let mut carry = |key: &'static str, value: Option<&str>| {
        if let Some(value) = value {
            headers.insert(key.into(), text(shortened(value, REASON)));
        }
    };
    let original = &delivery.headers;
    carry("reason", Some(reason));
    carry("branch", Some(&delivery.branch));
    carry("sender", delivery.user_id.as_deref());
    carry("epoch", original.epoch.as_deref());
    carry("manifest-sha256", original.manifest_sha256.as_deref());
    if let Some(sequence) = original.sequence.and_then(|sequence| i64::try_from(sequence).ok()) {
        headers.insert("sequence".into(), AMQPValue::LongLongInt(sequence));
    }
    headers
}

/// At most `limit` bytes of `value`, cut between characters.
fn shortened(value: &str, limit: usize) -> &str {
    &value[..value.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    #[test]
    fn headers_of_a_wrong_type_are_absent() {
        let mut table = FieldTable::default();
        table.insert("branch".into(), AMQPValue::LongString(vec![0xff, 0xfe].into()));
        table.insert("epoch".into(), AMQPValue::FieldArray(FieldArray::default()));
        table.insert("sequence".into(), AMQPValue::LongLongInt(-1));
        table.insert("manifest-sha256".into(), AMQPValue::Boolean(true));
        table.insert("signature".into(), AMQPValue::LongString("no digits".into()));
        assert_eq!(Headers::of(&BasicProperties::default().with_headers(table)), Headers::default());
        assert_eq!(Headers::of(&BasicProperties::default()), Headers::default());
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(shortened("short", 200), "short");
        assert_eq!(shortened("aéé", 4), "aé");
        assert_eq!(shortened(&"é".repeat(150), REASON).len(), 200);
        assert_eq!(shortened(&"aé".repeat(100), 200).len(), 199);
    }
}
