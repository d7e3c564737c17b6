//! With the public key alone: files and whole archives.

use std::fs;
use std::process::Command;

use salesync::domain::{BundleId, SigningKey};
use serde_json::{Value, json};

use crate::company::Company;
use crate::delivery::{file, seal, text};
use crate::documents::text_of;
use crate::enrolled::{enrolled, key_of, public_key};
use crate::forge::{forged, signed_by, with_signature};

/// East and west have sealed three bundles each; the folder has all of them.
fn archive() -> (Company, String) {
    let company = enrolled(&["east", "west"]);
    company.branches.iter().for_each(|branch| seal(branch, 3));
    let folder = company.head_office.folder.join("copy");
    fs::create_dir(&folder).unwrap();
    for branch in &company.branches {
        let from = branch.folder.join("bundles").join(&branch.name);
        let copied = Command::new("cp").arg("-r").arg(from).arg(&folder).status().unwrap();
        assert!(copied.success());
    }
    (company, "copy".to_owned())
}

fn wrong(report: &Value) -> Vec<String> {
    let files = report["files"].as_array().unwrap();
    files.iter().filter_map(|line| line["error"].as_str().map(str::to_owned)).collect()
}

#[test]
fn verify_checks_every_signature_with_the_public_keys_alone() {
    let (company, folder) = archive();
    let (east, west, head) = (&company.branches[0], &company.branches[1], &company.head_office);
    let [easts, wests] = [public_key(east), public_key(west)];
    let plain = head.run(&["verify", &folder, "--json"]).ok().json();
    let of_first = &plain["files"][0];
    assert_eq!(
        (&of_first["signature"], &of_first["key_id"]),
        (&json!("unchecked"), &json!(easts.id().to_string()))
    );
    assert!(
        head.run(&["verify", &folder])
            .ok()
            .stdout()
            .contains(&format!("signed with key {}, not checked", easts.id()))
    );
    let both = head
        .run(&["verify", &folder, "--key", &easts.to_string(), "--key", &wests.to_string(), "--json"])
        .ok();
    assert!(both.json()["files"].as_array().unwrap().iter().all(|line| line["signature"] == "good"));
    // One key is not enough for both branches.
    let one = head.run(&["verify", &folder, "--key", &easts.to_string(), "--json"]).exits(65).json();
    let told = wrong(&one);
    assert_eq!((told.len(), told[0].contains("none of those that are known")), (3, true), "{told:?}");
    // With names, each branch has to sign with its own.
    file(head, "right.keys", format!("# ours\neast {easts}\nwest {wests} # the new one\n\n").as_bytes());
    head.run(&["verify", &folder, "--keys", "right.keys"]).ok();
    file(head, "crossed.keys", format!("east {wests}\nwest {easts}\n").as_bytes());
    assert_eq!(
        wrong(&head.run(&["verify", &folder, "--keys", "crossed.keys", "--json"]).exits(65).json()).len(),
        6
    );
    file(head, "half.keys", format!("east {easts}\n").as_bytes());
    let half = wrong(&head.run(&["verify", &folder, "--keys", "half.keys", "--json"]).exits(65).json());
    assert!(
        half.iter().all(|error| error.contains("no key of west was named")) && half.len() == 3,
        "{half:?}"
    );
    for bad in ["east", "east west ed25519:00", &format!("{easts}0"), &format!("East {easts}")] {
        file(head, "bad.keys", bad.as_bytes());
        head.run(&["verify", &folder, "--keys", "bad.keys"]).exits(2).says(&["bad.keys, line 1"]);
    }
    head.run(&["verify", &folder, "--key", "ed25519:1"]).exits(2).says(&["a public key is"]);
    head.run(&["verify", &folder, "--keys", "none.keys"]).exits(1);
}

/// Each file by itself may be sound: signed once by the branch, and in the wrong place now.
#[test]
fn verify_finds_a_signed_file_that_was_removed_or_exchanged() {
    let (company, folder) = archive();
    let (east, head) = (&company.branches[0], &company.head_office);
    let key = public_key(east).to_string();
    let path = east.bundles()[1].clone();
    let place = head.folder.join(&folder).join(path.strip_prefix(east.folder.join("bundles")).unwrap());
    let good = fs::read(&place).unwrap();
    let found = || {
        let report =
            head.run(&["verify", &format!("{folder}/east"), "--key", &key, "--json"]).exits(65).json();
        wrong(&report).join("; ")
    };
    fs::remove_file(&place).unwrap();
    assert!(found().contains("it is missing"), "{}", found());
    fs::write(&place, with_signature(&good, None)).unwrap();
    assert!(found().contains("it is not signed"));
    let others = signed_by(&SigningKey::generate().unwrap(), &good);
    fs::write(&place, others).unwrap();
    assert!(found().contains("none of those that are known"));
    let changed = forged(&path, |manifest| manifest.bundle_id = BundleId::generate());
    fs::write(&place, &changed).unwrap();
    assert!(found().contains("is wrong: it was changed"));
    // Even somebody who has the key cannot exchange one without all that follow.
    fs::write(&place, signed_by(&key_of(east), &changed)).unwrap();
    assert!(found().contains("one of the two was exchanged"), "{}", found());
    fs::write(&place, good).unwrap();
    head.run(&["verify", &format!("{folder}/east"), "--key", &key]).ok();
}

#[test]
fn inspect_shows_whose_signature_it_is() {
    let company = enrolled(&["east"]);
    let east = company.branch();
    seal(east, 1);
    let path = &east.bundles()[0];
    let id = public_key(east).id().to_string();
    let shown = east.run(&["inspect", text(path), "--json"]).ok().json();
    assert_eq!((&shown["is_signed"], &shown["key_id"]), (&json!(true), &json!(id)));
    assert!(
        east.run(&["inspect", text(path)]).ok().stdout().contains(&format!("with key {id}, not checked"))
    );
    let bare = file(east, "bare.bundle", &with_signature(&fs::read(path).unwrap(), None));
    let shown = east.run(&["inspect", text(&bare), "--json"]).ok().json();
    assert_eq!((&shown["is_signed"], &shown["key_id"]), (&json!(false), &Value::Null));
}

/// As `bundles/README.md` tells it, for somebody who has no salesync.
#[test]
fn openssl_verifies_a_signature_as_the_description_says() {
    let company = enrolled(&["east"]);
    let east = company.branch();
    seal(east, 1);
    let bundle = fs::read(&east.bundles()[0]).unwrap();
    file(east, "x.bundle", &bundle);
    let public = public_key(east).to_string();
    let readme = text_of("bundles/README.md");
    let block =
        readme.split("```sh\n").find(|block| block.contains("openssl")).unwrap().split("```").next().unwrap();
    let script =
        block.replace("ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c", &public);
    let run =
        |script: &str| Command::new("bash").args(["-ec", script]).current_dir(&east.folder).output().unwrap();
    let output = run(&script);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && printed.contains("Signature Verified Successfully"),
        "{printed}{output:?}"
    );
    let id = public_key(east).id().to_string();
    assert_eq!(printed.matches(&id).count(), 2, "the key's id, as computed and as in the file: {printed}");
    let changed = forged(&east.bundles()[0], |manifest| manifest.bundle_id = BundleId::generate());
    file(east, "x.bundle", &changed);
    assert!(!run(&script).status.success());
}
