//! Who has said something is proven by a signature, and what nobody has signed changes nothing.

mod answers;
mod keys;
mod offline;
mod times;

use std::fs;

use salesync::broker::OutgoingBundle;
use salesync::domain::{BundleId, Kind, Signable, Signature, SigningKey};
use serde_json::json;

use crate::company::{Company, Node, SALES_2021};
use crate::delivery::{enqueue, file, manifest_of, rejection, seal, text};
use crate::enrolled::{archived, broker_of, enqueue_as, enrolled, key_of, know_branches, public_key};
use crate::forge::{forged, signed_by, with_signature};
use crate::servers::fresh_database;

#[test]
fn a_company_that_signs_goes_on_as_any_other() {
    let company = enrolled(&["east", "west"]);
    let (east, head) = (&company.branches[0], &company.head_office);
    east.run_with(&["import", "-"], SALES_2021.as_bytes()).ok();
    company.branches[1].sell("Ink");
    company.sync();
    company.assert_equal("public.sales");
    let taken = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!((&taken["receipts"], &taken["refused"]), (&1.into(), &0.into()));
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    // Who has sealed and answered what is on record at both ends.
    let id = public_key(east).id().to_string();
    assert_eq!(head.value("SELECT key_id FROM salesync.bundle WHERE branch = 'east'"), id);
    let signature = east.value("SELECT signature FROM salesync.receipt");
    let body = east.value("SELECT body FROM salesync.receipt");
    let signature = Signature::from_text(&signature).unwrap();
    assert!(public_key(head).has_signed(Signable::Receipt, body.as_bytes(), &signature));
}

/// A bundle of east that was sealed, and what somebody makes of it: each with what head office must say.
fn forgeries(company: &Company) -> Vec<(Vec<u8>, String)> {
    let (east, west) = (&company.branches[0], &company.branches[1]);
    let path = &east.bundles()[0];
    let good = fs::read(path).unwrap();
    let (id, wests, stranger) = (public_key(east).id(), key_of(west), SigningKey::generate().unwrap());
    let changed = forged(path, |manifest| manifest.bundle_id = BundleId::generate());
    let mut bent = key_of(east).sign(Signable::Manifest, b"{}").to_bytes();
    bent[70] ^= 1;
    vec![
        (with_signature(&good, None), "it is not signed".to_owned()),
        (changed, format!("its signature with key {id} is wrong")),
        (
            with_signature(&good, Some(Signature::from_bytes(&bent))),
            format!("signature with key {id} is wrong"),
        ),
        (
            signed_by(&wests, &good),
            format!("it is signed with key {}, which is west's and not east's", wests.public().id()),
        ),
        (signed_by(&stranger, &good), format!("key {}, which is none of east's", stranger.public().id())),
    ]
}

#[test]
fn what_an_enrolled_branch_has_not_signed_is_refused_by_queue_by_file_and_from_the_archive() {
    let company = enrolled(&["east", "west"]);
    let (east, head) = (&company.branches[0], &company.head_office);
    seal(east, 1);
    let path = &east.bundles()[0];
    let (manifest, _) = manifest_of(path);
    let place = head.folder.join(format!("bundles/east/{}/0000000001.bundle", manifest.epoch));
    let incidents =
        || head.value("SELECT count(*) FROM salesync.incident WHERE kind = 'rejected' AND is_unproven");
    let mut expected = 0;
    let mut is_refused = |arguments: &[&str], words: &str| {
        let reason = rejection(head, arguments);
        assert!(reason.contains(words), "{arguments:?}: {reason}");
        expected += u32::from(!arguments.contains(&"--check"));
        assert_eq!(incidents(), expected.to_string(), "{arguments:?}");
    };
    for (number, (forgery, words)) in forgeries(&company).into_iter().enumerate() {
        let name = format!("{number}.bundle");
        let stick = file(head, &name, &forgery);
        is_refused(&["apply", "--json", "--check", text(&stick)], &words);
        is_refused(&["apply", "--json", text(&stick)], &words);
        fs::create_dir(head.folder.join("stick")).unwrap();
        fs::rename(&stick, head.folder.join("stick").join(&name)).unwrap();
        is_refused(&["replay", "--json", "stick"], &words);
        fs::remove_dir_all(head.folder.join("stick")).unwrap();
        enqueue_as(&company, "east", &forgery);
        is_refused(&["apply", "--json"], &words);
    }
    assert_eq!(head.value("SELECT count(*) FROM salesync.bundle"), "0");
    assert_eq!(
        head.value("SELECT count(*) FROM salesync.receipt WHERE outcome = 'rejected'"),
        expected.to_string()
    );
    // The branch is told, and the messages are kept.
    let told = east.run(&["bundle"]).exits(3).stdout();
    assert!(told.contains("head office has rejected bundle 1: it is"), "{told}");
    assert_eq!(company.broker().next_dead().unwrap().unwrap().headers.reason.unwrap(), "it is not signed");
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    assert!(place.exists());
}

/// The next ones in turn lie in head office's own archive, and somebody can write there.
#[test]
fn what_is_exchanged_in_head_offices_own_archive_is_refused_and_missing_again() {
    let company = enrolled(&["east", "west"]);
    let (east, head) = (&company.branches[0], &company.head_office);
    seal(east, 3);
    let files = east.bundles();
    head.run(&["apply", text(&files[1]), text(&files[2])]).exits(3);
    let second = &archived(head)[0];
    let stripped = with_signature(&fs::read(second).unwrap(), None);
    fs::write(second, stripped).unwrap();
    let report = head.run(&["apply", "--json", text(&files[0])]).exits(3).json();
    assert_eq!(report["applied"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["rejected"][0]["reason"], "it is not signed");
    let status = || head.run(&["status", "--json"]).ok().json()["branches"][0].take();
    assert_eq!((&status()["missing"], &status()["held"]), (&json!([2]), &json!([3])));
    // So the branch is asked for it.
    head.run(&["apply"]).exits_with_any(&[0, 3]);
    east.run(&["bundle"]).exits_with_any(&[0, 3]);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

/// The same where head office has lost its database, and all is applied from the archive.
#[test]
fn a_replay_takes_only_what_the_branch_has_signed() {
    let mut company = enrolled(&["east", "west"]);
    for product in ["Ink", "Pens", "Paper"] {
        company.branches[0].sell(product);
        company.sync();
    }
    let path = archived(&company.head_office)[1].clone();
    let good = fs::read(&path).unwrap();
    let key = key_of(&company.branches[1]);
    fs::write(&path, signed_by(&key, &good)).unwrap();
    company.head_office.database_url = fresh_database();
    know_branches(&company, &sections(&company));
    let head = &company.head_office;
    let report = head.run(&["replay", "bundles", "--json"]).exits(3).json();
    let applied: Vec<&str> =
        report["applied"].as_array().unwrap().iter().map(|line| line["branch"].as_str().unwrap()).collect();
    assert_eq!(applied, ["east", "west"], "{report}");
    let reason = report["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("which is west's and not east's"), "{reason}");
    // With the right one back in its place it goes on.
    fs::write(&path, good).unwrap();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

/// Head office's sections about all branches.
fn sections(company: &Company) -> String {
    let section =
        |branch: &Node| format!("[branches.{}]\npublic_key = \"{}\"\n", branch.name, public_key(branch));
    company.branches.iter().map(section).collect()
}

#[test]
fn a_message_that_the_branchs_own_broker_user_has_not_published_is_refused() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    seal(east, 1);
    let good = fs::read(&east.bundles()[0]).unwrap();
    enqueue(&company, "east", &good);
    let reason = rejection(head, &["apply", "--json"]);
    assert_eq!(reason, "the broker's user \"salesync\" has published it, and not east");
    publish_without_user(&company, "east", &good);
    let reason = rejection(head, &["apply", "--json"]);
    assert_eq!(reason, "its message names no user (user_id), so east may not have published it");
    // Carried by hand the same bundle is good: its signature is enough.
    head.run(&["apply", text(&east.bundles()[0])]).ok();
    company.assert_equal("public.sales");
    // And once it is applied it is a duplicate, whoever sends it.
    enqueue(&company, "east", &good);
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["duplicates"], 1);
}

/// As a program of somebody's own would: the broker asks for no `user_id`.
fn publish_without_user(company: &Company, branch: &str, payload: &[u8]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let url = company.broker_url.clone();
        let connection =
            lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await.unwrap();
        let sent = channel.basic_publish(
            "salesync.bundles".into(),
            branch.into(),
            lapin::options::BasicPublishOptions::default(),
            payload,
            lapin::BasicProperties::default(),
        );
        sent.await.unwrap().await.unwrap();
        connection.close(200, "".into()).await.unwrap();
    });
}

#[test]
fn a_branch_cannot_publish_as_another_nor_read_anothers_answers() {
    let company = enrolled(&["east", "west"]);
    let mut east = broker_of(&company, "east");
    let sent = east.publish_bundle(&OutgoingBundle {
        branch: "west",
        bundle_id: "x",
        epoch: "none",
        sequence: 1,
        manifest_sha256: "none",
        payload: b"x",
    });
    assert_eq!(sent.unwrap_err().kind(), Kind::Permission);
    assert_eq!(broker_of(&company, "east").next_receipt("west").unwrap_err().kind(), Kind::Permission);
    assert!(broker_of(&company, "east").next_receipt("east").unwrap().is_none());
}

/// What is not proven to be the branch's must not stand in the way of what is.
#[test]
fn a_forged_copy_harms_neither_a_held_bundle_nor_an_applied_one_nor_what_was_asked_for() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    seal(east, 3);
    let files = east.bundles();
    let contents: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    // The third waits for the second, which is asked for.
    head.run(&["apply", text(&files[0]), text(&files[2])]).exits(3);
    head.run(&["apply"]).exits_with_any(&[0, 3]);
    let state = || {
        let status = head.run(&["status", "--json"]).ok().json()["branches"][0].take();
        (status["held"].to_string(), status["missing"].to_string(), status["requests"].to_string())
    };
    let before = state();
    assert_eq!((before.0.as_str(), before.1.as_str()), ("[3]", "[2]"));
    for content in &contents[1..] {
        enqueue_as(&company, "east", &with_signature(content, None));
        assert_eq!(rejection(head, &["apply", "--json"]), "it is not signed");
        assert_eq!(state(), before);
    }
    let answered = "SELECT string_agg(outcome, ',' ORDER BY receipt_id) FROM salesync.receipt";
    assert_eq!(head.value(answered), "applied,held,rejected", "a copy of what is held is not answered");
    // A copy of an applied one is a duplicate, and does not take its place in the archive.
    enqueue_as(&company, "east", &with_signature(&contents[0], None));
    assert_eq!(head.run(&["apply", "--json"]).exits_with_any(&[0, 3]).json()["duplicates"], 1);
    assert!(fs::read(&archived(head)[0]).unwrap() == contents[0], "the archive has another");
    east.run(&["bundle"]).exits_with_any(&[0, 3]);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

/// Head office was given the wrong key of a branch.
#[test]
fn what_was_refused_for_a_wrong_key_is_tried_again_with_the_right_one() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let stranger = SigningKey::generate().unwrap().public();
    know_branches(&company, &format!("[branches.east]\npublic_key = \"{stranger}\"\n"));
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    assert!(rejection(head, &["apply", "--json"]).contains("which is none of east's"));
    head.run(&["retry", "east"]).ok().says(&["is not tried again", "none of east's"]);
    know_branches(&company, &sections(&company));
    // A forgery that came later does not have its turn instead.
    let forgery = forged(&east.bundles()[0], |manifest| manifest.bundle_id = BundleId::generate());
    head.run(&["apply", text(&file(head, "forged.bundle", &forgery))]).exits(3);
    head.run(&["retry", "east"]).ok();
    company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident WHERE resolved_at IS NULL"), "0");
}
