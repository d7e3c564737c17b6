//! What the broker's user of a branch may do, and that it may do nothing else.

use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use salesync::broker::{Broker, BrokerAddress, ConnectOptions};
use salesync::domain::BundleId;

use crate::company::Company;
use crate::forge::forged;
use crate::servers::{as_branch, fresh_vhost};

const BUNDLES: &str = "salesync.bundles";
const RECEIPTS: &str = "salesync.receipts";
const DEAD: &str = "salesync.dead";

/// Talks to the broker over a channel of its own: one that was refused something is closed.
fn talk<T>(url: &str, talk: impl AsyncFnOnce(Channel) -> Result<T, lapin::Error>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let talking = async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            talk(connection.create_channel().await?).await
        };
        tokio::time::timeout(Duration::from_mins(1), talking)
            .await
            .expect("the broker answers within a minute")
    });
    done.map_err(|error| error.to_string())
}

/// Publishes one message and waits until the broker has answered for it. True if a queue has it.
async fn send(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    properties: BasicProperties,
    payload: &[u8],
) -> Result<bool, lapin::Error> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent =
        channel.basic_publish(exchange.into(), routing_key.into(), options, payload, properties).await?;
    Ok(matches!(sent.await?, lapin::Confirmation::Ack(None)))
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    properties: BasicProperties,
) -> Result<bool, lapin::Error> {
    send(channel, exchange, routing_key, properties, b"x").await
}

fn is_refused<T>(url: &str, what: &str, talking: impl AsyncFnOnce(Channel) -> Result<T, lapin::Error>) {
    match talk(url, talking) {
        Ok(_) => panic!("east may {what}"),
        Err(why) => assert!(why.contains("ACCESS_REFUSED"), "{what}: {why}"),
    }
}

fn queue_of(exchange: &str, branch: &str) -> String {
    format!("{exchange}.{branch}")
}

#[test]
fn a_branch_can_send_its_own_bundles_and_read_its_own_answers_and_nothing_else() {
    let all = fresh_vhost();
    let east = as_branch(&all, "east");
    let mut head = Broker::connect(&BrokerAddress::parse(&all).unwrap(), &ConnectOptions::default()).unwrap();
    head.declare_topology(&["east", "west"]).unwrap();
    for branch in ["east", "west"] {
        head.publish_receipt(branch, "a bundle", b"applied").unwrap();
    }

    writes_nothing_else(&east);
    reads_nothing_else(&east);
    changes_nothing(&east);

    // What the broker permits besides, as docs/security.md says: to look how many wait elsewhere.
    let asked = talk(&east, async |channel| {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        channel.queue_declare(queue_of(BUNDLES, "west").as_str().into(), options, FieldTable::default()).await
    });
    assert_eq!(
        asked.map(|queue| queue.message_count()),
        Ok(0),
        "the broker has become stricter: docs/security.md"
    );
    // Its own things it may still do, and nothing else has come or gone.
    let own = talk(&east, async |channel| {
        assert!(
            publish(&channel, BUNDLES, "east", BasicProperties::default().with_user_id("east".into()))
                .await?
        );
        let queue = queue_of(RECEIPTS, "east");
        channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await
    });
    assert!(own.unwrap().is_some());
    assert_eq!((head.queue_depth("east").unwrap(), head.queue_depth("west").unwrap()), (Some(1), Some(0)));
    assert!(head.next_receipt("west").unwrap().is_some());
    assert!(head.next_dead().unwrap().is_none());
}

fn writes_nothing_else(east: &str) {
    for (exchange, routing_key) in [
        (BUNDLES, "west"),
        (BUNDLES, "#"),
        (BUNDLES, "east.west"),
        (BUNDLES, ""),
        ("", "salesync.bundles.west"),
        ("", "salesync.bundles.east"),
        ("", "salesync.receipts.west"),
        ("", DEAD),
        (DEAD, ""),
        (RECEIPTS, "west"),
        (RECEIPTS, "east"),
        ("amq.topic", "west"),
    ] {
        is_refused(east, &format!("publish to {exchange:?} for {routing_key:?}"), async |channel| {
            publish(&channel, exchange, routing_key, BasicProperties::default()).await
        });
    }
    let as_west = talk(east, async |channel| {
        publish(&channel, BUNDLES, "east", BasicProperties::default().with_user_id("west".into())).await
    });
    let why = as_west.expect_err("east may publish as west");
    assert!(why.contains("PRECONDITION_FAILED") && why.contains("user_id"), "{why}");
}

fn reads_nothing_else(east: &str) {
    for queue in
        [queue_of(RECEIPTS, "west"), queue_of(BUNDLES, "east"), queue_of(BUNDLES, "west"), DEAD.into()]
    {
        is_refused(east, &format!("get from {queue}"), async |channel| {
            channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await
        });
        is_refused(east, &format!("consume from {queue}"), async |channel| {
            let options = BasicConsumeOptions::default();
            channel.basic_consume(queue.as_str().into(), "thief".into(), options, FieldTable::default()).await
        });
        is_refused(east, &format!("purge {queue}"), async |channel| {
            channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await
        });
    }
}

fn changes_nothing(east: &str) {
    for queue in ["mine", "salesync.bundles.north", "salesync.receipts.east", "salesync.bundles.east", DEAD] {
        is_refused(east, &format!("declare the queue {queue}"), async |channel| {
            channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default()).await
        });
        is_refused(east, &format!("delete the queue {queue}"), async |channel| {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await
        });
        is_refused(east, &format!("bind the queue {queue}"), async |channel| {
            let options = QueueBindOptions::default();
            channel
                .queue_bind(queue.into(), BUNDLES.into(), "west".into(), options, FieldTable::default())
                .await
        });
        is_refused(east, &format!("unbind the queue {queue}"), async |channel| {
            channel.queue_unbind(queue.into(), BUNDLES.into(), "east".into(), FieldTable::default()).await
        });
    }
    is_refused(east, "declare an exclusive queue", async |channel| {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare("".into(), options, FieldTable::default()).await
    });
    for exchange in ["mine", BUNDLES, RECEIPTS, DEAD] {
        is_refused(east, &format!("declare the exchange {exchange}"), async |channel| {
            let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
            channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, none).await
        });
        is_refused(east, &format!("delete the exchange {exchange}"), async |channel| {
            channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await
        });
        is_refused(east, &format!("bind {exchange} to the bundles"), async |channel| {
            let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
            channel.exchange_bind(exchange.into(), BUNDLES.into(), "west".into(), options, none).await
        });
    }
}

/// The broker asks for the right to the routing key, and not to further ones in the headers.
#[test]
fn what_a_branch_slips_into_anothers_queue_is_not_taken_as_the_others_even_without_signatures() {
    let company = Company::of_sales(&["east", "west"]);
    let (west, head) = (&company.branches[1], &company.head_office);
    west.sell("Ink");
    west.run(&["bundle", "--offline"]).ok();
    let forged = forged(&west.bundles()[0], |manifest| manifest.bundle_id = BundleId::generate());
    let mut headers = FieldTable::default();
    let keys = FieldArray::from(vec![AMQPValue::LongString("west".into())]);
    headers.insert("CC".into(), AMQPValue::FieldArray(keys));
    let sent = talk(&as_branch(&company.broker_url, "east"), async |channel| {
        send(&channel, BUNDLES, "east", BasicProperties::default().with_headers(headers), &forged).await
    });
    assert_eq!(sent, Ok(true), "the broker has become stricter: docs/security.md");
    assert_eq!(company.broker().queue_depth("west").unwrap(), Some(1));
    let rejected = head.run(&["apply", "--json"]).exits(3).json()["rejected"].clone();
    let reasons: Vec<_> =
        rejected.as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert!(
        reasons.len() == 2 && reasons.contains(&"it was published as \"east\", and not as west"),
        "{reasons:?}"
    );
    // Nor is it later: what the broker has said of it is forgotten, and no signature says more.
    head.run(&["retry", "west"]).ok().says(&["is not tried again: nothing proves that west has sent it"]);
    assert_eq!(head.value("SELECT to_regclass('public.sales')"), "");
    west.run(&["bundle"]).exits_with_any(&[0, 3]);
    head.run(&["apply"]).ok();
    assert_eq!(head.rows("public.sales", "branch = 'west'"), west.rows("public.sales", "true"));
}
