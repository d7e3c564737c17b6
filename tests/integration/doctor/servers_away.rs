//! Servers that are away, or are not as they should be: what is theirs is told, and the rest is looked at all the same.

use std::net::TcpListener;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use super::{Examined, close_configuration};
use crate::company::{Company, Node, SALES};
use crate::enrolled::{broker_of, enqueue_as, enrolled};
use crate::servers::as_branch;

/// Its configuration, with another broker or database.
fn with(node: &Node, broker_url: &str, database_url: &str) {
    let elsewhere =
        Node { name: node.name.clone(), folder: node.folder.clone(), database_url: database_url.to_owned() };
    elsewhere.configure("role = \"branch\"", broker_url, SALES);
    close_configuration(node);
}

#[test]
fn servers_that_are_away_or_silent_keep_no_other_check_waiting() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let nowhere = "amqp://east:east@127.0.0.1:1/none";
    with(east, nowhere, &east.database_url);
    let away = Examined::at(east, 69);
    away.says("broker.connection", "failed", "nothing listens there", "is the broker running");
    away.says("broker.publish", "note", "not checked: see broker.connection", "");
    away.says("capture.triggers", "ok", "", "").says("archive.space", "ok", "", "");

    with(east, &company.broker_url, "postgres://nobody@127.0.0.1:1/none");
    let away = Examined::at(east, 69);
    away.says(
        "database.connection",
        "failed",
        "connecting to postgres://nobody@127.0.0.1:1/none",
        "check that the server runs",
    );
    away.says("capture.triggers", "note", "not checked: see database.connection", "");
    away.says("broker.publish", "ok", "", "");

    // Both accept, and never say a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let (broker, database) =
        (format!("amqp://a:b@127.0.0.1:{port}/x"), format!("postgres://nobody@127.0.0.1:{port}/x"));
    with(east, &broker, &database);
    let away = Examined::at(east, 69);
    away.says("database.connection", "failed", "no answer within", "alive");
    away.says("broker.connection", "failed", "did not answer within", "");
    away.says("archive.folder", "ok", "", "");

    let wrong = company.broker_url.replace("sandbox@", "wrong@");
    with(east, &wrong, &east.database_url);
    Examined::at(east, 77).says(
        "broker.connection",
        "failed",
        "Login was refused",
        "check user and password",
    );
}

/// Does this at the broker as somebody who may do everything.
fn at_broker(company: &Company, queue: &str, is_made_anew: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let connection =
            Connection::connect(&company.broker_url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
        if is_made_anew {
            let (options, arguments) = (QueueDeclareOptions::durable(), FieldTable::default());
            channel.queue_declare(queue.into(), options, arguments).await.unwrap();
        }
        connection.close(200, "".into()).await.unwrap();
    });
}

#[test]
fn what_is_wrong_at_the_broker_is_found_and_nothing_is_left_there() {
    let company = enrolled(&["east", "west"]);
    let (east, head) = (&company.branches[0], &company.head_office);
    [east, head].into_iter().for_each(close_configuration);

    // Its own login may do nothing else; head office's may do everything that a branch should not.
    Examined::at(east, 0).says("broker.rights", "ok", "east may do nothing that a branch does not need", "");
    let own = std::fs::read_to_string(east.folder.join("salesync.toml")).unwrap();
    let file = east.folder.join("salesync.toml");
    let east_url = as_branch(&company.broker_url, "east");
    std::fs::write(&file, own.replace(&east_url, &company.broker_url)).unwrap();
    Examined::at(east, 0).says(
        "broker.rights",
        "note",
        "may also declare and delete queues, publish bundles under another branch's name, publish receipts, \
         publish into any queue",
        "set_topic_permissions",
    );
    // Another branch's login may not publish for it, nor read its answers.
    let west_url = as_branch(&company.broker_url, "west");
    std::fs::write(&file, own.replace(&east_url, &west_url)).unwrap();
    let other = Examined::at(east, 77);
    other.says("broker.publish", "failed", "ACCESS_REFUSED", "right");
    other.says("broker.queues", "failed", "ACCESS_REFUSED", "right");
    std::fs::write(&file, &own).unwrap();
    let mut broker = company.broker();
    for branch in ["east", "west"] {
        assert_eq!(broker.queue_depth(branch).unwrap(), Some(0));
        assert!(broker.next_receipt(branch).unwrap().is_none());
    }
    assert!(broker.next_dead().unwrap().is_none());

    enqueue_as(&company, "west", b"no bundle");
    head.run(&["apply"]).exits(3);
    Examined::at(head, 3).says("broker.dead-letters", "warning", "1 message in salesync.dead", "purge_queue");

    at_broker(&company, "salesync.receipts.east", true);
    Examined::at(head, 3).says(
        "broker.queues",
        "warning",
        "salesync.receipts.east is no durable quorum queue",
        "salesync init",
    );
    at_broker(&company, "salesync.receipts.east", false);
    Examined::at(east, 78).says(
        "broker.queues",
        "failed",
        "there is no queue salesync.receipts.east",
        "salesync init",
    );
    drop(broker_of(&company, "east"));
}
