//! Workers, and the one who gives them work, lose their connections.

use postgres::NoTls;
use salesync::database::{Lock, session, share_work, take_lock};
use salesync::domain::Kind;
use salesync::sandbox::wait_until;

use super::{LIMIT, STUCK, applied, comes_to, ends_well, held_up, with_a_bundle_of_each};
use crate::company::Node;
use crate::servers::control_broker;

/// Ends the sessions of a name, once they wait for a lock or where they stand.
fn end_sessions(head: &Node, condition: &str) {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}"
    );
    assert_eq!(head.value(&sql), "1", "{condition}");
}

#[test]
fn a_worker_whose_session_is_ended_in_the_middle_tries_again_while_the_others_go_on() {
    for command in [&["apply", "--workers", "2"][..], &["apply", "--workers", "2", "--follow"]] {
        let (company, locks, applying) = held_up(&["east", "west"], &["east"], command);
        let head = &company.head_office;
        end_sessions(head, "application_name = 'salesync apply worker' AND wait_event_type = 'Lock'");
        comes_to(head, &applied(&["west"]), "2");
        // It is back.
        comes_to(head, STUCK, "1");
        drop(locks);
        comes_to(head, &applied(&["east"]), "2");
        ends_well(applying, command);
        company.assert_equal("public.sales");
        assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
    }
}

#[test]
fn what_workers_have_done_while_the_broker_was_lost_is_a_duplicate_the_next_time() {
    let both = ["east", "west"];
    let (company, locks, applying) = held_up(&both, &both, &["apply", "--json", "--workers", "2"]);
    let head = &company.head_office;
    let vhost = company.broker_url.rsplit('/').next().unwrap();
    control_broker(&["close_all_connections", "--vhost", vhost, "a test"]);
    let mut broker = company.broker();
    wait_until(LIMIT, "the messages to be back", || {
        Ok((broker.queue_depth("east")? == Some(1) && broker.queue_depth("west")? == Some(1)).then_some(()))
    })
    .unwrap();
    drop(locks);
    let run = applying.ends().exits(69);
    // Told, whatever the broker does.
    let told = run.json()["applied"].as_array().unwrap().len();
    assert_eq!(head.value(&applied(&["east", "west"])), (2 + told).to_string());
    let report = head.run(&["apply", "--json"]).ok().json();
    assert_eq!(report["duplicates"].as_u64(), Some(told as u64));
    assert_eq!(report["applied"].as_array().unwrap().len(), 2 - told);
    company.assert_equal("public.sales");
    let unsent = "SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL";
    assert_eq!(head.value(unsent), "0");
}

#[test]
fn a_message_that_cannot_be_read_costs_the_connection_and_the_workers_bundles_nothing() {
    let all = ["bad", "east", "west"];
    let (company, mut locks, applying) = held_up(&all, &all, &["apply", "--json", "-v", "--workers", "3"]);
    let head = &company.head_office;
    let vhost = company.broker_url.rsplit('/').next().unwrap();
    forge_unreadable(vhost, "bad");
    drop(locks.remove(0));
    applying.has_said("connecting to the broker again");
    drop(locks);
    let run = applying.ends().exits(65).says(&["cannot be read"]);
    let report = run.json();
    assert_eq!(report["applied"].as_array().unwrap().len(), 3, "{report}");
    company.assert_equal("public.sales");
    assert_eq!(head.value("SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL"), "0");
    // What the others had came again on the new connection, and was answered in the same run.
    let mut broker = company.broker();
    for name in ["east", "west"] {
        assert_eq!(broker.queue_depth(name).unwrap(), Some(0), "{name}: {report}");
    }
}

/// Puts a message into a queue whose properties no client library can read.
fn forge_unreadable(vhost: &str, branch: &str) {
    let forge = format!(
        r#"rabbit_basic:publish(rabbit_basic:delivery(false, false,
            rabbit_basic:message(rabbit_misc:r(<<"{vhost}">>, exchange, <<"salesync.bundles">>), <<"{branch}">>,
            [{{message_id, <<255, 254>>}}, {{delivery_mode, 2}}], <<"body">>), undefined))."#
    );
    control_broker(&["eval", &forge]);
}

#[test]
fn nobody_else_begins_while_workers_go_on_whose_leader_has_lost_the_lock() {
    let (company, locks, applying) = held_up(&["east", "west"], &["east"], &["apply", "--workers", "2"]);
    let head = &company.head_office;
    end_sessions(head, "application_name = 'salesync apply'");
    for other in [&["apply"][..], &["replay", "bundles"]] {
        head.run(other).exits(75).says(&["salesync apply worker (server process"]);
    }
    drop(locks);
    applying.ends().exits(69);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_worker_does_not_begin_when_its_leader_has_lost_the_lock() {
    let company = with_a_bundle_of_each(&["east"]);
    let connect = || postgres::Client::connect(&company.head_office.database_url, NoTls).unwrap();
    let (mut leader, mut other, mut worker) = (connect(), connect(), connect());
    take_lock(&mut leader, Lock::Apply).unwrap();
    let first = session(&mut leader).unwrap();
    share_work(&mut worker, first).unwrap();
    // As long as the worker is there, nobody gets the lock, nor a part of it.
    drop(leader);
    assert_eq!(take_lock(&mut other, Lock::Apply).unwrap_err().kind(), Kind::Postponed);
    drop(worker);
    take_lock(&mut connect(), Lock::Apply).unwrap();
    take_lock(&mut other, Lock::Apply).unwrap();
    let mut late = connect();
    let failure = share_work(&mut late, first).unwrap_err();
    assert_eq!(failure.kind(), Kind::Unreachable, "{failure}");
    share_work(&mut connect(), session(&mut other).unwrap()).unwrap();
}
