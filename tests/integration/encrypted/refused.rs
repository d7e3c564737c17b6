//! What cannot be read is refused, each for what it is, and nothing is lost by that.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{IDENTITY, encrypt_to, read_with, reading_company};
use crate::company::Company;
use crate::delivery::{enqueue, file, rejection, text};
use crate::servers::fresh_database;

#[test]
fn without_any_key_messages_wait_and_with_a_wrong_one_they_are_put_aside() {
    let (company, recipient) = reading_company();
    let (east, head) = (company.branch(), &company.head_office);
    encrypt_to(&company, &[&recipient], "");
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    let path = &east.bundles()[0];
    let nothing_happened = || {
        assert_eq!(company.broker().queue_depth("east").unwrap(), Some(1));
        assert_eq!(head.value("SELECT count(*) FROM salesync.delivery"), "0");
        assert_eq!(head.bundles().len(), 0);
    };
    // Nobody has said where the key is.
    read_with(&company, "");
    let locked = ["it is encrypted, and there is no private key here", "[encryption]"];
    head.run(&["apply"]).exits(77).says(&locked);
    nothing_happened();
    head.run(&["apply", text(path)]).exits(77).says(&locked);
    head.run(&["apply", "--check", text(path)]).exits(77).says(&locked);
    head.run(&["replay", text(path.parent().unwrap())]).exits(77).says(&locked);
    nothing_happened();
    // It is not there, and then everybody may read it.
    read_with(&company, "identity = \"other.age\"\n");
    head.run(&["status"]).ok();
    head.run(&["apply"]).exits(78).says(&["it is encrypted", "other.age", "salesync keygen --encryption"]);
    let set_mode =
        |mode| fs::set_permissions(head.folder.join(IDENTITY), fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o640);
    read_with(&company, &format!("identity = \"{IDENTITY}\"\n"));
    head.run(&["apply"]).exits(77).says(&["others than its owner may use it (mode 0640)", "chmod 600"]);
    nothing_happened();
    set_mode(0o600);
    // Another one is there. A person who brings a file is told; a message is put aside.
    head.run(&["keygen", "--encryption", "--out", "other.age"]).ok();
    read_with(&company, "identity = \"other.age\"\n");
    let none_fits = "it is encrypted, and to none of the 1 private keys that are known here";
    head.run(&["apply", text(path)]).exits(77).says(&[none_fits]);
    head.run(&["verify", text(path)]).exits(77).says(&[none_fits]);
    nothing_happened();
    assert_eq!(rejection(head, &["apply", "--json"]), none_fits);
    assert_eq!(company.broker().next_dead().unwrap().unwrap().headers.reason.unwrap(), none_fits);
    let aside = head.bundles().remove(0);
    assert!(fs::read(&aside).unwrap() == fs::read(path).unwrap(), "another file was put aside");
    // The next one meets the same, and so does something that is no bundle at all.
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    enqueue(&company, "east", b"nothing");
    assert_eq!(head.run(&["apply", "--json"]).exits(3).json()["rejected"].as_array().unwrap().len(), 2);
    head.run(&["retry", "east"]).ok().says(&[none_fits]);
    // With both keys in the file it is readable after all.
    let both = [IDENTITY, "other.age"].map(|name| fs::read_to_string(head.folder.join(name)).unwrap());
    fs::write(head.folder.join("other.age"), both.concat()).unwrap();
    let told = head.run(&["keygen", "--encryption", "--public", "other.age"]).ok().stdout();
    assert_eq!((told.lines().count(), told.lines().next()), (2, Some(recipient.as_str())));
    let retried = head.run(&["retry", "east", "--json"]).ok().json();
    assert_eq!(retried["applied"].as_array().unwrap().len(), 2, "{retried}");
    company.assert_equal("public.sales");
    let open = "SELECT string_agg(detail, ' ') FROM salesync.incident WHERE resolved_at IS NULL";
    assert!(!head.value(open).contains("encrypted"), "{}", head.value(open));
    // A key is never overwritten, nor what it is told.
    let refused = head.run(&["keygen", "--encryption", "--out", "other.age"]).exits(1);
    let said = refused.says(&["never overwritten"]).stderr();
    assert!(!said.contains("AGE-SECRET"), "{said}");
}

#[test]
fn an_encrypted_file_that_was_changed_is_refused_at_both_ends_and_harms_nothing() {
    let (company, recipient) = reading_company();
    let (east, head) = (company.branch(), &company.head_office);
    encrypt_to(&company, &[&recipient], "");
    for product in ["Ink", "Pens"] {
        east.sell(product);
        east.run(&["bundle", "--offline"]).ok();
    }
    let files = east.bundles();
    let [first, second] = [0, 1].map(|at| fs::read(&files[at]).unwrap());
    let header = first.windows(5).position(|bytes| bytes == b"\n--- ").unwrap() + 49;
    let mut flipped = first.clone();
    flipped[header + 500] ^= 1;
    let mut seal = first.clone();
    // Another of the characters that may stand there.
    seal[header - 10] = if seal[header - 10] == b'A' { b'B' } else { b'A' };
    for (name, bytes, words) in [
        ("flipped", &flipped[..], "its encrypted content was changed or cut short"),
        ("truncated", &first[..first.len() - 20], "its encrypted content was changed or cut short"),
        ("seal", &seal[..], "the header of the encryption is damaged"),
        ("headless", &first[header..], "is damaged, or this is no bundle"),
        ("begun", &first[..40], "the header of the encryption is damaged"),
    ] {
        let stick = file(head, &format!("{name}.bundle"), bytes);
        head.run(&["verify", text(&stick)]).exits(65);
        let report = head.run(&["apply", "--json", text(&stick)]).exits(65).json();
        let reason = report["rejected"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{name}: {reason}");
    }
    assert_eq!(head.value("SELECT count(*) FROM salesync.bundle"), "0");
    // The branch looks at what lay on its disk before it sends it, though it cannot read it.
    for bytes in [&flipped[..], &second[..], &first[..first.len() - 20], b"gone"] {
        fs::write(&files[0], bytes).unwrap();
        east.run(&["bundle"])
            .exits(65)
            .says(&["it is not the bundle that was recorded", "put the right file back"]);
        assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
    }
    fs::write(&files[0], &first).unwrap();
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    // A file of head office's archive that took another's place is found, too.
    let kept = head.bundles().into_iter().find(|path| path.ends_with("0000000001.bundle")).unwrap();
    fs::write(&kept, &second).unwrap();
    let verified = head.run(&["verify", text(&kept)]).exits(65).stdout();
    assert!(verified.contains("it is bundle 2, and not the one that its name says"), "{verified}");
}

/// From a day on head office takes nothing of a branch that anybody could have read; what came before is replayed.
#[test]
fn where_encryption_is_due_what_comes_without_is_refused() {
    let (mut company, recipient) = reading_company();
    let due = |company: &Company, from: &str| {
        let sections =
            format!("[branches.east]\nencrypted_from = {from}\n[encryption]\nidentity = \"{IDENTITY}\"\n");
        company.head_office.configure("role = \"head-office\"", &company.broker_url, &sections);
    };
    due(&company, "2100-01-01T00:00:00Z");
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    east.sell("Pens");
    company.sync();
    let now = head.value("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 millisecond', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')");
    due(&company, &now);
    east.sell("Paper");
    east.run(&["bundle"]).ok();
    let words = "it is not encrypted, and what comes of east has to be by now";
    assert_eq!(rejection(head, &["apply", "--json"]), words);
    assert_eq!(rejection(head, &["apply", "--json", text(&east.bundles()[2])]), words);
    encrypt_to(&company, &[&recipient], "");
    east.run(&["bundle", "--since", "all"]).exits_with_any(&[0, 3]);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    // What had come before lies in the archive, and can be replayed.
    company.head_office.database_url = fresh_database();
    due(&company, &now);
    let head = &company.head_office;
    head.run(&["init"]).ok();
    let applied = head.run(&["replay", "bundles", "--json"]).ok().json()["applied"].take();
    assert_eq!(applied.as_array().unwrap().len(), 3, "{applied}");
    company.assert_equal("public.sales");
}
