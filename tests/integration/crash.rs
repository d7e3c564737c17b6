//! Cut short, full, gone, restored: what is left goes on, and nothing is lost or doubled.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use salesync::sandbox::PostgresServer;

use crate::company::{Company, Node, Run, SALES};
use crate::forge::forged;
use crate::servers::{fresh_database, fresh_sandbox};

fn sold_and_synced() -> Company {
    let company = Company::of_sales(&["east"]);
    company.branch().sell("Ink");
    company.sync();
    company
}

/// Where the branch's bundle of this number belongs.
fn place_of(branch: &Node, number: u32) -> PathBuf {
    branch.bundles()[0].with_file_name(format!("{number:010}.bundle"))
}

#[test]
fn a_bundle_that_was_sealed_but_not_recorded_is_discarded() {
    let company = sold_and_synced();
    let east = company.branch();
    for (number, content) in [(2, fs::read(&east.bundles()[0]).unwrap()), (3, b"half".to_vec())] {
        fs::write(place_of(east, number), content).unwrap();
    }
    let drafts = east.folder.join("bundles/.drafts-east");
    fs::write(drafts.join(".tmpLeft"), b"half").unwrap();
    east.sell("Paper");
    let report = east.run(&["bundle", "--json"]).ok().says(&["discarded 2 bundles"]).json();
    assert_eq!(report["bundles"][0]["sequence"], 2);
    assert_eq!(fs::read_dir(drafts).unwrap().count(), 0);
    assert_eq!(east.bundles().len(), 2);
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    east.run(&["verify", "bundles"]).ok();
}

#[test]
fn a_sealed_file_that_was_removed_or_altered_is_not_sent() {
    let company = sold_and_synced();
    let east = company.branch();
    east.sell("Paper");
    east.run(&["bundle", "--offline"]).ok();
    let path = place_of(east, 2);
    let sealed = fs::read(&path).unwrap();
    let mut flipped = sealed.clone();
    flipped[1000] ^= 1;
    let another = forged(&path, |manifest| manifest.tool = "salesync 0.0.0".into());
    for (content, status) in
        [(None, 1), (Some(flipped), 65), (Some(another), 65), (Some(sealed[..900].to_vec()), 65)]
    {
        fs::remove_file(&path).unwrap_or_default();
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let run = east.run(&["bundle", "--json"]).exits(status).says(&["0000000002.bundle", "--since all"]);
        assert_eq!(run.json()["pending"], 1);
        assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
        fs::write(&path, b"").unwrap();
    }
    fs::write(&path, &sealed).unwrap();
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn where_nothing_can_be_written_nothing_is_cut_and_the_log_keeps_the_rows() {
    let company = sold_and_synced();
    let east = company.branch();
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-03', 'East', md5(n::text), 1, 1, 1, 0, 1 FROM generate_series(1, 3000) n",
    );
    let unsynced = || east.run(&["status", "--json"]).ok().json()["unsynced"].clone();
    assert_eq!(unsynced(), 3000);

    // No file may be longer than 4 KiB: the disk is full in the middle of the bundle.
    let shell = "trap '' XFSZ; ulimit -f 8; exec \"$0\" bundle";
    let limited = |shell: &str| {
        let program = east.command(&[]).get_program().to_owned();
        Run::of(Command::new("bash").args(["-c", shell]).arg(program).current_dir(&east.folder).env_clear())
    };
    let run = limited(shell).exits(1);
    assert!(run.stderr().starts_with("salesync: writing"), "{}", run.stderr());
    // The same without a warning: the program is killed in the middle of the bundle.
    assert_ne!(limited("ulimit -f 8; exec \"$0\" bundle").stderr(), run.stderr());
    assert_eq!((unsynced(), east.bundles().len()), (3000.into(), 1));

    // A folder that is none, one that is gone.
    let (archive, aside) = (east.folder.join("bundles"), east.folder.join("aside"));
    fs::rename(&archive, &aside).unwrap();
    fs::write(&archive, b"").unwrap();
    east.run(&["bundle"]).exits(1).says(&["bundles", "hint: "]);
    fs::remove_file(&archive).unwrap();
    symlink("/proc/nowhere", &archive).unwrap();
    east.run(&["bundle"]).exits(1).says(&["bundles", "hint: "]);
    fs::remove_file(&archive).unwrap();
    fs::rename(&aside, &archive).unwrap();

    assert_eq!(unsynced(), 3000);
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn head_office_without_room_for_its_archive_leaves_the_message_in_the_queue() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    fs::write(head.folder.join("bundles"), b"").unwrap();
    head.run(&["apply"]).exits(1).says(&["bundles", "hint: "]);
    fs::remove_file(head.folder.join("bundles")).unwrap();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

/// A copy of a node's database, as a backup restored into another database would be.
fn copied(node: &Node) -> String {
    let (server, original) = node.database_url.rsplit_once('/').unwrap();
    let copy = fresh_database();
    let (_, name) = copy.rsplit_once('/').unwrap();
    let mut client = Client::connect(&format!("{server}/postgres"), NoTls).unwrap();
    client.batch_execute(&format!("DROP DATABASE {name}")).unwrap();
    // Sessions of the programs that just ended may take a moment to go.
    let deadline = Instant::now() + Duration::from_secs(20);
    while let Err(error) = client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {original}")) {
        assert!(Instant::now() < deadline, "{error:?}");
        std::thread::yield_now();
    }
    copy
}

#[test]
fn a_branch_restored_from_a_backup_is_refused_until_a_person_decides() {
    let company = sold_and_synced();
    let (east, head) = (company.branch(), &company.head_office);
    let backup = copied(east);
    east.sell("Sold after the backup");
    company.sync();

    let restored = Node { name: "east".into(), folder: east.folder.clone(), database_url: backup };
    restored.configure("role = \"branch\"", &company.broker_url, SALES);
    restored.sell("Sold after the restore");
    for arguments in
        [&["bundle"][..], &["bundle", "--offline"], &["bundle", "--since", "1"], &["resend", "1"]]
    {
        let run = restored.run(arguments).exits(3);
        run.says(&["salesync: ", "it is a copy in another database", "hint: ", "--since all"]);
    }
    assert_eq!(restored.bundles().len(), 2);

    restored.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.rows("public.sales", "true"), restored.rows("public.sales", "true"));
    // From here on it is like any other branch.
    restored.sell("The day after");
    restored.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.rows("public.sales", "true"), restored.rows("public.sales", "true"));
    head.run(&["verify", "bundles"]).ok();
}

/// The database was set back in place, so that only the folder outside it remembers the last bundle.
#[test]
fn the_marker_beside_the_bundles_knows_of_a_database_set_back_in_place() {
    let company = sold_and_synced();
    let east = company.branch();
    let marker = east.folder.join("bundles/east/last-recorded.json");
    let before = fs::read_to_string(&marker).unwrap();
    let set_back = "UPDATE salesync.node SET (last_sequence, last_manifest, watermark) = (
                        SELECT sequence, manifest_sha256, watermark FROM salesync.bundle WHERE sequence = 1);
                    DELETE FROM salesync.bundle WHERE sequence > 1";
    east.sell("Paper");
    company.sync();
    let after = fs::read_to_string(&marker).unwrap();
    assert_ne!(after, before);
    east.sql(set_back);
    east.run(&["bundle"]).exits(3).says(&["names bundle 2", "--since all"]);
    assert_eq!(east.bundles().len(), 2, "the bundle that was sent is kept");

    for nonsense in ["", "{}", "\0"] {
        fs::write(&marker, nonsense).unwrap();
        east.run(&["bundle"]).exits(1).says(&["last-recorded.json", "hint: "]);
    }
    // One that is behind was only not written any more.
    fs::write(&marker, &after).unwrap();
    east.run(&["bundle", "--since", "all"]).ok();
    east.sell("Pens");
    let behind = fs::read_to_string(&marker).unwrap();
    east.run(&["bundle"]).ok();
    fs::write(&marker, behind).unwrap();
    east.run(&["bundle"]).ok();
    assert!(fs::read_to_string(&marker).unwrap().contains("\"sequence\":2"));
    // One that is missing where there have been bundles is missing for a reason.
    fs::remove_file(&marker).unwrap();
    east.run(&["bundle"]).exits(3).says(&["knows of no bundle", "--since all"]);
    east.run(&["bundle", "--since", "all"]).ok();
    east.run(&["bundle"]).ok();
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn head_offices_database_dying_while_a_bundle_is_applied_changes_nothing() {
    let sandbox = fresh_sandbox();
    let mut server = PostgresServer::start(&sandbox, "head-office").unwrap();
    server.create_database("head").unwrap();
    let mut company = sold_and_synced();
    company.head_office.database_url = server.url("head");
    company.head_office.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    head.run(&["replay", "bundles"]).ok();
    east.sell("Paper");
    east.run(&["bundle"]).ok();

    let mut client = head.client();
    let mut blocker = client.transaction().unwrap();
    blocker.batch_execute("LOCK TABLE public.sales IN EXCLUSIVE MODE").unwrap();
    let applying = head.command(&["apply"]).spawn().unwrap();
    let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)";
    let deadline = Instant::now() + Duration::from_secs(20);
    while head.value(waiting) == "false" {
        assert!(Instant::now() < deadline, "apply did not come to the table");
        std::thread::yield_now();
    }
    server.stop_immediately();
    let output = applying.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.starts_with("salesync: ") && said.contains("hint: "), "{said}");
    head.run(&["apply"]).exits(69).says(&["connecting to postgres://"]);

    server.start_again().unwrap();
    assert_eq!(head.value("SELECT last_sequence FROM salesync.branch"), "1");
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"][0]["sequence"], 2);
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"].as_array().unwrap().len(), 0);
    company.assert_equal("public.sales");
}

/// It was killed with a bundle in its archive and not in its ledger. Then comes another epoch, by stick.
#[test]
fn a_bundle_that_only_the_archive_knows_when_its_epoch_has_passed_is_put_aside() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    head.halted(&["apply"], "FileNamed").kill();
    let passed = head.bundles().pop().unwrap();
    east.run(&["bundle", "--since", "all", "--offline"]).ok();
    let first = east.bundles().pop().unwrap();
    head.run(&["apply", first.to_str().unwrap()]).ok();
    let told = head.run(&["apply"]).exits(3).stdout();
    assert!(told.contains("is older than head office's") || told.contains("followed by another"), "{told}");
    assert!(!passed.exists(), "{} is neither applied nor rejected", passed.display());
    head.run(&["verify", "bundles"]).ok();
    company.assert_equal("public.sales");
}
