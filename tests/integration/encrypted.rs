//! Bundles that only head office can read: on the line, on a stick, in both archives.

mod refused;

use std::fs;
use std::path::{Path, PathBuf};

use salesync::domain::Digest;
use walkdir::WalkDir;

use crate::company::{Company, Node, SALES};
use crate::delivery::text;
use crate::page::site::Site;
use crate::rebuild::new_machine;
use crate::servers::fresh_database;

/// Where head office's key is.
pub(super) const IDENTITY: &str = "head.age";
/// It cannot be compressed, so it stands in every bundle that has it and can be read.
const SECRET: &str = "Qx7#vK2!mZ9@wL4$";

/// A company whose head office can read what is encrypted, and the recipient that this takes.
pub(super) fn reading_company() -> (Company, String) {
    let company = Company::of_sales(&["east"]);
    let head = &company.head_office;
    let recipient = head.run(&["keygen", "--encryption", "--out", IDENTITY]).ok().stdout();
    read_with(&company, &format!("identity = \"{IDENTITY}\"\n"));
    (company, recipient.trim().to_owned())
}

/// Configures head office with this in its section about encryption.
pub(super) fn read_with(company: &Company, lines: &str) {
    let sections = format!("[branches.east]\n[encryption]\n{lines}");
    company.head_office.configure("role = \"head-office\"", &company.broker_url, &sections);
}

/// Configures the branch to encrypt to these, with these lines in the same section.
pub(super) fn encrypt_to(company: &Company, recipients: &[&str], lines: &str) {
    let sections = format!("{SALES}[encryption]\nrecipients = {recipients:?}\n{lines}");
    company.branch().configure("role = \"branch\"", &company.broker_url, &sections);
}

/// What of this must not be seen stands in files below this folder, and where.
fn seen_in(folder: &Path) -> Vec<PathBuf> {
    let files =
        WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let shows = |bytes: &[u8]| {
        [SECRET, "manifest.json", "product"]
            .iter()
            .any(|word| memchr::memmem::find(bytes, word.as_bytes()).is_some())
    };
    files.map(walkdir::DirEntry::into_path).filter(|path| shows(&fs::read(path).unwrap())).collect()
}

fn archive(node: &Node) -> PathBuf {
    node.folder.join("bundles")
}

/// By the queue and by hand, archived, sent again, replayed; and the first bundle was not encrypted yet.
#[test]
fn a_company_that_encrypts_goes_on_as_any_other_and_its_files_tell_nothing() {
    let (mut company, recipient) = reading_company();
    let east = company.branch();
    east.sell(SECRET);
    company.sync();
    let plain = east.bundles();
    assert_eq!(seen_in(&archive(east)), plain, "what is looked for is not found where it is");

    encrypt_to(&company, &[&recipient], "");
    east.sell(SECRET);
    east.run(&["bundle"]).ok();
    let second = fs::read(&east.bundles()[1]).unwrap();
    let mut broker = company.broker();
    let message = broker.next_bundle("east").unwrap().unwrap();
    assert!(message.payload == second, "the message is another file");
    broker.return_to_queue(message).unwrap();
    let head = &company.head_office;
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");

    // The third travels by hand, and nothing of it is left on the stick that could be read.
    east.sell(SECRET);
    east.run(&["bundle", "--offline"]).ok();
    let stick = head.folder.join("stick");
    fs::create_dir(&stick).unwrap();
    let carried = stick.join("0000000003.bundle");
    fs::copy(&east.bundles()[2], &carried).unwrap();
    head.run(&["apply", "--check", text(&carried)]).ok();
    head.run(&["apply", text(&carried)]).ok();
    company.assert_equal("public.sales");
    assert_eq!(seen_in(&stick), Vec::<PathBuf>::new());
    assert_eq!(seen_in(&archive(east)), plain);
    assert_eq!(seen_in(&archive(head)), head.bundles()[..1]);
    assert!(fs::read(&head.bundles()[1]).unwrap() == second, "head office has kept another file");

    // The branch cannot read them, and sends them again all the same.
    east.run(&["resend", "2..3"]).ok();
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["duplicates"], 2);
    company.branch().run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT string_agg(state, ',') FROM salesync.bundle"), "applied,applied,applied");

    // Everything is in the archive, the chain too.
    let verified = head.run(&["verify", "bundles"]).ok().stdout();
    assert_eq!(verified.matches(", ok, encrypted, ").count(), 2, "{verified}");
    let shown = head.run(&["inspect", "--rows", text(&head.bundles()[2])]).ok().stdout();
    assert!(shown.contains(SECRET) && shown.contains("encrypted"), "{shown}");
    let page = Site::of(head).get(&address(head, 2)).is(200);
    assert!(page.text.contains("Qx7#vK2!mZ9@wL4$") && page.text.contains("Encrypted"), "{}", page.text);
    company.head_office.database_url = fresh_database();
    read_with(&company, &format!("identity = \"{IDENTITY}\"\n"));
    let head = &company.head_office;
    head.run(&["init"]).ok();
    assert_eq!(
        head.run(&["replay", "bundles", "--json"]).ok().json()["applied"].as_array().unwrap().len(),
        3
    );
    company.assert_equal("public.sales");
}

/// The address of a bundle of east.
fn address(head: &Node, sequence: u32) -> String {
    let sql = format!("SELECT epoch FROM salesync.bundle WHERE branch = 'east' AND sequence = {sequence}");
    format!("/bundles/east/{}/{sequence}", head.value(&sql))
}

#[test]
fn without_the_key_a_file_tells_that_it_is_encrypted_its_hash_and_no_more() {
    let (company, recipient) = reading_company();
    let (east, head) = (company.branch(), &company.head_office);
    encrypt_to(&company, &[&recipient], "");
    east.sell(SECRET);
    company.sync();
    let file = east.bundles().remove(0);
    let digest = Digest::of(&fs::read(&file).unwrap()).to_string();
    assert_eq!(east.value("SELECT file_sha256 FROM salesync.bundle"), digest);
    let locked = "it is encrypted, and there is no private key here";
    east.run(&["inspect", text(&file)]).exits(77).says(&[locked, "--identity"]);
    let verified = east.run(&["verify", text(&file)]).exits(77).says(&[locked]).stdout();
    assert!(verified.contains("NOT CHECKED") && verified.contains(&digest), "{verified}");
    let line = east.run(&["verify", "--json", text(&file)]).exits(77).json()["files"][0].take();
    assert_eq!(
        (&line["ok"], &line["encrypted"], &line["file_sha256"]),
        (&false.into(), &true.into(), &digest.into())
    );
    // With it they need no configuration.
    let key = head.folder.join(IDENTITY);
    let elsewhere = ["--config", "/nonexistent.toml", "--identity", text(&key)];
    east.run(&[&["verify", text(&file)], &elsewhere[..]].concat()).ok();
    east.run(&[&["inspect", text(&file)], &elsewhere[..]].concat()).ok();

    read_with(&company, "");
    let page = Site::of(head).get(&address(head, 1)).is(200);
    assert!(page.text.contains(locked) && !page.text.contains(SECRET), "{}", page.text);
    let bytes = Site::of(head).get(&format!("{}/file", address(head, 1))).is(200).bytes;
    assert!(bytes == fs::read(&file).unwrap(), "another file is downloaded");
}

#[test]
fn a_branch_is_rebuilt_from_encrypted_bundles_with_a_key_of_its_own() {
    let (company, recipient) = reading_company();
    let east = company.branch();
    let own = east.run(&["keygen", "--encryption", "--out", "own.age"]).ok().stdout();
    encrypt_to(&company, &[&recipient, own.trim()], "");
    east.sell("Ink");
    company.sync();
    let archive = archive(east).display().to_string();
    let machine = new_machine(&company, "east", SALES);
    let locked = "it is encrypted, and there is no private key here";
    machine.run(&["replay", "--into-branch", &archive]).exits(77).says(&[locked, "[encryption]"]);
    let identity = east.folder.join("own.age").display().to_string();
    let options = format!("{SALES}[encryption]\nidentity = {identity:?}\n");
    machine.configure("role = \"branch\"", &company.broker_url, &options);
    machine.run(&["replay", "--into-branch", &archive]).ok();
    assert_eq!(machine.rows("public.sales", "true"), east.rows("public.sales", "true"));
}

/// What a message may be is not exceeded by encrypting it.
#[test]
fn encrypted_parts_are_as_large_as_configured_and_no_larger() {
    let (company, recipient) = reading_company();
    let (east, head) = (company.branch(), &company.head_office);
    encrypt_to(&company, &[recipient.as_str(); 20], "[bundle]\nmax_bytes = \"64KiB\"\n");
    east.sell_much();
    east.run(&["bundle", "--offline"]).ok();
    let files = east.bundles();
    let sizes: Vec<u64> = files.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(files.len() > 3 && sizes.iter().all(|size| *size <= 64 << 10), "{sizes:?}");
    assert!(sizes[0] > 48 << 10, "they are much smaller than they may be: {sizes:?}");
    let recorded =
        east.value("SELECT string_agg(byte_count::text, ',' ORDER BY sequence) FROM salesync.bundle");
    let expected: Vec<String> = sizes.iter().map(u64::to_string).collect();
    assert_eq!(recorded, expected.join(","));
    head.run(&[&["apply"], &files.iter().map(|path| text(path)).collect::<Vec<_>>()[..]].concat()).ok();
    company.assert_equal("public.sales");
    let kept = head.value("SELECT string_agg(byte_count::text, ',' ORDER BY sequence) FROM salesync.bundle");
    assert_eq!(kept, recorded);
}
