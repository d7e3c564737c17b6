//! What a user reads when the broker or the line fails: `docs/broker-faults.md`, row by row, with the real program.
//! After each fault nothing is lost, and the next run goes on.

mod broker;
mod line;
mod login;
mod tls;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use salesync::sandbox::{BrokerServer, Definitions, Sandbox, wait_until};

use self::tls::Certificates;
use crate::company::{Company, Run, SALES};

const ROLE: [&str; 2] = ["role = \"branch\"", "role = \"head-office\""];
const EAST: &str = "[branches.east]\n";

const VHOSTS: [&str; 11] = [
    "rights",
    "other",
    "tls",
    "large",
    "full",
    "alarm",
    "killed",
    "killed-fetching",
    "frozen",
    "frozen-fetching",
    "slow-apply",
];

/// A broker whose trouble concerns no other test; those here take turns.
struct Troubled {
    server: Mutex<BrokerServer>,
    certificates: Certificates,
    sandbox: Sandbox,
}

static TROUBLED: LazyLock<Troubled> = LazyLock::new(|| {
    let sandbox = Sandbox::new().unwrap();
    let certificates = Certificates::made_in(sandbox.path());
    let definitions = Definitions::with_vhosts(VHOSTS)
        .with_branch("rights", "east", "pw")
        .with_branch("rights", "west", "pw")
        .with_plugin("rabbitmq_auth_mechanism_ssl")
        .with_settings(&certificates.settings());
    let server = BrokerServer::start(&sandbox, "troubled", &definitions).unwrap();
    Troubled { server: Mutex::new(server), certificates, sandbox }
});

fn troubled() -> MutexGuard<'static, BrokerServer> {
    TROUBLED.server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A head office and the branch `east` at the broker of this URL, with one sale that has arrived.
fn company_at(url: &str) -> Company {
    let mut company = Company::new(&["east"], SALES);
    url.clone_into(&mut company.broker_url);
    at_branch(&company, url);
    at_head_office(&company, url);
    company.head_office.run(&["init"]).ok();
    company.branch().run(&["init", "--with-sales"]).ok();
    company.branch().sell("Ink");
    company.sync();
    company
}

fn at_branch(company: &Company, url: &str) {
    company.branch().configure(ROLE[0], url, SALES);
}

fn at_head_office(company: &Company, url: &str) {
    company.head_office.configure(ROLE[1], url, EAST);
}

/// The fault is over: what is pending goes, what waits is applied, and both sides are equal.
fn assert_goes_on(company: &Company) {
    at_branch(company, &company.broker_url);
    at_head_office(company, &company.broker_url);
    let sent = company.branch().run(&["bundle", "--json"]).ok().json();
    assert_eq!(sent["pending"], 0, "{sent}");
    let last = company.branch().value("SELECT max(sequence) FROM salesync.bundle");
    // A message that the broker had given out comes back a moment after it has missed its receiver.
    wait_until(Duration::from_secs(90), "the last bundle to be applied", || {
        company.head_office.run(&["apply"]).ok();
        Ok((company.head_office.value("SELECT max(last_sequence) FROM salesync.branch") == last)
            .then_some(()))
    })
    .unwrap();
    company.assert_equal("public.sales");
    // The answers arrive, too.
    company.branch().run(&["bundle"]).ok();
    assert_eq!(company.branch().value("SELECT count(*) FROM salesync.bundle WHERE state <> 'applied'"), "0");
}

/// How many of the branch's bundles wait to be confirmed.
fn pending(company: &Company) -> String {
    company.branch().value("SELECT count(*) FROM salesync.bundle WHERE state = 'sealed'")
}

fn table() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/broker-faults.md");
    fs::read_to_string(path).unwrap()
}

/// The cells of the table's rows: fault, sentence, status of `bundle`, status of `apply`.
fn rows(table: &str) -> impl Iterator<Item = [&str; 4]> {
    let lines = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.map(|line| line.split(" | ").collect::<Vec<_>>().try_into().expect("four cells"));
    cells.filter(|cells: &[&str; 4]| cells[0] != "fault")
}

/// The run ended with what the table says about this fault and this command: the sentence, a hint, the status.
fn assert_told(fault: &str, command: &str, run: Run) {
    let table = table();
    let [_, sentence, bundle, apply] = rows(&table).find(|row| row[0] == fault).expect(fault);
    let status = if command == "bundle" { bundle } else { apply };
    let run = run.exits(status.parse().unwrap_or_else(|_| panic!("{fault}: {command} says nothing of it")));
    let said = run.stderr();
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with("salesync: ")).expect(&said);
    assert!(matches(lines[last], &format!("salesync: {}", sentence.trim_matches('`'))), "{fault}: {said}");
    assert!(lines.get(last + 1).is_some_and(|line| line.starts_with("hint: ")), "{fault}: {said}");
    assert!(!said.contains("sandbox"), "the password: {said}");
}

/// Whether the text is the pattern, in which `…` stands for anything.
fn matches(text: &str, pattern: &str) -> bool {
    let (first, rest) = pattern.split_once('…').unwrap_or((pattern, ""));
    if !pattern.contains('…') {
        return text == pattern;
    }
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = left.split_once(part) else { return false };
        left = behind;
    }
    left.ends_with(end)
}

#[test]
fn a_sentence_with_gaps_is_told_from_others() {
    for (text, pattern, is_match) in [
        ("lost: reset", "lost: …", true),
        ("fetching from q: lost", "fetching from …: lost", true),
        ("fetching from q: found", "fetching from …: lost", false),
        ("vhost a not found", "vhost … not found", true),
        ("no vhost a not found", "vhost … not found", false),
        ("exact", "exact", true),
        ("exactly", "exact", false),
    ] {
        assert_eq!(matches(text, pattern), is_match, "{text} / {pattern}");
    }
}

#[test]
fn every_row_of_the_table_has_its_test() {
    let sources = ["broker", "line", "login", "tls"].map(|name| {
        let path = format!("tests/integration/broker_faults/{name}.rs");
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    });
    let text = table();
    let untested: BTreeSet<&str> = rows(&text)
        .filter(|row| !row[0].starts_with('-'))
        .map(|row| row[0])
        .filter(|fault| !sources.iter().any(|source| source.contains(&format!("\"{fault}\""))))
        .collect();
    assert!(rows(&text).count() > 20, "the table was not understood");
    assert_eq!(untested, BTreeSet::new());
}
