//! The command line as scripts know it: exit statuses, what goes where, the names in the JSON.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use serde_json::Value;

use crate::company::{Company, Node, Run, SALES};

const AWAY: &str = "postgres://salesync:Pa55word@127.0.0.1:1/none";
const BROKER_AWAY: &str = "amqp://salesync:Pa55word@127.0.0.1:1/none";

/// One line that says what was being done and why it failed, and a hint; nothing else, and no secret.
#[track_caller]
fn fails(run: Run, status: i32, words: &[&str]) -> Run {
    let run = run.exits(status).says(words);
    let said = run.stderr();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("salesync: ") && lines[0].matches(": ").count() >= 2, "{said}");
    assert!(lines.len() == 2 && lines[1].starts_with("hint: "), "{said}");
    assert!(!said.contains("db error") && !said.contains("Pa55word"), "{said}");
    assert_eq!(run.stdout(), "");
    run
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[track_caller]
fn has_keys(object: &Value, names: &str) {
    let present = keys(object);
    for name in names.split(' ') {
        assert!(present.contains(&name), "no {name} in {object}");
    }
}

#[test]
fn the_names_in_the_json_are_those_that_scripts_rely_on() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    let bundle = east.run(&["bundle", "--json"]).ok();
    assert_eq!(bundle.stdout().lines().count(), 1);
    let bundle = bundle.json();
    has_keys(&bundle, "bundles pending receipts");
    let line = "branch sequence bundle_id file manifest_sha256 rows tombstones bytes state";
    has_keys(&bundle["bundles"][0], line);
    assert_eq!(bundle["bundles"][0]["file"], east.bundles()[0].display().to_string());

    let applied = head.run(&["apply", "--json"]).ok().json();
    has_keys(&applied, "applied duplicates held rejected");
    has_keys(&applied["applied"][0], "branch sequence bundle_id rows tombstones");
    assert_eq!(applied["applied"][0]["bundle_id"], bundle["bundles"][0]["bundle_id"]);
    let broken = head.folder.join("broken.bundle");
    fs::write(&broken, b"x").unwrap();
    let rejected = head.run(&["apply", "--json", "broken.bundle"]).exits(65).json();
    has_keys(&rejected["rejected"][0], "branch sequence reason");
    let replayed = head.run(&["replay", "bundles", "--json"]).ok().json();
    has_keys(&replayed, "applied duplicates held rejected");

    let at_head = head.run(&["status", "--json"]).ok().json();
    has_keys(&at_head, "node role branches");
    has_keys(&at_head["branches"][0], "branch last_sequence last_applied_at held missing late");
    assert_eq!((&at_head["node"], &at_head["role"]), (&"head".into(), &"head-office".into()));
    let at_branch = east.run(&["status", "--json"]).ok().json();
    has_keys(&at_branch, "node role unsynced pending last_published last_applied");
    assert_eq!((&at_branch["role"], &at_branch["last_published"]), (&"branch".into(), &1.into()));

    let verified = head.run(&["verify", "bundles", "--json"]).ok().json();
    has_keys(&verified, "files");
    has_keys(&verified["files"][0], "file branch sequence ok error");
}

#[test]
fn quiet_prints_nothing_and_help_prints_to_stdout() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    let quiet = |node: &Node, command: &str| {
        let run = node.run(&[command, "-q"]).ok();
        assert_eq!((run.stdout(), run.stderr()), (String::new(), String::new()), "{command}");
    };
    for command in ["init", "bundle", "status"] {
        quiet(east, command);
    }
    for command in ["apply", "status", "init"] {
        quiet(head, command);
    }
    for arguments in [&["--help"][..], &["--version"], &["help", "bundle"], &["apply", "--help"]] {
        let run = east.run(arguments).ok();
        assert!(!run.stdout().is_empty() && run.stderr().is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_call_is_2_and_prints_nothing_to_stdout() {
    let company = Company::new(&["east"], SALES);
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["bundle", "--since", "yesterday"],
        &["bundle", "--since", "0"],
        &["resend"],
        &["resend", "3..1"],
        &["apply", "--check"],
        &["replay", "x", "--branch", "No Name"],
        &["verify"],
        &["status", "-q", "-v"],
    ] {
        let run = company.branch().run(arguments).exits(2);
        assert!(run.stdout().is_empty() && !run.stderr().is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_command_at_the_wrong_node_is_2() {
    let company = Company::of_sales(&["east"]);
    for command in [&["bundle"][..], &["resend", "1"], &["import", "x.csv"]] {
        fails(company.head_office.run(command), 2, &["head is head office", "at a branch"]);
    }
    for command in [&["apply"][..], &["replay", "bundles"]] {
        fails(company.branch().run(command), 2, &["east is a branch", "at head office"]);
    }
    fails(company.head_office.run(&["init", "--with-sales"]), 2, &["--with-sales"]);
    fails(company.branch().run(&["resend", "7..9"]), 2, &["the bundles 7 to 9"]);
    fails(company.branch().run(&["bundle", "--since", "9"]), 2, &["bundle 9"]);
}

#[test]
fn a_wrong_configuration_is_78_with_the_line_and_never_a_password() {
    let company = Company::new(&["east"], SALES);
    let east = company.branch();
    let file = east.folder.join("salesync.toml");
    let right = fs::read_to_string(&file).unwrap();
    let named = |text: &str, words: &[&str]| {
        fs::write(&file, text).unwrap();
        fails(east.run(&["status"]), 78, words);
    };
    named(&format!("tabels = []\n{right}"), &["salesync.toml: line 1: ", "tabels", "tables"]);
    named(&right.replace("url = \"postgres://", "urll = \"postgres://me:Pa55word@"), &["line 5: ", "urll"]);
    named(&format!("{right}[bundle]\nmax_bytes = \"1 GiB\"\n"), &["max_bytes", "64 KiB"]);
    named(&format!("{right}[bundle]\ncompression_level = 99\n"), &["compression_level", "19"]);
    named(&format!("{right}[bundle]\ndebounce = \"1m\"\n"), &["debounce", "10s"]);
    named(&format!("{right}[bundle]\ndebounce = \"soon\"\n"), &["line 12: "]);
    named(&right.replace("role = \"branch\"", "role = \"Branch\""), &["line 2: ", "branch"]);
    named(&right.replace("node = \"east\"", "node = \"East Side\""), &["line 1: ", "East Side", "a-z"]);
    named("node = \"east\"\nrole = \"branch\"\ndatabase = \"postgres://me:Pa55word@h/d\"\n", &["line 3: "]);
    named("node = \"east", &["line 1: "]);
    named("node = \"east\"\nrole = \"branch\"\n", &["no URL is configured", "SALESYNC_DATABASE_URL"]);
    named(&right.replace("public.sales", "public.sales; drop"), &["public.sales; drop"]);
    for url in ["postgres://me:Pa55word@h:port/d", "Pa55word", "http://me:Pa55word@h", ""] {
        let base = "node = \"east\"\nrole = \"branch\"\n[database]\n";
        named(&format!("{base}url = \"{url}\"\n"), &["database.url"]);
    }
    fs::write(&file, b"node = \xff").unwrap();
    fails(east.run(&["status"]), 78, &["salesync.toml"]);
    fs::remove_file(&file).unwrap();
    fails(east.run(&["status"]), 78, &["there is no salesync.toml here"]);
    fails(east.run(&["status", "--config", "other.toml"]), 78, &["other.toml"]);
}

#[test]
fn the_broker_address_is_checked_without_showing_its_password() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    for url in [
        "amqp://me:Pa55word@[2001:db8::1]/v",
        "http://me:Pa55word@h/v",
        "Pa55word",
        "",
        "amqp://me:Pa55word@h:x/v",
    ] {
        let run = Run::of(east.command(&["bundle"]).env("SALESYNC_BROKER_URL", url)).exits(78);
        let said = run.stderr();
        assert!(!said.contains("Pa55word") && said.lines().count() == 2, "{said}");
    }
}

#[test]
fn what_is_away_is_69_or_75_and_what_is_forbidden_77() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    let with = |node: &Node, command: &str, name: &str, url: &str| {
        Run::of(node.command(&[command, "-q"]).env(name, url))
    };
    for (node, command) in [(east, "bundle"), (east, "status"), (head, "apply"), (head, "init")] {
        let run = with(node, command, "SALESYNC_DATABASE_URL", AWAY);
        fails(run, 69, &["postgres://salesync@127.0.0.1:1/none", "database.url"]);
    }
    fails(with(head, "apply", "SALESYNC_BROKER_URL", BROKER_AWAY), 69, &["127.0.0.1:1"]);
    fails(with(east, "bundle", "SALESYNC_BROKER_URL", BROKER_AWAY), 75, &["safe in the archive"]);

    let wrong_password = company.broker_url.replace(":sandbox@", ":Pa55word@");
    assert_ne!(wrong_password, company.broker_url);
    fails(with(east, "bundle", "SALESYNC_BROKER_URL", &wrong_password), 77, &["password"]);
    fails(with(head, "apply", "SALESYNC_BROKER_URL", &wrong_password), 77, &["password"]);
    let no_database = format!("{}_missing", east.database_url);
    fails(with(east, "bundle", "SALESYNC_DATABASE_URL", &no_database), 78, &["does not exist", "create"]);
    // Nothing of it was lost: the right URLs go on.
    assert_eq!(east.run(&["bundle", "--json"]).ok().json()["bundles"].as_array().unwrap().len(), 1);
}

#[test]
fn a_branch_without_a_queue_is_78_and_its_bundle_stays() {
    let company = Company::new(&["east"], SALES);
    let east = company.branch();
    east.run(&["init", "--with-sales"]).ok();
    east.sell("Ink");
    // Head office has not been prepared at all, so there is not even an exchange.
    let run = east.run(&["bundle"]).exits(78).says(&["salesync init"]);
    assert!(run.stdout().contains("sealed"), "{}", run.stdout());
    // Head office does not know this branch.
    company.broker().declare_topology(&["west"]).unwrap();
    east.run(&["bundle"]).exits(78).says(&["no queue takes it", "hint: ", "salesync init"]);
    company.head_office.run(&["init"]).ok();
    assert_eq!(east.run(&["bundle", "--json"]).ok().json()["bundles"][0]["sequence"], 1);
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_missing_queue_does_not_keep_head_office_from_the_others() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let branches = "[branches.absent]\n[branches.east]\n[branches.zero]\n";
    head.configure("role = \"head-office\"", &company.broker_url, branches);
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    let run = head.run(&["apply"]).exits(78).says(&["salesync.bundles.absent", "salesync.bundles.zero"]);
    assert_eq!(run.stderr().matches("salesync: ").count(), 2, "{}", run.stderr());
    company.assert_equal("public.sales");
}

#[test]
fn the_environment_names_files_and_servers() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    let moved = east.folder.join("elsewhere.toml");
    let text = fs::read_to_string(east.folder.join("salesync.toml")).unwrap();
    let url = east.program_url();
    let text = text.replace(&url, AWAY).replace(&company.broker_url, BROKER_AWAY);
    fs::write(&moved, text).unwrap();
    fs::remove_file(east.folder.join("salesync.toml")).unwrap();

    let run = |arguments: &[&str]| {
        let mut command = east.command(arguments);
        command.current_dir("/").env("SALESYNC_DATABASE_URL", &url);
        command.env("SALESYNC_BROKER_URL", &company.broker_url);
        command
    };
    Run::of(&mut run(&["status"])).exits(78);
    Run::of(run(&["status"]).env("SALESYNC_CONFIG", &moved)).ok();
    let named = moved.display().to_string();
    // The flag goes before the variable, and the archive lies beside the file.
    Run::of(run(&["bundle", "--config", &named]).env("SALESYNC_CONFIG", "/nonexistent")).ok();
    assert_eq!(east.bundles().len(), 1);
    fails(Run::of(run(&["status"]).env("SALESYNC_CONFIG", "/nonexistent")), 78, &["/nonexistent"]);
}

#[test]
fn a_database_belongs_to_one_node() {
    let company = Company::of_sales(&["east", "west"]);
    let [east, west] = &company.branches[..] else { panic!("two branches") };
    let borrowed = |node: &Node, command: &str, owner: &Node| {
        Run::of(node.command(&[command]).env("SALESYNC_DATABASE_URL", owner.program_url()))
    };
    fails(borrowed(west, "init", east), 78, &["the branch east", "the branch west"]);
    fails(borrowed(west, "bundle", east), 78, &["east"]);
    fails(borrowed(&company.head_office, "init", east), 78, &["the branch east", "the head-office head"]);
    fails(borrowed(east, "init", &company.head_office), 78, &["the head-office head"]);
    fails(borrowed(east, "status", &company.head_office), 78, &["head-office head"]);
    fails(borrowed(east, "bundle", &company.head_office), 78, &["head-office head"]);
    fails(borrowed(&company.head_office, "apply", east), 78, &["branch east"]);
    fails(borrowed(&company.head_office, "status", east), 78, &["branch east"]);
}

#[test]
fn nothing_works_before_init_and_says_so() {
    let company = Company::new(&["east"], SALES);
    for command in ["bundle", "status"] {
        fails(company.branch().run(&[command]), 78, &["salesync init"]);
    }
    for command in [&["apply"][..], &["status"], &["replay", "."]] {
        fails(company.head_office.run(command), 78, &["salesync init"]);
    }
    fails(company.branch().run(&["init"]), 78, &["public.sales", "--with-sales"]);
}

#[test]
fn the_second_of_two_says_who_is_at_work_and_does_nothing() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    let hold = |node: &Node, key: i32| {
        let mut client = node.client();
        client.batch_execute("SET application_name = 'salesync nightly'").unwrap();
        client.query("SELECT pg_advisory_lock(x'73616c65'::int, $1)", &[&key]).unwrap();
        client
    };
    let holder = hold(east, 2);
    for command in [&["bundle"][..], &["resend", "1"]] {
        fails(east.run(command), 75, &["salesync nightly (server process"]);
    }
    drop(holder);
    assert_eq!(east.bundles().len(), 0);
    east.run(&["bundle"]).ok();
    let holder = hold(head, 3);
    for command in [&["apply"][..], &["replay", "."]] {
        fails(head.run(command), 75, &["salesync nightly (server process"]);
    }
    drop(holder);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sql("INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
              SELECT '2021-05-02', md5(n::text), md5(n::text), 1, 1, 1, 0, 1 FROM generate_series(1, 20000) n");
    east.run(&["bundle"]).ok();
    let bundle = east.bundles()[0].display().to_string();
    for arguments in [&["inspect", "--rows", &bundle][..], &["status"], &["--help"], &["-vv", "status"]] {
        let mut child = east.command(arguments).spawn().unwrap();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        if arguments[0] == "inspect" {
            stdout.read_exact(&mut [0; 10]).unwrap();
        }
        drop(stdout);
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    // Nobody listens to what it says either.
    let mut child = east.command(&["bundle", "-vv"]).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
