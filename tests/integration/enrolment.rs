//! A branch comes, is believed, and goes: `enroll`, `join`, `revoke`, `leave`, by the branch's own user at the broker.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use salesync::broker::{Broker, BrokerAddress, ConnectOptions};
use salesync::domain::{Probe, ProbeAnswer, Signable, SigningKey};
use salesync::sandbox::wait_until;

use crate::certificates::Authority;
use crate::company::{Company, Node, Run};
use crate::delivery::rejection;
use crate::enrolled::{KEY, public_key};
use crate::running::Running;
use crate::servers::{control_broker, fresh_database, fresh_vhost};

const LIMIT: Duration = Duration::from_mins(2);

/// A head office with a key and without branches.
pub fn head_office() -> Company {
    let company = Company::on(fresh_vhost(), fresh_database, &[], "");
    let head = &company.head_office;
    head.configure("role = \"head-office\"", &company.broker_url, &format!("[signing]\nkey = \"{KEY}\"\n"));
    head.run(&["keygen"]).ok();
    head.run(&["init"]).ok();
    // `rabbitmqctl` runs as the servers do.
    fs::set_permissions(head.folder.parent().unwrap(), Permissions::from_mode(0o711)).unwrap();
    company
}

/// An empty machine with an empty database. Users of the broker are those of all tests, so each test has names of its own.
pub fn machine(company: &Company, name: &str) -> Node {
    let folder = company.head_office.folder.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    Node { name: name.to_owned(), folder, database_url: fresh_database() }
}

/// Head office enrols it, and the broker's administrator imports what belongs to it. Returns its file's name there.
fn enrol(company: &Company, branch: &Node) -> String {
    let head = &company.head_office;
    let file = format!("{}.toml", branch.name);
    head.run(&["enroll", &branch.name, "--out", &file]).ok();
    let definitions = head.folder.join(format!("{}.broker.json", branch.name));
    control_broker(&["import_definitions", definitions.to_str().unwrap()]);
    format!("../head/{file}")
}

fn join(branch: &Node, file: &str, wait: &str) -> Run {
    branch.run(&["join", file, "--database", &branch.database_url, "--with-sales", "--wait", wait])
}

/// Joined, with its key in force.
fn joined(company: &Company, name: &str) -> Node {
    let branch = machine(company, name);
    let file = enrol(company, &branch);
    join(&branch, &file, "0s").exits(75);
    company.head_office.run(&["enroll", name, "--confirm", &public_key(&branch).to_string()]).ok();
    branch
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The password in a configuration's broker URL.
fn password(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let (_, rest) = text.split_once("amqp://").unwrap();
    rest.split_once('@').unwrap().0.split_once(':').unwrap().1.to_owned()
}

fn broker_of(branch: &Node) -> Broker {
    let text = fs::read_to_string(branch.folder.join("salesync.toml")).unwrap();
    let url = text.lines().find_map(|line| line.strip_prefix("url = \"amqp")).unwrap();
    let address = BrokerAddress::parse(&format!("amqp{}", url.trim_end_matches('"'))).unwrap();
    Broker::connect(&address, &ConnectOptions::default()).unwrap()
}

/// What head office says of the branch's key by now.
fn standing(branch: &Node) -> String {
    let run = branch.run(&["join", "--json", "--wait", "30s"]).ok();
    run.json()["standing"].as_str().unwrap().to_owned()
}

/// Waits until the `apply` that runs holds the branch's key so.
pub fn await_standing(branch: &Node, wanted: &str) {
    let held =
        wait_until(
            LIMIT,
            "head office to hold the key so",
            || Ok((standing(branch) == wanted).then_some(())),
        );
    held.unwrap();
}

#[test]
fn a_branch_enrols_joins_is_confirmed_sells_and_is_revoked_beside_a_running_apply() {
    let company = head_office();
    let head = &company.head_office;
    let north = machine(&company, "enrol-north");
    let file = enrol(&company, &north);

    // Nothing can have come from it yet.
    head.run(&["status", "--check"]).ok();

    // Its file is its owner's, and the password is in nothing else.
    let offered = head.folder.join("enrol-north.toml");
    let password = password(&offered);
    assert_eq!((mode(&offered), password.len()), (0o600, 43));
    let definitions = fs::read_to_string(head.folder.join("enrol-north.broker.json")).unwrap();
    assert!(!definitions.contains(&password) && definitions.contains("password_hash"), "{definitions}");

    // Before head office runs `apply`, everything but its answer can be had.
    let run =
        join(&north, &file, "0s").exits(75).says(&["head office has failed", "goes on where it stopped"]);
    let said = run.stdout();
    for line in [
        "configuration: ",
        "key: ",
        "database: answers",
        "capture: public.sales made",
        "broker: logged in as enrol-north",
    ] {
        assert!(said.contains(line), "{line:?} in {said}");
    }
    assert!(said.contains("FAILED: asking head office: no answer within 0s"), "{said}");
    assert!(said.contains("cure: head office's `apply` is not running"), "{said}");
    let configuration = north.folder.join("salesync.toml");
    assert_eq!((mode(&configuration), mode(&north.folder.join(KEY))), (0o600, 0o600));
    let before = fs::read(&configuration).unwrap();

    // The answer to the earlier probe comes too, and is none to this one.
    let apply = Running::start(head, &["apply", "--follow", "-vv"]);
    north
        .run(&["join", &file, "--database", "postgres://elsewhere/"])
        .exits(78)
        .says(&["joining: configuration has failed"]);
    let run = north.run(&["join", &file, "-vv", "--database", &north.database_url, "--wait", "60s"]).ok();
    let key = public_key(&north);
    let (told, said) = (run.stdout(), run.stderr());
    assert!(told.contains("proven by its key; it has seen this key, and waits"), "{told}");
    let confirm = format!("salesync enroll enrol-north --confirm {key}");
    assert!(told.contains(&format!("  {confirm}\n")) && told.contains(&key.id().to_string()), "{told}");
    assert_eq!(fs::read(&configuration).unwrap(), before, "the configuration is not written again");
    apply.has_said(&confirm);
    assert!(!told.contains(&password) && !said.contains(&password), "{told}{said}");

    // Without its key in force nothing of it is taken, signed or not.
    north.sell("Ink");
    north.run(&["bundle"]).ok();
    apply.has_said("which is none of enrol-north's");
    assert!(head.run(&["status"]).ok().stdout().contains(&confirm));
    let confirmed = head.run(&["enroll", "enrol-north", "--confirm", &key.to_string(), "--json"]).ok().json();
    assert_eq!((&confirmed["presented"], &confirmed["key_id"]), (&true.into(), &key.id().to_string().into()));
    await_standing(&north, "confirmed");
    head.run(&["retry", "enrol-north"]).ok();
    apply.has_said("enrol-north 1: applied");
    north.sell("Pens");
    north.run(&["sync"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales WHERE branch = 'enrol-north'"), "2");

    // Revoked, nothing more of it is taken, and nothing is missed.
    let tried = head.run(&["revoke", "enrol-north", "--dry-run", "--json"]).ok().json();
    assert_eq!(tried["key_ids"][0], key.id().to_string());
    assert_eq!(standing(&north), "confirmed", "a dry run changes nothing");
    let run = head.run(&["revoke", "enrol-north"]).ok();
    assert!(run.stdout().contains("rabbitmqctl delete_user enrol-north"), "{}", run.stdout());
    assert!(!head.run(&["status"]).ok().stdout().contains("not confirmed"));
    await_standing(&north, "revoked");
    north.sell("Tape");
    north.run(&["bundle"]).ok();
    apply.has_said("was revoked at");
    let log = apply.stops().ok().stderr();
    assert!(!log.contains(&password), "{log}");
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "2");
    head.run(&["enroll", "enrol-north", "--confirm", &key.to_string()])
        .exits(2)
        .says(&["it has been revoked"]);
}

#[test]
fn a_probe_or_an_answer_of_a_stranger_is_not_believed() {
    let company = head_office();
    let head = &company.head_office;
    let branch = joined(&company, "enrol-west");
    let (ours, theirs) = (public_key(&branch), SigningKey::generate().unwrap());
    // The probe of `join` waits in the queue.
    head.run(&["apply"]).ok();
    assert_eq!(
        head.value("SELECT string_agg(public_key, ' ') FROM salesync.presented_key"),
        ours.to_string()
    );

    // Whoever has the branch's password and not its key: with its public key, and with a key of his own.
    let mut broker = broker_of(&branch);
    let probe = Probe::new("enrol-west".parse().unwrap(), ours);
    let body = serde_json::to_vec(&probe).unwrap();
    let forged = theirs.sign(Signable::Probe, &body);
    broker.publish_probe("enrol-west", "forged", &body, &forged).unwrap();
    head.run(&["apply"])
        .ok()
        .says(&["a probe in the queue of enrol-west is refused", "somebody else has made it"]);
    let dead = company.broker().next_dead().unwrap().expect("it is with the dead letters");
    assert!(dead.headers.reason.unwrap().contains("somebody else has made it"));
    let probe = Probe::new("enrol-west".parse().unwrap(), theirs.public());
    let body = serde_json::to_vec(&probe).unwrap();
    broker.publish_probe("enrol-west", "own", &body, &theirs.sign(Signable::Probe, &body)).unwrap();
    head.run(&["apply"]).ok().says(&["waits for it to be confirmed: compare the id by telephone"]);
    assert_eq!(head.value("SELECT count(*) FROM salesync.presented_key"), "2");
    let settings = fs::read_to_string(head.folder.join("branches.d/enrol-west.toml")).unwrap();
    assert!(!settings.contains(&theirs.public().to_string()), "{settings}");

    // Somebody at the broker answers in head office's name: to every probe, and that its key counts.
    let mut stranger = company.broker().signing_with(Some(theirs));
    let answered = std::thread::scope(|scope| {
        let joining = scope.spawn(|| branch.run(&["join", "--wait", "5s"]));
        let asked =
            wait_until(LIMIT, "the branch's probe", || Ok(stranger.next_bundle("enrol-west").unwrap()));
        let probe: Probe = serde_json::from_slice(&asked.unwrap().payload).unwrap();
        let answer = ProbeAnswer::new(&probe, salesync::domain::KeyStanding::Confirmed);
        let body = serde_json::to_vec(&answer).unwrap();
        stranger.publish_answer("enrol-west", "forged", &body).unwrap();
        joining.join().unwrap()
    });
    let told = answered.exits(3).stdout();
    assert!(told.contains("what has answered is not proven to be head office"), "{told}");
    assert!(told.contains("compare the id of head office's key by telephone"), "{told}");
    // Head office itself is believed.
    let apply = Running::start(head, &["apply", "--follow"]);
    assert_eq!(standing(&branch), "confirmed");
    apply.stops().ok();
}

#[test]
fn what_would_be_enrolled_by_mistake_is_refused() {
    let company = head_office();
    let head = &company.head_office;
    for name in ["East", "../east", "a b", "east\n", "", "-x", "ost\u{e9}", "\"; DROP", &"x".repeat(64)] {
        head.run(&["enroll", "--out", "x.toml", "--", name]).exits(2);
    }
    // Importing this would give head office's own user another password.
    head.run(&["enroll", "salesync", "--out", "x.toml"])
        .exits(2)
        .says(&["head office itself", "another name"]);
    head.run(&["enroll", "head", "--out", "x.toml"]).exits(2).says(&["head office itself"]);
    assert!(!head.folder.join("branches.d").exists() && !head.folder.join("x.toml").exists());
    head.run(&["enroll", "enrol-x", "--confirm", "ed25519:00"]).exits(2);
    head.run(&["revoke", "enrol-x"]).exits(78).says(&["head office knows no such branch"]);

    fs::write(head.folder.join("there.toml"), "precious").unwrap();
    head.run(&["enroll", "enrol-x", "--out", "there.toml"]).exits(1).says(&["never overwritten"]);
    assert_eq!(fs::read_to_string(head.folder.join("there.toml")).unwrap(), "precious");
    let printed = head.run(&["enroll", "enrol-x"]).ok();
    assert!(printed.stdout().contains("node = \"enrol-x\"") && printed.stdout().contains("amqp://enrol-x:"));
    assert!(!printed.stderr().contains("amqp://"), "{}", printed.stderr());
    head.run(&["enroll", "enrol-x", "--out", "y.toml"]).exits(1).says(&["it is enrolled", "--again"]);
    let first = head.folder.join("first.toml");
    fs::write(&first, printed.stdout()).unwrap();
    head.run(&["enroll", "enrol-x", "--out", "y.toml", "--again"]).ok();
    assert_ne!(password(&first), password(&head.folder.join("y.toml")));

    // In the configuration file and in a file of its own would be two truths.
    let text = fs::read_to_string(head.folder.join("salesync.toml")).unwrap();
    fs::write(head.folder.join("salesync.toml"), format!("{text}[branches.enrol-x]\n")).unwrap();
    head.run(&["status"]).exits(78).says(&["branches.d/enrol-x.toml", "there is also a section"]);
    fs::write(head.folder.join("salesync.toml"), format!("{text}[branches.enrol-y]\n")).unwrap();
    head.run(&["enroll", "enrol-y", "--out", "z.toml"]).exits(78).says(&["move what is in that section"]);

    // The file is for one branch, and for no head office.
    let branch = machine(&company, "enrol-x");
    branch.run(&["join", "../head/y.toml"]).exits(2);
    head.run(&["join", "salesync.toml"]).exits(2);
    branch.configure("role = \"branch\"", &company.broker_url, "tables = [\"public.t\"]\n");
    branch.run(&["join", "../head/y.toml", "--wait", "0s"]).exits(78);
}

/// Somebody has its password: it gets another one.
#[test]
fn a_branchs_enrolment_is_renewed_and_what_differs_is_named() {
    let company = head_office();
    let (head, branch) = (&company.head_office, joined(&company, "enrol-again"));
    let file = branch.folder.join("salesync.toml");
    let before = fs::read_to_string(&file).unwrap();
    let id = public_key(&branch).id();
    branch.sell("Ink");
    branch.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    let mut thief = broker_of(&branch);
    while let Some(taken) = thief.next_receipt("enrol-again").unwrap() {
        thief.acknowledge(taken).unwrap();
    }

    let own = head.folder.join("salesync.toml");
    let with_authority =
        fs::read_to_string(&own).unwrap().replace("[broker]", "[broker]\nca_file = \"ca.pem\"");
    fs::write(&own, with_authority).unwrap();
    Authority::called("ours").write(head.folder.join("ca.pem"));
    head.run(&["enroll", "enrol-again", "--again", "--out", "second.toml"]).ok();
    control_broker(&["import_definitions", head.folder.join("second.broker.json").to_str().unwrap()]);
    branch.run(&["bundle"]).exits(77);

    // The new file is not that of the configuration that is there.
    let refused = join(&branch, "../head/second.toml", "0s").exits(78).stdout();
    for words in [
        "salesync.toml in [broker], ",
        "in `ca_file` of [broker] differ; nothing was changed",
        "or remove them and run this again: the key stays",
    ] {
        assert!(refused.contains(words), "{words:?} in {refused}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    fs::remove_file(&file).unwrap();
    let told = join(&branch, "../head/second.toml", "0s").exits(75).stdout();
    assert!(told.contains(&format!("is there, id {id}")) && told.contains("broker: logged in"), "{told}");
    let authority = branch.folder.join("broker-ca.pem");
    fs::write(&authority, "another").unwrap();
    let refused = join(&branch, "../head/second.toml", "0s").exits(78).stdout();
    assert!(refused.contains("broker-ca.pem differs"), "{refused}");
    fs::remove_file(&authority).unwrap();
    join(&branch, "../head/second.toml", "0s").exits(75);
    assert!(authority.exists());

    // What the thief has taken out of the queue comes again.
    head.run(&["apply"]).ok();
    branch.run(&["bundle"]).ok();
    assert_eq!(branch.value("SELECT count(*) FROM salesync.log_1"), "1");
    branch.run(&["resend", "1"]).ok();
    head.run(&["apply"]).ok();
    branch.run(&["bundle"]).ok();
    assert_eq!(branch.value("SELECT count(*) FROM salesync.log_1"), "0");
}

#[test]
fn a_branch_that_has_left_has_no_trigger_and_keeps_its_archive() {
    let company = head_office();
    let (head, branch) = (&company.head_office, joined(&company, "enrol-south"));
    branch.sell("Ink");
    branch.run(&["leave"]).exits(3).says(&["1 changed row not proven", "--even-if-unproven"]);
    branch.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    branch.run(&["bundle"]).ok();
    let triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'salesync%'";
    let tried = branch.run(&["leave", "--purge", "--dry-run", "--json"]).ok().json();
    assert_eq!((&tried["untracked"][0], &tried["dry_run"]), (&"public.sales".into(), &true.into()));
    assert_eq!(branch.value(triggers), "6");
    branch.run(&["leave"]).ok();
    assert_eq!(branch.value(triggers), "0");
    branch.sell("Pens");
    branch.run(&["bundle"]).exits(78).says(&["no table is captured here"]);
    branch.run(&["leave", "--purge"]).exits(2).says(&["nobody to ask", "--confirm"]);
    branch.run(&["leave", "--purge", "--confirm", "enrol-west"]).exits(2);
    branch.run(&["leave", "--purge", "--confirm", "enrol-south"]).ok();
    assert_eq!(branch.value("SELECT to_regnamespace('salesync') IS NULL"), "true");
    assert_eq!(branch.value("SELECT count(*) FROM public.sales"), "2");
    assert_eq!(branch.bundles().len(), 1);

    head.sql("UPDATE salesync.branch SET last_applied_at = now() - interval '3 days', known_since = now() - interval '4 days'");
    head.run(&["status", "--check"]).exits(3);
    // What it sealed before is a duplicate; what it would seal after that is revoked, by file as well.
    head.run(&["revoke", "enrol-south"]).ok();
    let known = fs::read_to_string(head.folder.join("branches.d/enrol-south.toml")).unwrap();
    fs::write(head.folder.join("branches.d/enrol-south.toml"), known.replace("1day 2h", "1ms")).unwrap();
    head.run(&["status", "--check"]).ok();
    branch.run(&["init"]).ok();
    branch.run(&["bundle", "--offline", "--since", "all"]).exits_with_any(&[0, 3]);
    let newest = branch.bundles().pop().unwrap();
    let reason = rejection(head, &["apply", "--json", newest.to_str().unwrap()]);
    assert!(reason.contains("was revoked at"), "{reason}");

    // It comes back, and is not late for the time when it was away.
    fs::write(head.folder.join("branches.d/enrol-south.toml"), known).unwrap();
    head.run(&["enroll", "enrol-south", "--again", "--out", "back.toml"]).ok();
    assert_eq!(head.run(&["status", "--json"]).ok().json()["branches"][0]["late"], false);
}
