//! What the private `RabbitMQ` promises.

use std::fs;
use std::future::Future;
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use salesync::sandbox::{BrokerServer, Definitions, Sandbox, wait_until};

const QUEUE: &str = "salesync.bundles.east";

/// Runs one conversation with the broker, with a deadline.
fn within_a_minute<T>(talk: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, lapin::Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_mins(1), talk).await.expect("the broker answers within a minute")
    })
}

async fn open(url: &str) -> Result<(Connection, Channel), lapin::Error> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

async fn declare_quorum_queue(channel: &Channel, name: &str) -> Result<(), lapin::Error> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}

/// Publishes a persistent message to the queue and waits for the confirm.
async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Result<bool, lapin::Error> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
    Ok(sent.await?.is_ack())
}

#[test]
fn every_virtual_host_is_open_as_soon_as_the_broker_has_started() {
    let sandbox = Sandbox::new().unwrap();
    let vhosts = ["salesync", "/", "a b/ä%"];
    let definitions = Definitions::with_vhosts(vhosts).with_branch("salesync", "east", "secret");
    let broker = BrokerServer::start(&sandbox, "broker", &definitions).unwrap();
    for vhost in vhosts {
        within_a_minute(open(&broker.url(vhost))).unwrap();
    }
    within_a_minute(open(&broker.url_for("east", "secret", "salesync"))).unwrap();
    assert!(within_a_minute(open(&broker.url_for("east", "secret", "/"))).is_err());
    assert!(within_a_minute(open(&broker.url_for("east", "wrong", "salesync"))).is_err());
    assert!(within_a_minute(open(&broker.url("undeclared"))).is_err());

    let policies = broker.control(&["list_policies", "-p", "a b/ä%"]).unwrap();
    assert!(policies.contains("salesync-bundles"), "{policies}");
    let refused = broker.control(&["no_such_command"]).unwrap_err().to_string();
    assert!(refused.contains("no_such_command") && refused.contains("command:"), "{refused}");
}

#[test]
fn a_branch_publishes_under_its_own_name_only() {
    let sandbox = Sandbox::new().unwrap();
    let definitions = Definitions::with_vhosts(["salesync"]).with_branch("salesync", "east", "secret");
    let broker = BrokerServer::start(&sandbox, "broker", &definitions).unwrap();
    let publish_as_east = async |routing_key: &str| {
        let (_connection, channel) = open(&broker.url_for("east", "secret", "salesync")).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = BasicPublishOptions::default();
        let bundles = "salesync.bundles".into();
        let sent =
            channel.basic_publish(bundles, routing_key.into(), options, b"x", BasicProperties::default());
        Ok::<_, lapin::Error>(sent.await?.await?.is_ack())
    };
    within_a_minute(async {
        let (_connection, channel) = open(&broker.url("salesync")).await?;
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let bundles = "salesync.bundles".into();
        channel.exchange_declare(bundles, ExchangeKind::Topic, options, FieldTable::default()).await?;
        assert!(publish_as_east("east").await?);
        let refused = publish_as_east("west").await.unwrap_err().to_string();
        assert!(refused.contains("ACCESS_REFUSED") || refused.contains("403"), "{refused}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_rejected_bundle_is_dead_lettered_and_a_confirmed_one_survives_a_kill() {
    let sandbox = Sandbox::new().unwrap();
    let definitions = Definitions::with_vhosts(["salesync"]);
    let mut broker = BrokerServer::start(&sandbox, "broker", &definitions).unwrap();
    let (port, url) = (broker.port(), broker.url("salesync"));
    within_a_minute(async {
        let (_connection, channel) = open(&url).await?;
        declare_dead_letters(&channel).await?;
        declare_quorum_queue(&channel, QUEUE).await?;
        assert!(publish(&channel, QUEUE, b"bad").await?);
        let message = channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await?.unwrap();
        message.reject(BasicRejectOptions { requeue: false }).await?;
        assert!(publish(&channel, QUEUE, b"good").await?);
        Ok(())
    })
    .unwrap();
    assert_eq!(take(&url, "salesync.dead"), b"bad");

    broker.record_queues().unwrap();
    broker.kill();
    assert!(within_a_minute(open(&url)).is_err());
    broker.start_again().unwrap();
    assert_eq!(broker.port(), port);
    assert_eq!(take(&url, QUEUE), b"good");
}

async fn declare_dead_letters(channel: &Channel) -> Result<(), lapin::Error> {
    let (name, durable) = ("salesync.dead", ExchangeDeclareOptions { durable: true, ..Default::default() });
    channel.exchange_declare(name.into(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
    declare_quorum_queue(channel, name).await?;
    let options = QueueBindOptions::default();
    channel.queue_bind(name.into(), name.into(), "".into(), options, FieldTable::default()).await
}

/// Takes the next message from a queue, where it may not have arrived yet.
fn take(url: &str, queue: &str) -> Vec<u8> {
    wait_until(Duration::from_secs(30), "a message", || {
        let message = within_a_minute(async {
            let (_connection, channel) = open(url).await?;
            channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await
        });
        Ok(message.unwrap().map(|message| message.delivery.data))
    })
    .unwrap()
}

#[test]
fn a_broker_that_cannot_start_says_how_it_was_called_and_shows_its_log() {
    let sandbox = Sandbox::new().unwrap();
    let mut broker = BrokerServer::start(&sandbox, "broker", &Definitions::with_vhosts(["v"])).unwrap();
    broker.kill();
    fs::write(sandbox.path().join("broker/rabbitmq.conf"), "no_such_setting = 1\n").unwrap();

    let text = broker.start_again().unwrap_err().to_string();
    let log = sandbox.path().join("broker/node.log").display().to_string();
    for part in ["starting a private RabbitMQ server", "bin/rabbitmq-server", &log, "no_such_setting"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}
