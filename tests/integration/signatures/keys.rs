//! Keys and their files: made once, for their owner only, and shown to nobody.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use crate::company::{Company, SALES};
use crate::delivery::file;
use crate::enrolled::{KEY, public_key};
use crate::servers::server_account;

#[test]
fn keygen_makes_a_key_for_its_owner_only_and_never_over_another_file() {
    let company = Company::new(&["east"], SALES);
    let east = company.branch();
    let made = east.run(&["keygen", "--out", KEY, "--json"]).ok().json();
    let path = east.folder.join(KEY);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let public = public_key(east);
    assert_eq!((&made["public_key"], &made["file"]), (&public.to_string().into(), &KEY.into()));
    assert_eq!(made["key_id"], public.id().to_string());
    assert_eq!(east.run(&["keygen", "--public", KEY]).ok().stdout(), format!("{public}\n"));
    let before = fs::read(&path).unwrap();
    east.run(&["keygen", "--out", KEY]).exits(1).says(&[
        "there is a file already",
        "never overwritten",
        "hint: ",
    ]);
    symlink("elsewhere.key", east.folder.join("link.key")).unwrap();
    east.run(&["keygen", "--out", "link.key"]).exits(1).says(&["there is a file already"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    let left: Vec<_> = fs::read_dir(&east.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    // Where the configuration says where, that is the place.
    east.run(&["keygen"]).exits(2).says(&["the configuration names no file", "--out"]);
    east.configure(
        "role = \"branch\"",
        &company.broker_url,
        &format!("{SALES}[signing]\nkey = \"its.key\"\n"),
    );
    east.run(&["keygen"]).ok();
    assert!(east.folder.join("its.key").exists());
    east.run(&["keygen", "--out", "nowhere/x.key"]).exits(1);
}

#[test]
fn a_key_that_others_may_have_read_or_that_is_none_signs_nothing_and_is_not_shown() {
    let company = Company::new(&["east"], &format!("{SALES}[signing]\nkey = \"{KEY}\"\n"));
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    east.sell("Ink");
    let path = east.folder.join(KEY);
    east.run(&["bundle"]).exits(78).says(&["reading the private key", "salesync keygen"]);
    east.run(&["keygen"]).ok();
    let pem = fs::read_to_string(&path).unwrap();
    let body = pem.lines().nth(1).unwrap().to_owned();
    for mode in [0o640, 0o604, 0o620, 0o777, 0o601] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let shown = format!("(mode {mode:04o})");
        east.run(&["bundle"]).exits(77).says(&["others than its owner may use it", &shown, "chmod 600"]);
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let (uid, _) = server_account();
    if uid != rustix_user() {
        // Root may read it all the same, and must not use it.
        chown(&path, Some(uid), None).unwrap();
        east.run(&["bundle"]).exits(77).says(&[&format!("it belongs to user {uid}")]);
        chown(&path, Some(0), None).unwrap();
    }
    for bad in [
        String::new(),
        body.clone(),
        pem.replace("PRIVATE", "PUBLIC"),
        pem.replace(&body, &body[4..]),
        "\u{ff}".into(),
    ] {
        fs::write(&path, &bad).unwrap();
        let said = east.run(&["bundle"]).exits(78).says(&["no Ed25519 private key in PKCS#8 PEM form"]);
        assert!(!format!("{}{}", said.stdout(), said.stderr()).contains(&body[8..24]), "{}", said.stderr());
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    east.run(&["bundle"]).exits(78).says(&["no Ed25519 private key"]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    east.run(&["bundle"]).exits(78).says(&["it is no file"]);
    fs::remove_dir(&path).unwrap();
    assert_eq!(
        east.value("SELECT count(*) FROM salesync.bundle"),
        "0",
        "something was sealed without its signature"
    );
    // The key itself is in nothing that is said, also when everything is.
    fs::write(&path, &pem).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let run = east.run(&["-vv", "bundle"]).ok();
    assert!(!format!("{}{}", run.stdout(), run.stderr()).contains(&body[8..24]));
    // One of OpenSSL's is as good.
    file(east, KEY, b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n-----END PRIVATE KEY-----\n");
    let public = east.run(&["keygen", "--public", KEY]).ok().stdout();
    assert_eq!(public, "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c\n");
}

fn rustix_user() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap())
}

#[test]
fn keys_in_the_configuration_that_cannot_be_meant_are_told() {
    let company = Company::new(&["east", "west"], SALES);
    let head = &company.head_office;
    head.run(&["keygen", "--out", KEY]).ok();
    let key = public_key(head);
    let says = |sections: String, words: &[&str]| {
        head.configure("role = \"head-office\"", &company.broker_url, &sections);
        head.run(&["status"]).exits(78).says(words);
    };
    says(format!("[branches.east]\npublic_key = \"{key}0\"\n"), &["a public key is `ed25519:` and 64"]);
    says("[branches.east]\npublic_key = \"ed25519:AAAA\"\n".to_owned(), &["a public key is"]);
    let both = format!("[branches.east]\npublic_key = \"{key}\"\n[branches.west]\npublic_key = \"{key}\"\n");
    says(both, &["is also that of east", "hint: every branch makes a key of its own"]);
    let twice = format!("[branches.east]\npublic_keys = [{{ key = \"{key}\" }}, {{ key = \"{key}\" }}]\n");
    says(twice, &["is there twice"]);
    let two_ways =
        format!("[branches.east]\npublic_key = \"{key}\"\npublic_keys = [{{ key = \"{key}\" }}]\n");
    says(two_ways, &["a public_key and also public_keys"]);
    let never = "not_before = \"2026-02-01T00:00:00Z\", revoked_at = 2026-01-01T00:00:00Z";
    says(
        format!("[branches.east]\npublic_keys = [{{ key = \"{key}\", {never} }}]\n"),
        &["revoked before it is valid"],
    );
    for bad in ["2026-01-01", "\"yesterday\"", "5", "2026-01-01T00:00:00"] {
        let keys = format!("[branches.east]\npublic_keys = [{{ key = \"{key}\", revoked_at = {bad} }}]\n");
        says(keys, &["a time is written 2026-11-21T18:00:00Z"]);
    }
    head.configure(
        "role = \"head-office\"",
        &company.broker_url,
        "[signing]\nkey = \"none.key\"\n[branches.east]\n[branches.west]\n",
    );
    // Without its key it says nothing to anybody.
    head.run(&["init"]).exits_with_any(&[0, 78]);
    head.run(&["apply"]).exits(78).says(&["reading the private key"]);
}
