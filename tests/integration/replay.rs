//! The kept files: applied again, verified, inspected, opened with other people's programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::company::{Company, Node, Run};
use crate::forge::forged;
use crate::servers::fresh_database;

const BRANCHES: [&str; 3] = ["east", "north", "west"];

/// Three branches with three bundles each, all applied: inserts, updates, tombstones.
fn synced() -> Company {
    let company = Company::of_sales(&BRANCHES);
    for round in ["Ink", "Paper", "Pens"] {
        for branch in &company.branches {
            (0..3).for_each(|_| branch.sell(round));
            branch.sql("UPDATE public.sales SET product = product || '!' WHERE id % 3 = 1; DELETE FROM public.sales WHERE id = 2");
            branch.run(&["bundle"]).ok();
        }
    }
    company.head_office.run(&["apply"]).ok();
    company
}

/// Another head office with nothing in it.
fn empty_head_office(company: &Company, name: &str) -> Node {
    let folder = company.head_office.folder.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    let node = Node { name: "head".into(), folder, database_url: fresh_database() };
    let branches = BRANCHES.map(|name| format!("[branches.{name}]\n")).concat();
    node.configure("role = \"head-office\"", &company.broker_url, &branches);
    node.run(&["init"]).ok();
    node
}

fn archive(node: &Node) -> String {
    node.folder.join("bundles").display().to_string()
}

fn numbers(report: &Value, list: &str) -> Vec<(String, u64)> {
    let lines = report[list].as_array().unwrap().iter();
    lines
        .map(|line| (line["branch"].as_str().unwrap().to_owned(), line["sequence"].as_u64().unwrap()))
        .collect()
}

fn sales(node: &Node) -> Vec<String> {
    let mut client = node.client();
    let rows = client.query("SELECT s::text FROM public.sales s ORDER BY branch, id", &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn an_archive_makes_an_empty_database_equal_and_is_skipped_the_second_time() {
    let company = synced();
    let expected = sales(&company.head_office);
    assert_eq!(expected.len(), 24);

    let own = empty_head_office(&company, "from-own");
    let replayed = own.run(&["replay", &archive(&company.head_office), "--json"]).ok().json();
    assert_eq!(replayed["applied"].as_array().unwrap().len(), 9);
    assert_eq!(sales(&own), expected);

    let branches = empty_head_office(&company, "from-branches");
    for branch in &company.branches {
        branches.run(&["replay", &archive(branch)]).ok();
    }
    assert_eq!(sales(&branches), expected);

    let again = own.run(&["replay", &archive(&company.head_office), "--json"]).ok().json();
    assert_eq!((again["duplicates"].as_u64(), numbers(&again, "applied")), (Some(9), vec![]));
    // From its own archive, too.
    assert_eq!(own.run(&["replay", &archive(&own), "--json"]).ok().json()["duplicates"], 9);
    assert_eq!(sales(&own), expected);
}

#[test]
fn a_replay_is_bounded_by_branch_and_numbers() {
    let company = synced();
    let node = empty_head_office(&company, "bounded");
    let source = archive(&company.head_office);
    let bounded = |arguments: &[&str]| {
        let run = node.run(&[&["replay", &source, "--json"], arguments].concat()).ok();
        numbers(&run.json(), "applied")
    };
    let east = |range: std::ops::RangeInclusive<u64>| {
        range.map(|number| ("east".to_owned(), number)).collect::<Vec<_>>()
    };
    assert_eq!(bounded(&["--branch", "east", "--to", "1"]), east(1..=1));
    assert_eq!(bounded(&["--branch", "east", "--from", "2", "--to", "2"]), east(2..=2));
    assert_eq!(bounded(&["--branch", "east", "--from", "2"]), east(3..=3));
    // What is not there cannot have been meant.
    for none in [&["--branch", "nowhere"][..], &["--from", "4"], &["--from", "3", "--to", "2"]] {
        let run = node.run(&[&["replay", &source], none].concat()).exits(2);
        run.says(&["none of those that were asked for", "hint: "]);
    }
    fs::create_dir(node.folder.join("empty")).unwrap();
    node.run(&["replay", "empty"]).exits(2).says(&["there are none"]);
    assert_eq!(node.value("SELECT string_agg(DISTINCT branch, ' ') FROM public.sales"), "east");
    node.run(&["replay", &source, "--from", "0"]).exits(2);
    node.run(&["replay", "/nonexistent"]).exits(1).says(&["/nonexistent"]);
}

#[test]
fn a_lost_database_is_rebuilt_from_its_own_archive_bundle_by_bundle_and_no_further_than_asked() {
    let company = synced();
    let head_office = &company.head_office;
    let expected = sales(head_office);
    head_office.sql("DROP TABLE public.sales; DROP SCHEMA salesync CASCADE");
    head_office.run(&["init"]).ok();

    let first = head_office.run(&["replay", "bundles", "--to", "2", "--json"]).ok().json();
    assert_eq!((numbers(&first, "applied").len(), first["duplicates"].as_u64()), (6, Some(0)), "{first}");
    let rest = head_office.run(&["replay", "bundles", "--json"]).ok().json();
    assert_eq!((numbers(&rest, "applied").len(), rest["duplicates"].as_u64()), (3, Some(6)), "{rest}");
    assert_eq!(sales(head_office), expected);
}

#[test]
fn a_database_restored_from_a_backup_heals_from_the_archive() {
    let company = synced();
    let head = &company.head_office;
    let expected = sales(head);
    // The backup is older than everything; the archive is not.
    let restored = Node { name: "head".into(), folder: head.folder.clone(), database_url: fresh_database() };
    let branches = BRANCHES.map(|name| format!("[branches.{name}]\n")).concat();
    restored.configure("role = \"head-office\"", &company.broker_url, &branches);
    restored.run(&["init"]).ok();
    for branch in &company.branches {
        branch.run(&["resend", "3"]).ok();
    }
    restored.run(&["apply"]).ok();
    assert_eq!(sales(&restored), expected);
}

#[test]
fn damage_in_an_archive_is_reported_and_stops_only_what_depends_on_it() {
    let company = synced();
    let source = archive(&company.branches[0]);
    for branch in &company.branches[1..] {
        copy_tree(Path::new(&archive(branch)), Path::new(&source));
    }
    let victim = bundle_of(&company.branches[0], "north", 2);
    let mut bytes = fs::read(&victim).unwrap();
    // The last block before the end mark: content of the last member.
    let at = bytes.len() - 1024 - 512;
    bytes[at] ^= 0x10;
    fs::write(&victim, bytes).unwrap();

    let node = empty_head_office(&company, "damaged");
    let run = node.run(&["replay", &source, "--json"]).exits(65);
    let report = run.json();
    assert_eq!(report["applied"].as_array().unwrap().len(), 7, "{report}");
    assert_eq!(report["held"], 1);
    let reason = report["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains(victim.to_str().unwrap()) && reason.contains("checksum"), "{reason}");

    let verified = node.run(&["verify", &source, "--json"]).exits(65).json();
    let bad: Vec<_> =
        verified["files"].as_array().unwrap().iter().filter(|line| line["ok"] != true).collect();
    assert_eq!(bad.len(), 1, "{verified}");

    // The good copy, and it goes on.
    node.run(&["apply", bundle_of(&company.branches[1], "north", 2).to_str().unwrap()]).ok();
    assert_eq!(sales(&node), sales(&company.head_office));
}

fn bundle_of(node: &Node, branch: &str, number: usize) -> PathBuf {
    let folder = format!("/{branch}/");
    node.bundles()
        .into_iter()
        .filter(|path| path.to_str().unwrap().contains(&folder))
        .nth(number - 1)
        .unwrap()
}

fn copy_tree(from: &Path, to: &Path) {
    Run::of(Command::new("cp").arg("-r").arg(from.join(".")).arg(to)).ok();
}

#[test]
fn verify_finds_what_each_file_by_itself_does_not_show() {
    let company = synced();
    let east = &company.branches[0];
    let folder = archive(east);
    let bundles = east.bundles();
    let files = east.run(&["verify", &folder, "--json"]).ok().json();
    assert_eq!(files["files"].as_array().unwrap().len(), 3);
    let second = fs::read(&bundles[1]).unwrap();
    let finds = |what: &str| {
        let report = east.run(&["verify", &folder, "--json"]).exits(65).json();
        let bad = report["files"].as_array().unwrap().iter().find(|line| line["ok"] == false).unwrap();
        let error = bad["error"].as_str().unwrap();
        assert!(error.contains(what), "{error}");
        let shown = east.run(&["verify", &folder]).exits(65).stdout();
        assert!(shown.contains(what), "{shown}");
    };
    let another = forged(&bundles[1], |manifest| manifest.tool = "salesync 0.0.0".into());
    fs::write(&bundles[1], another).unwrap();
    finds("does not follow the bundle before it");
    fs::copy(&bundles[2], &bundles[1]).unwrap();
    finds("it is bundle 3");
    fs::remove_file(&bundles[1]).unwrap();
    finds("it is missing");
    fs::write(&bundles[1], &second[..second.len() - 1]).unwrap();
    finds("the file ends in the middle");
    fs::write(&bundles[1], [&second[..], b"x"].concat()).unwrap();
    finds("follow the end");
    fs::write(&bundles[1], b"").unwrap();
    finds("the file ends in the middle, after 0 bytes");
    fs::write(&bundles[1], second).unwrap();
    east.run(&["verify", &folder]).ok();
    // A file by another name, and one without those before it.
    let stick = east.folder.join("from-east.bundle");
    fs::copy(&bundles[2], &stick).unwrap();
    east.run(&["verify", stick.to_str().unwrap()]).ok();
    east.run(&["verify", "/nonexistent"]).exits(1);
    fs::create_dir(east.folder.join("empty")).unwrap();
    east.run(&["verify", "empty"]).exits(2).says(&["there are none"]);
    east.run(&["verify", "salesync.toml"]).exits(65);
}

#[test]
fn verify_takes_a_whole_archive_of_many_branches_and_epochs_and_what_prune_has_left_of_it() {
    let company = synced();
    let head = &company.head_office;
    company.branches[0].run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    let verified = |status| {
        let report = head.run(&["verify", "bundles", "--json"]).exits(status).json();
        let files = report["files"].as_array().unwrap();
        let bad = files.iter().filter(|line| line["ok"] == false);
        (files.len(), bad.map(|line| line["error"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(verified(0), (10, vec![]));
    // The beginning of an epoch is gone, and a whole epoch; what was rejected is no part of the archive.
    fs::remove_file(bundle_of(head, "west", 1)).unwrap();
    fs::remove_dir_all(bundle_of(head, "east", 1).parent().unwrap()).unwrap();
    fs::create_dir_all(head.folder.join("bundles/_rejected/unknown")).unwrap();
    fs::write(head.folder.join("bundles/_rejected/unknown/x.bundle"), b"no bundle").unwrap();
    assert_eq!(verified(0), (6, vec![]));
    head.run(&["verify", "bundles/_rejected"]).exits(65);

    // Another branch's bundle in the place of one, however sound.
    let (east, north) = (bundle_of(head, "east", 1), bundle_of(head, "north", 1));
    let own = fs::read(&east).unwrap();
    fs::copy(&north, &east).unwrap();
    let (_, errors) = verified(65);
    assert!(errors[0].contains("it is a bundle of north"), "{errors:?}");
    fs::write(&east, own).unwrap();
    assert_eq!(verified(0).0, 6);
}

#[test]
fn verify_finds_an_exchanged_bundle_whatever_the_files_are_called() {
    let company = synced();
    let bundles = company.branches[0].bundles();
    let folder = company.head_office.folder.join("stick");
    fs::create_dir(&folder).unwrap();
    let verify = || company.head_office.run(&["verify", "stick", "--json"]);
    for (bundle, name) in bundles.iter().zip(["z", "y", "x"]) {
        fs::copy(bundle, folder.join(name).with_extension("bundle")).unwrap();
    }
    verify().ok();
    let another = forged(&bundles[0], |manifest| manifest.tool = "salesync 0.0.0".into());
    fs::write(folder.join("z.bundle"), &another).unwrap();
    let report = verify().exits(65).json();
    assert!(
        report["files"][2]["error"].as_str().unwrap().contains("the bundle after it does not follow it"),
        "{report}"
    );
    fs::copy(&bundles[0], folder.join("z.bundle")).unwrap();
    fs::write(folder.join("zz.bundle"), &another).unwrap();
    let report = verify().exits(65).json();
    assert!(
        report["files"][3]["error"].as_str().unwrap().contains("another bundle has the same"),
        "{report}"
    );
}

#[test]
fn a_bundle_can_be_looked_into() {
    let company = synced();
    let path = company.branches[0].bundles()[2].display().to_string();
    let node = &company.head_office;
    let shown = node.run(&["inspect", &path]).ok().stdout();
    for words in ["bundle 3 of east", "inserts: 3 rows", "updates: 2 rows", "public.sales"] {
        assert!(shown.contains(words), "{words:?} is not in {shown}");
    }
    assert!(!shown.contains("Pens"), "{shown}");
    assert!(node.run(&["inspect", "--rows", &path]).ok().stdout().contains(",Pens,"));
    let json = node.run(&["inspect", "--rows", "--json", &path]).ok().json();
    assert_eq!(json["manifest"]["sequence"], 3);
    assert_eq!(json["rows"][0]["member"], "0/inserts.csv.zst");
    assert_eq!(json["rows"][0]["csv"].as_str().unwrap().lines().count(), 3);
    assert!(node.run(&["inspect", "--json", &path]).ok().json()["rows"].is_null());
    node.run(&["inspect", "salesync.toml"]).exits(65).says(&["salesync.toml", "hint: "]);
    node.run(&["inspect", "/nonexistent"]).exits(1).says(&["/nonexistent"]);
    node.run(&["inspect", "."]).exits(1);
}

#[test]
fn a_bundle_opens_with_tar_and_zstd() {
    let company = synced();
    let bundle = company.branches[0].bundles()[2].display().to_string();
    let listed = Run::of(Command::new("tar").args(["tf", &bundle])).ok().stdout();
    let members: Vec<&str> = listed.lines().collect();
    assert_eq!(members, ["manifest.json", "0/inserts.csv.zst", "0/updates.csv.zst"]);
    let shell = format!("tar xOf '{bundle}' 0/inserts.csv.zst | zstd -dq");
    let csv = Run::of(Command::new("sh").args(["-c", &shell])).ok().stdout();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "id,date,region,product,qty,cost,amt,tax,total");
    assert_eq!(lines.len(), 4, "{csv}");
    let manifest = Run::of(Command::new("tar").args(["xOf", &bundle, "manifest.json"])).ok().json();
    assert_eq!(manifest["format"], "salesync-bundle/1");
}
