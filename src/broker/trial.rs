//! What may be refused is tried where nothing depends on it: the broker ends the channel on which it refuses.

use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, ErrorKind};

use super::connection::Broker;
use super::link::Trouble;

impl Broker {
    /// Does `work` on a channel that nothing else uses: what is refused there ends it.
    pub(super) fn on_own_channel<T>(
        &mut self,
        work: impl AsyncFnOnce(Channel) -> lapin::Result<T>,
    ) -> Result<T, Trouble> {
        let channel = self.link.wait(self.deadlines.rpc, self.connection.create_channel())?;
        self.link.wait(self.deadlines.rpc, work(channel.clone()))
    }

    /// Publishes a message that no queue ever gets.
    pub(super) fn try_publishing(&mut self, exchange: &str, key: ShortString) -> Result<(), Trouble> {
        // A login that can be no property cannot have logged in.
        let properties =
            BasicProperties::default().with_user_id(ShortString::try_new(self.user()).unwrap_or_default());
        let exchange = ShortString::try_new(exchange).unwrap_or_default();
        self.on_own_channel(async |channel| {
            channel.tx_select().await?;
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let _sent = channel.basic_publish(exchange, key, options, b"salesync doctor", properties).await?;
            channel.tx_rollback().await
        })
    }

    /// Declares a queue that is there, as salesync would have.
    pub(super) fn declare_again(&mut self, queue: &ShortString) -> Result<(), Trouble> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let declared = self.on_own_channel(async |channel| {
            channel.queue_declare(queue.clone(), QueueDeclareOptions::durable(), arguments).await
        });
        declared.map(drop)
    }
}

/// What the broker has answered, if it has refused something.
pub(super) fn code(trouble: &Trouble) -> Option<u16> {
    let Trouble::Lapin(error) = trouble else { return None };
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}
