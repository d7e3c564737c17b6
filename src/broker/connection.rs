//! The connection and its channels.

use std::collections::BTreeMap;

use lapin::options::{BasicQosOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Connection};

use super::address::BrokerAddress;
use super::consume::{Subscription, Wake};
use super::deadlines::Deadlines;
use super::encryption::{encryption, open};
use super::failure;
use super::link::{Link, Trouble};
use crate::domain::{Failure, Kind, SigningKey};
use crate::tls::TlsFiles;

/// How to connect.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// Whether password and sales may cross a network unencrypted (`amqp://` to another machine).
    pub allow_plaintext: bool,
    /// Whom to believe, and as whom to come, where the address says `amqps://`.
    pub tls: TlsFiles,
    /// How long each call may take.
    pub deadlines: Deadlines,
}

/// A connection to the broker. One call at a time, none of them longer than its deadline.
///
/// It does not reconnect: after a failure ask [`is_connected`](Self::is_connected), and connect anew.
/// Dropping it never waits; what was not acknowledged comes again.
pub struct Broker {
    // Dropped in this order: `lapin` gets to say goodbye before its runtime goes.
    publishing: Option<Channel>,
    /// One for each queue that was fetched from: what goes wrong with one leaves alone what was received from
    /// another and is not answered for.
    receiving: BTreeMap<ShortString, Channel>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) wake: Wake,
    pub(super) connection: Connection,
    pub(super) link: Link,
    pub(super) address: BrokerAddress,
    pub(super) deadlines: Deadlines,
    pub(super) message_limit: Option<u64>,
    /// What receipts and requests are signed with.
    pub(super) key: Option<SigningKey>,
}

impl Broker {
    /// Connects and logs in.
    ///
    /// Fails with [`Kind::Permission`] if the login is refused, [`Kind::Configuration`] if address,
    /// TLS or virtual host are wrong, [`Kind::Unreachable`] if the broker does not answer.
    pub fn connect(address: &BrokerAddress, options: &ConnectOptions) -> Result<Self, Failure> {
        let doing = format!("connecting to {address}");
        if !address.is_encrypted() && !address.is_loopback() && !options.allow_plaintext {
            return Err(Failure::new(
                Kind::Configuration,
                doing,
                "amqp:// would send the password and the sales unencrypted",
            )
            .hint(
                "use amqps:// (port 5671), or allow plaintext explicitly if the line itself is encrypted",
            ));
        }
        let (uri, tls) = (address.uri(options.tls.identity.is_some())?, encryption(address, &options.tls)?);
        let mut link = Link::new().map_err(|error| Failure::new(Kind::Failed, doing.as_str(), error))?;
        let connection = link
            .wait(options.deadlines.connect, open(uri, tls.clone()))
            .map_err(|trouble| failure::connecting(doing, address, tls, trouble))?;
        link.listen(connection.events_listener());
        Ok(Self {
            publishing: None,
            receiving: BTreeMap::new(),
            subscriptions: Vec::new(),
            wake: Wake::default(),
            connection,
            link,
            address: address.clone(),
            deadlines: options.deadlines,
            message_limit: None,
            key: None,
        })
    }

    /// The same; receipts and requests that are published on it are signed, if there is a key.
    #[must_use]
    pub fn signing_with(mut self, key: Option<SigningKey>) -> Self {
        self.key = key;
        self
    }

    /// Whether the connection is still up, as far as is known without asking the broker.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.status().connected() && !self.link.is_broken()
    }

    /// The largest message the broker takes, in bytes, if it has refused a larger one on this connection.
    /// Before that nobody can know: AMQP does not tell.
    #[must_use]
    pub fn message_limit(&self) -> Option<u64> {
        self.message_limit
    }

    /// The login, and so the `user_id` of what is published here.
    #[must_use]
    pub fn user(&self) -> &str {
        self.address.user()
    }

    /// Says goodbye, briefly. Nothing depends on the answer: every call that returned `Ok` had already
    /// had its effect at the broker.
    pub fn close(mut self) {
        // While blocked, `lapin` would wait for ever to send it.
        if self.is_connected() && !self.link.is_blocked() {
            let goodbye = self.connection.close(200, ShortString::default());
            if let Err(trouble) = self.link.wait(self.deadlines.close, goodbye) {
                tracing::debug!(?trouble, "the broker did not answer the goodbye");
            }
        }
    }

    /// Does `work` on the publishing channel. If that fails, the next call gets a fresh channel: a
    /// confirmation still to come must not be taken for that of another message.
    pub(super) fn on_publishing_channel<T>(
        &mut self,
        deadline: std::time::Duration,
        work: impl AsyncFnOnce(Channel) -> lapin::Result<T>,
    ) -> Result<T, Trouble> {
        let channel = match self.publishing.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.link.wait(self.deadlines.rpc, async {
                let channel = self.connection.create_channel().await?;
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                Ok(channel)
            })?,
        };
        let done = self.link.wait(deadline, work(channel.clone()))?;
        self.publishing = Some(channel);
        Ok(done)
    }

    /// Does `work` on the queue's receiving channel. If that fails, the channel is given up and with it what
    /// was received there and not acknowledged; those messages come again.
    pub(super) fn on_receiving_channel<T>(
        &mut self,
        queue: ShortString,
        deadline: std::time::Duration,
        work: impl AsyncFnOnce(Channel) -> lapin::Result<T>,
    ) -> Result<T, Trouble> {
        let open = self.receiving.remove(&queue).filter(|channel| channel.status().connected());
        let channel = match open {
            Some(channel) => channel,
            None => self.link.wait(self.deadlines.rpc, self.connection.create_channel())?,
        };
        let done = self.link.wait(deadline, work(channel.clone()))?;
        self.receiving.insert(queue, channel);
        Ok(done)
    }

    /// Gives up a channel on which something was received: what is not acknowledged there comes again.
    pub(super) fn give_up(&mut self, channel: &Channel) {
        self.receiving.retain(|_, receiving| receiving.id() != channel.id());
        self.subscriptions.retain(|subscription| subscription.channel.id() != channel.id());
    }
}

/// Asks the broker something it answers to anybody. Requests on a channel are handled in order, so
/// whatever was sent before has arrived when the answer is there.
pub(super) async fn round_trip(channel: &Channel) -> lapin::Result<()> {
    channel.basic_qos(1, BasicQosOptions::default()).await
}
