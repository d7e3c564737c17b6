//! Publishing: persistent, mandatory, confirmed, one message in flight.
//!
//! One in flight, because a returned message is matched to the next confirmation and not to its own.

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Confirmation};

use super::connection::Broker;
use super::failure;
use super::topology::{BUNDLES, RECEIPTS, name};
use crate::domain::{
    ANSWER_FORMAT, BUNDLE_FORMAT, Failure, Kind, PROBE_FORMAT, RECEIPT_FORMAT, REQUEST_FORMAT, Signable,
    Signature,
};
use crate::halt::{self, Step};

const PERSISTENT: u8 = 2;

/// A sealed bundle, to be published as one message.
#[derive(Debug, Clone, Copy)]
pub struct OutgoingBundle<'a> {
    /// The branch it comes from; also the routing key.
    pub branch: &'a str,
    /// Its identity, the same at every attempt.
    pub bundle_id: &'a str,
    /// The epoch of the branch.
    pub epoch: &'a str,
    /// Its number within the epoch.
    pub sequence: u64,
    /// SHA-256 of its manifest, in hexadecimal.
    pub manifest_sha256: &'a str,
    /// The bytes of the file.
    pub payload: &'a [u8],
}

/// One message on its way out.
pub(super) struct Letter<'a> {
    pub(super) doing: String,
    pub(super) exchange: &'static str,
    pub(super) routing_key: &'a str,
    pub(super) message_id: Option<ShortString>,
    pub(super) message_type: ShortString,
    pub(super) headers: FieldTable,
    pub(super) payload: &'a [u8],
}

impl Broker {
    /// Publishes a bundle. `Ok` means that the branch's queue has it on disk.
    ///
    /// After a failure the broker may have it or not: publish the same bundle again. No queue for
    /// the branch, and a message too large for the broker, are [`Kind::Configuration`]; a full queue
    /// and a broker that accepts nothing (disk or memory alarm) are [`Kind::Unreachable`].
    pub fn publish_bundle(&mut self, bundle: &OutgoingBundle<'_>) -> Result<(), Failure> {
        let doing = format!("publishing bundle {} of {}", bundle.sequence, bundle.branch);
        let mut headers = FieldTable::default();
        headers.insert("branch".into(), text(bundle.branch));
        headers.insert("epoch".into(), text(bundle.epoch));
        headers.insert("sequence".into(), number(&doing, bundle.sequence)?);
        headers.insert("manifest-sha256".into(), text(bundle.manifest_sha256));
        self.publish(Letter {
            doing,
            exchange: BUNDLES,
            routing_key: bundle.branch,
            message_id: Some(name(bundle.bundle_id)?),
            message_type: BUNDLE_FORMAT.into(),
            headers,
            payload: bundle.payload,
        })
    }

    /// Publishes head office's answer to a bundle of `branch`, with the same promise.
    pub fn publish_receipt(&mut self, branch: &str, bundle_id: &str, payload: &[u8]) -> Result<(), Failure> {
        let doing = format!("publishing the receipt of bundle {bundle_id} to {branch}");
        self.publish_to_branch(doing, branch, bundle_id, (RECEIPT_FORMAT, Signable::Receipt), payload)
    }

    /// Publishes what head office asks of `branch`, with the same promise. It comes with the receipts.
    pub fn publish_request(&mut self, branch: &str, request_id: &str, payload: &[u8]) -> Result<(), Failure> {
        let doing = format!("publishing a request to {branch}");
        self.publish_to_branch(doing, branch, request_id, (REQUEST_FORMAT, Signable::Request), payload)
    }

    /// Publishes a branch's question whether it is heard, with the same promise. It goes with the bundles.
    pub fn publish_probe(
        &mut self,
        branch: &str,
        nonce: &str,
        payload: &[u8],
        signature: &Signature,
    ) -> Result<(), Failure> {
        let mut headers = FieldTable::default();
        headers.insert("branch".into(), text(branch));
        headers.insert("signature".into(), text(&signature.to_string()));
        self.publish(Letter {
            doing: format!("publishing a probe of {branch}"),
            exchange: BUNDLES,
            routing_key: branch,
            message_id: Some(name(nonce)?),
            message_type: PROBE_FORMAT.into(),
            headers,
            payload,
        })
    }

    /// Publishes head office's answer to a probe of `branch`, with the same promise. It comes with the receipts.
    pub fn publish_answer(&mut self, branch: &str, nonce: &str, payload: &[u8]) -> Result<(), Failure> {
        let doing = format!("publishing the answer to a probe of {branch}");
        self.publish_to_branch(doing, branch, nonce, (ANSWER_FORMAT, Signable::Answer), payload)
    }

    fn publish_to_branch(
        &mut self,
        doing: String,
        branch: &str,
        message_id: &str,
        (format, signable): (&str, Signable),
        payload: &[u8],
    ) -> Result<(), Failure> {
        let mut headers = FieldTable::default();
        headers.insert("branch".into(), text(branch));
        if let Some(key) = &self.key {
            headers.insert("signature".into(), text(&key.sign(signable, payload).to_string()));
        }
        self.publish(Letter {
            doing,
            exchange: RECEIPTS,
            routing_key: branch,
            message_id: Some(name(message_id)?),
            message_type: format.into(),
            headers,
            payload,
        })
    }

    pub(super) fn publish(&mut self, letter: Letter<'_>) -> Result<(), Failure> {
        let Letter { doing, exchange, routing_key, message_id, message_type, headers, payload } = letter;
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_type(message_type)
            .with_app_id("salesync".into())
            .with_user_id(name(self.user())?)
            .with_headers(headers);
        if let Some(message_id) = message_id {
            properties = properties.with_message_id(message_id);
        }
        let key = name(routing_key)?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let deadline = self.deadlines.publishing(payload.len());
        let confirmation = self.on_publishing_channel(deadline, async |channel| {
            let sent = channel.basic_publish(exchange.into(), key, options, payload, properties).await?;
            halt::after(Step::MessageSent);
            sent.await
        });
        let confirmation = confirmation.map_err(|trouble| {
            self.message_limit = failure::message_limit(&trouble).or(self.message_limit);
            failure::during(doing.as_str(), trouble)
        });
        match confirmation? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                let why = format!("no queue takes it from {exchange} ({})", returned.reply_text);
                Err(Failure::new(Kind::Configuration, doing, why).hint(failure::INIT))
            }
            Confirmation::Nack(None) => {
                Err(Failure::new(Kind::Unreachable, doing, "the queue accepts no more messages")
                    .hint("it is full until they are fetched there; nothing is lost, try again then"))
            }
            Confirmation::NotRequested => {
                Err(Failure::new(Kind::Failed, doing, "the broker was not asked to confirm it"))
            }
        }
    }
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// AMQP as `RabbitMQ` speaks it has no unsigned 64-bit number.
fn number(doing: &str, value: u64) -> Result<AMQPValue, Failure> {
    i64::try_from(value)
        .map(AMQPValue::LongLongInt)
        .map_err(|_| Failure::new(Kind::Failed, doing, "its sequence is beyond what AMQP can carry"))
}
