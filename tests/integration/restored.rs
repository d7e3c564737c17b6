//! Databases that came back from a backup, of every kind: at a branch a person decides, head office heals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use salesync::sandbox::{PostgresServer, Sandbox, find_postgres};
use serde_json::Value;

use crate::company::{Company, Node, Run, SALES};
use crate::rights::{Side, program_url};
use crate::servers::fresh_sandbox;

/// A company whose branch, or head office, has a database server of its own.
struct World {
    company: Company,
    server: PostgresServer,
    sandbox: Sandbox,
}

impl World {
    fn with_servers_own(is_branchs: bool) -> Self {
        let sandbox = fresh_sandbox();
        let server = PostgresServer::start(&sandbox, "own").unwrap();
        server.create_database("own").unwrap();
        let mut company = Company::new(&["east"], SALES);
        let broker_url = company.broker_url.clone();
        let (node, role, options) = if is_branchs {
            (&mut company.branches[0], "role = \"branch\"", SALES)
        } else {
            (&mut company.head_office, "role = \"head-office\"", "[branches.east]\n")
        };
        node.database_url = server.url("own");
        node.configure(role, &broker_url, options);
        company.head_office.run(&["init"]).ok();
        company.branch().run(&["init", "--with-sales"]).ok();
        company.branch().sell("Ink");
        company.sync();
        Self { company, server, sandbox }
    }

    fn of_branch() -> Self {
        Self::with_servers_own(true)
    }

    fn of_head_office() -> Self {
        Self::with_servers_own(false)
    }

    /// Sells, changes, loses a row, and has it all at head office.
    fn go_on(&self, product: &str) {
        let east = self.company.branch();
        east.sell(product);
        east.sql("UPDATE public.sales SET region = region || '!' WHERE id = 1");
        self.company.sync();
        self.company.assert_equal("public.sales");
    }

    /// A backup of the whole server, at file level.
    fn copy_data(&mut self, name: &str) -> PathBuf {
        let copy = self.sandbox.path().join(name);
        self.server.stop_immediately();
        copy_folder(&self.server.data_folder(), &copy);
        self.server.start_again().unwrap();
        copy
    }

    fn put_back(&mut self, copy: &Path) {
        self.server.stop_immediately();
        fs::remove_dir_all(self.server.data_folder()).unwrap();
        copy_folder(copy, &self.server.data_folder());
        self.server.start_again().unwrap();
    }

    fn run_program(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(find_postgres(program).unwrap());
        command.args(["-h", "127.0.0.1", "-p", &self.server.port().to_string(), "-U", "salesync"]);
        Run::of(command.args(arguments)).ok();
    }

    /// `pg_dump` to a file.
    fn dump(&self, options: &[&str]) -> String {
        let file = self.company.branch().folder.join("dump").display().to_string();
        self.run_program("pg_dump", &[&["-Fc", "-f", &file], options, &["own"]].concat());
        file
    }

    /// `pg_restore` into a new database.
    fn restore(&self, file: &str, database: &str) {
        self.server.drop_database(database).unwrap();
        self.server.create_database(database).unwrap();
        self.run_program("pg_restore", &["-d", database, file]);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    Run::of(Command::new("cp").arg("-a").arg(from).arg(to)).ok();
}

/// Everything that could send something is refused, before anything is cut, and the choice is explained.
fn is_refused(world: &World, why: &str) {
    let (east, head) = (world.company.branch(), &world.company.head_office);
    east.sell("Sold after the restore");
    let (bundles, at_head) = (east.bundles(), head.rows("public.sales", "true"));
    let commands: [&[&str]; 5] =
        [&["bundle"], &["bundle", "--offline"], &["bundle", "--since", "1"], &["resend", "1"], &["prune"]];
    for arguments in commands {
        east.run(arguments).exits(3).says(&["salesync: ", why, "hint: ", "--since all"]);
    }
    assert_eq!(east.bundles(), bundles);
    assert_eq!(east.value("SELECT count(*) FROM salesync.bundle WHERE state = 'sealed'"), "0");
    head.run(&["apply"]).ok();
    assert_eq!(head.rows("public.sales", "true"), at_head);
}

/// The operator decides: head office becomes what the branch is now, and both go on.
fn begins_anew(world: &World) {
    let east = world.company.branch();
    let report = east.run(&["bundle", "--since", "all", "--json"]).ok().json();
    assert_eq!(report["bundles"][0]["sequence"], 1);
    world.company.head_office.run(&["apply"]).ok();
    world.company.assert_equal("public.sales");
    world.go_on("The day after");
    world.company.head_office.run(&["verify", "bundles"]).ok();
}

#[test]
fn a_branch_restored_from_a_dump_is_refused_until_a_person_decides() {
    let mut world = World::of_branch();
    // Into another database.
    let dump = world.dump(&[]);
    world.go_on("Sold after the dump");
    world.restore(&dump, "another");
    world.company.branches[0].database_url = world.server.url("another");
    let broker_url = world.company.broker_url.clone();
    world.company.branches[0].configure("role = \"branch\"", &broker_url, SALES);
    is_refused(&world, "it is a copy in another database or server");
    begins_anew(&world);

    // Into the same name, after the original was dropped.
    world.restore(&dump, "own");
    world.company.branches[0].database_url = world.server.url("own");
    world.company.branches[0].configure("role = \"branch\"", &broker_url, SALES);
    is_refused(&world, "it is a copy in another database or server");
    begins_anew(&world);

    // Without what salesync had in it: prepared anew it knows nothing, but its archive does.
    let dump = world.dump(&["--schema=public"]);
    world.go_on("Sold after the second dump");
    world.server.drop_database("own").unwrap();
    world.server.create_database("own").unwrap();
    world.run_program("psql", &["-d", "own", "-qc", "DROP SCHEMA public"]);
    world.run_program(
        "pg_restore",
        &["-d", "own", "--no-owner", "--section=pre-data", "--section=data", &dump],
    );
    let east = world.company.branch();
    east.configure("role = \"branch\"", &broker_url, SALES);
    east.sql(
        "DROP TRIGGER IF EXISTS salesync_insert ON public.sales; ALTER TABLE public.sales ADD PRIMARY KEY (id);
         ALTER TABLE public.sales OWNER TO dba; GRANT USAGE ON SCHEMA public TO PUBLIC",
    );
    east.run(&["init"]).ok();
    is_refused(&world, "last-recorded.json names bundle");
    begins_anew(&world);
}

/// The server is younger than the one that was dumped: its transactions have lower numbers than those in the log.
#[test]
fn a_branch_restored_on_a_new_server_has_no_use_for_its_old_log() {
    let mut world = World::of_branch();
    let east = world.company.branch();
    east.sql("DO $$BEGIN FOR i IN 1..1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END$$");
    east.sql("UPDATE public.sales SET region = 'West'");
    for product in ["Pens", "Paper"] {
        east.sell(product);
    }
    let dump = world.dump(&[]);
    let young = PostgresServer::start(&world.sandbox, "young").unwrap();
    world.server = young;
    world.server.create_database("own").unwrap();
    // A dump has no roles.
    program_url(&world.server.url("postgres"), Side::Branch);
    world.run_program("pg_restore", &["-d", "own", &dump]);
    world.company.branches[0].database_url = world.server.url("own");
    let broker_url = world.company.broker_url.clone();
    world.company.branches[0].configure("role = \"branch\"", &broker_url, SALES);
    begins_anew(&world);
    let east = world.company.branch();
    east.sql("DELETE FROM public.sales WHERE product = 'Pens'; UPDATE public.sales SET region = 'North' WHERE product = 'Paper'");
    world.company.sync();
    world.company.assert_equal("public.sales");
    assert_eq!(world.company.head_office.value("SELECT count(*) FROM salesync.incident"), "0");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
}

#[test]
fn a_branch_rewound_by_its_files_is_refused_until_a_person_decides() {
    let mut world = World::of_branch();
    world.go_on("In the backup");
    let backup = world.copy_data("backup");
    world.go_on("Sold after the backup");
    world.put_back(&backup);
    is_refused(&world, "last-recorded.json names bundle 3");
    begins_anew(&world);

    // Once more, to a state from before the epoch that has just begun.
    world.put_back(&backup);
    is_refused(&world, "last-recorded.json names bundle 2");
    begins_anew(&world);

    // A state since which nothing was cut contradicts nothing.
    let backup = world.copy_data("later");
    world.company.branch().sell("Lost");
    world.put_back(&backup);
    world.go_on("Sold in its place");
}

#[test]
fn a_copy_of_a_branch_on_another_machine_is_refused() {
    let mut world = World::of_branch();
    let broker_url = world.company.broker_url.clone();
    let backup = world.copy_data("backup");
    let mut server = PostgresServer::start(&world.sandbox, "clone").unwrap();
    server.stop_immediately();
    fs::remove_dir_all(server.data_folder()).unwrap();
    copy_folder(&backup, &server.data_folder());
    server.start_again().unwrap();
    let original = world.company.branches[0].database_url.clone();
    let folder = world.company.branches[0].folder.clone();

    // The same system identifier, the same database oid, the same transactions; only the archive is another.
    let east = &mut world.company.branches[0];
    east.folder = folder.with_file_name("clone");
    fs::create_dir_all(east.folder.join("bundles")).unwrap();
    east.database_url = server.url("own");
    east.configure("role = \"branch\"", &broker_url, SALES);
    is_refused(&world, "knows of no bundle, but the database does");
    assert_eq!(world.company.branch().bundles(), Vec::<PathBuf>::new());
    // An archive that is not mounted is told as such.
    fs::remove_dir_all(folder.with_file_name("clone").join("bundles")).unwrap();
    world.company.branch().run(&["bundle"]).exits(1).says(&["is not there", "hint: mount it"]);

    // The original goes on meanwhile.
    let east = &mut world.company.branches[0];
    (east.folder, east.database_url) = (folder, original);
    world.go_on("At the original");
}

/// Nothing at the branch can tell then: everything that remembers has gone back together.
#[test]
fn a_whole_machine_set_back_is_found_out_by_head_office() {
    let mut world = World::of_branch();
    world.go_on("In the backup");
    let backup = world.copy_data("backup");
    let archive = world.company.branch().folder.join("bundles");
    let archive_backup = world.company.branch().folder.join("bundles-backup");
    copy_folder(&archive, &archive_backup);
    world.go_on("Sold after the backup");
    // The answer came before the disaster. If it came after it, the branch would find out by itself.
    world.company.branch().run(&["bundle"]).ok();

    world.put_back(&backup);
    fs::remove_dir_all(&archive).unwrap();
    copy_folder(&archive_backup, &archive);
    let (east, head) = (world.company.branch(), &world.company.head_office);
    let before = head.rows("public.sales", "true");
    for product in ["Sold after the restore", "And another"] {
        east.sell(product);
        east.run(&["bundle", "--offline"]).ok();
    }
    east.run(&["bundle"]).ok();
    let report = head.run(&["apply", "--json"]).exits(3).json();
    let reasons: Vec<&str> =
        report["rejected"].as_array().unwrap().iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), 2, "{report}");
    assert!(reasons.iter().all(|reason| reason.contains("fork")), "{reasons:?}");
    assert_eq!(head.rows("public.sales", "true"), before, "nothing was changed");
    // The branch hears of it, and a person decides.
    east.run(&["bundle"]).exits(3);
    assert_eq!(east.run(&["bundle", "--json"]).exits(3).json()["unapplied"][0]["state"], "rejected");
    begins_anew(&world);
}

#[test]
fn transactions_that_have_gone_back_are_noticed() {
    let world = World::of_branch();
    world.company.branch().sql("UPDATE salesync.node SET watermark = '99999999:99999999:'");
    is_refused(&world, "its transactions have gone back behind the last cut");
    begins_anew(&world);
}

/// The epoch was committed, and the process killed before it could note that in the archive.
#[test]
fn a_new_epoch_that_was_decided_stays_decided() {
    let world = World::of_branch();
    let east = world.company.branch();
    let marker = east.folder.join("bundles/east/last-recorded.json");
    let before = fs::read(&marker).unwrap();
    let files = east.bundles();
    east.run(&["bundle", "--since", "all", "--offline"]).ok();
    // As if it had been killed right after the first commit: no bundle, and the old marker.
    east.sql(
        "DELETE FROM salesync.bundle WHERE epoch = (SELECT epoch FROM salesync.node);
              UPDATE salesync.node SET last_sequence = 0, last_manifest = NULL, watermark = NULL;
              UPDATE salesync.tracked_table SET is_complete = false",
    );
    east.bundles()
        .iter()
        .filter(|file| !files.contains(file))
        .for_each(|file| fs::remove_file(file).unwrap());
    fs::write(&marker, &before).unwrap();
    east.run(&["bundle"]).ok();
    world.company.head_office.run(&["apply"]).ok();
    world.company.assert_equal("public.sales");
    // A marker of yet another epoch is not what was decided about.
    let other: Value = serde_json::from_slice(&before).unwrap();
    let later = other["epoch"].as_str().unwrap().replace('0', "f");
    east.run(&["bundle", "--since", "all", "--offline"]).ok();
    fs::write(&marker, format!(r#"{{"epoch":"{later}","sequence":null,"manifest_sha256":null}}"#)).unwrap();
    east.run(&["bundle"]).exits(3).says(&["names the epoch"]);
}

/// Head office takes no epoch that is less than its own, and the database that was set back does not know that one.
#[test]
fn a_new_epoch_follows_the_one_that_the_marker_names_whatever_the_clock_says() {
    let world = World::of_branch();
    let east = world.company.branch();
    let marker = east.folder.join("bundles/east/last-recorded.json");
    let in_the_future = "03a35294-4000-7000-8000-000000000000";
    fs::write(&marker, format!(r#"{{"epoch":"{in_the_future}","sequence":7,"manifest_sha256":null}}"#))
        .unwrap();
    is_refused(&world, "names bundle 7");
    east.run(&["bundle", "--since", "all", "--offline"]).ok();
    assert_eq!(east.value(&format!("SELECT epoch > '{in_the_future}' FROM salesync.node")), "true");
}

#[test]
fn head_office_restored_from_a_dump_heals_from_its_own_archive() {
    let mut world = World::of_head_office();
    let dump = world.dump(&[]);
    world.go_on("Sold after the dump");
    world.go_on("And again");
    let (east, broker_url) = (world.company.branch(), world.company.broker_url.clone());
    east.run(&["bundle", "--since", "all"]).ok();
    world.company.head_office.run(&["apply"]).ok();
    world.go_on("In a new epoch");
    world.restore(&dump, "restored");
    world.company.head_office.database_url = world.server.url("restored");
    world.company.head_office.configure("role = \"head-office\"", &broker_url, "[branches.east]\n");
    let head = &world.company.head_office;
    assert_eq!(head.value("SELECT last_sequence FROM salesync.branch"), "1");
    // Nothing new has come; it heals all the same.
    let report = head.run(&["apply", "--json"]).ok().json();
    let applied: Vec<u64> =
        report["applied"].as_array().unwrap().iter().map(|line| line["sequence"].as_u64().unwrap()).collect();
    assert_eq!(applied, [2, 3, 1, 2], "{report}");
    world.company.assert_equal("public.sales");
    assert_eq!(head.run(&["compare", "--json"]).ok().json()["different"], 0);
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"], serde_json::json!([]));
    world.go_on("The day after");
}

/// Its archive went with it: what is in neither, the branch has kept.
#[test]
fn head_office_restored_with_its_archive_asks_the_branch_for_the_rest() {
    let mut world = World::of_head_office();
    let backup = world.copy_data("backup");
    let head_bundles = world.company.head_office.bundles();
    world.go_on("Sold after the backup");
    world.go_on("And again");
    world.put_back(&backup);
    let (east, head) = (world.company.branch(), &world.company.head_office);
    for lost in head.bundles().iter().filter(|bundle| !head_bundles.contains(bundle)) {
        fs::remove_file(lost).unwrap();
    }
    east.sell("The day after");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    let report = head.run(&["status", "--json"]).ok().json();
    assert_eq!(report["branches"][0]["missing"], serde_json::json!([2, 3]), "{report}");
    // The request is answered with the branch's next connection.
    drop(east.run(&["bundle"]));
    head.run(&["apply"]).ok();
    world.company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
    world.go_on("In order again");
}

#[test]
fn head_office_rewound_by_its_files_or_made_anew_heals_from_its_own_archive() {
    let mut world = World::of_head_office();
    let backup = world.copy_data("backup");
    world.go_on("Sold after the backup");
    world.company.branch().sell("On its way");
    world.company.branch().run(&["bundle"]).ok();
    world.put_back(&backup);
    let head: &Node = &world.company.head_office;
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"].as_array().unwrap().len(), 2);
    world.company.assert_equal("public.sales");
    world.go_on("The day after");

    // With a new database there is nothing but the archive.
    world.server.drop_database("own").unwrap();
    world.server.create_database("own").unwrap();
    let head = &world.company.head_office;
    head.configure("role = \"head-office\"", &world.company.broker_url, "[branches.east]\n");
    head.run(&["init"]).ok();
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"].as_array().unwrap().len(), 4);
    world.company.assert_equal("public.sales");
    world.go_on("In the new one");
}
