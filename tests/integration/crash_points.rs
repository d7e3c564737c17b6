//! Killed after every step with an effect, and with a server killed after every step: the same commands run
//! again bring everything to rest, with nothing lost, doubled or left over.
//!
//! A scenario brings about what a command works on, and names the command. It is run again and again, halted
//! after the first step, the second, and so on, until the command comes to its end. A step added to
//! `salesync::halt` is tried wherever it is reached; the scenario that is there for it has to name it.

mod broker;
mod scenarios;
mod unattended;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use salesync::halt::{self, Step};
use salesync::sandbox::PostgresServer;

use self::scenarios::{SCENARIOS, Scenario, company, trade};
use crate::company::Company;
use crate::halted::Reached;
use crate::servers::{fresh_database, fresh_folder, fresh_sandbox, fresh_vhost};

/// More than any command has. The work of a scenario must not grow from run to run.
const MOST_STEPS: u32 = 80;

/// Why head office asks when no operator does.
const ASKED_BY_ITSELF: &str = "a later one has come without it";

/// The program is killed after the first step, after the second, and so on.
fn killed(scenario: &Scenario) {
    let company = company(fresh_vhost(), fresh_database);
    let mut reached = BTreeSet::new();
    for number in 1.. {
        assert!(number <= MOST_STEPS, "the command does not come to its end: {reached:?}");
        match run(&company, scenario, &format!("#{number}")) {
            Reached::Halt(halted) => {
                reached.insert(halted.step.clone());
                halted.kill();
            }
            Reached::End(run) => {
                run.exits_with_any(&[0, 3]);
                break;
            }
        }
        assert_healed(&company, scenario);
    }
    assert_healed(&company, scenario);
    // The steps of threads come in another order every time, so a number may have passed one by.
    for step in scenario.proves.iter().map(|step| format!("{step:?}")) {
        if !reached.contains(&step)
            && let Reached::Halt(halted) = run(&company, scenario, &step)
        {
            halted.kill();
            assert_healed(&company, scenario);
            reached.insert(step);
        }
    }
    let missed: Vec<_> =
        scenario.proves.iter().filter(|step| !reached.contains(&format!("{step:?}"))).collect();
    assert!(missed.is_empty(), "never came to {missed:?}, only to {reached:?}");
}

/// The database server is killed after each step that the scenario is there for, and the program goes on; the
/// server is back before the next command.
fn without_database(scenario: &Scenario) {
    let sandbox = fresh_sandbox();
    let mut server = PostgresServer::start(&sandbox, "postgres").unwrap();
    let names = Cell::new(0);
    let database = || {
        let name = format!("node_{}", names.replace(names.get() + 1));
        server.create_database(&name).unwrap();
        server.url(&name)
    };
    let company = company(fresh_vhost(), database);
    for step in scenario.proves {
        let Reached::Halt(halted) = run(&company, scenario, &format!("{step:?}")) else {
            panic!("never came to {step:?}");
        };
        server.stop_immediately();
        // Done all the same, if it had no more need of it.
        halted.go_on().exits_with_any(&[0, 3, 69, 75]);
        server.start_again().unwrap();
        assert_healed(&company, scenario);
    }
}

/// The commands run again heal everything, and by themselves: no bundle was lost on its way, so that head office
/// had to ask for it.
fn assert_healed(company: &Company, scenario: &Scenario) {
    (scenario.mend)(company);
    company.heal();
    company.assert_whole_but_for_pruned_files(scenario.prunes);
    let asked = company.head_office.value(&format!(
        "SELECT count(*) FROM salesync.request WHERE wanted = 'resend' AND body LIKE '%{ASKED_BY_ITSELF}%'"
    ));
    assert!(scenario.has_gap || asked == "0", "head office had to ask for {asked} bundles");
}

/// Brings the scenario about and runs its command until it has come to the place `at`.
fn run(company: &Company, scenario: &Scenario, at: &str) -> Reached {
    (scenario.prepare)(company);
    let (node, arguments) = (scenario.command)(company);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let reached = node.run_until(&arguments, at);
    if let Reached::Halt(halted) = &reached {
        // Shown if the test fails.
        println!("{}: {at}, after {}", arguments.join(" "), halted.step);
    }
    reached
}

#[test]
fn every_step_has_a_scenario() {
    let proven: BTreeSet<Step> = SCENARIOS.iter().flat_map(|scenario| scenario.proves).copied().collect();
    let missing: Vec<_> = Step::ALL.iter().filter(|step| !proven.contains(step)).collect();
    assert!(missing.is_empty(), "no scenario is there for {missing:?}");
}

#[test]
fn the_machine_code_of_a_release_build_has_no_trace_of_halting() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/halt.rs");
    let folder = fresh_folder();
    let has_trace = |debug_assertions: &str| {
        let object = folder.path().join(debug_assertions);
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
        rustc.args(["--edition", "2024", "--crate-type", "lib", "--emit", "obj", "-o"]).arg(&object);
        rustc.args(["-C", &format!("debug-assertions={debug_assertions}")]).arg(&source);
        let output = rustc.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let code = fs::read(object).unwrap();
        code.windows(halt::AT.len()).any(|bytes| bytes == halt::AT.as_bytes())
    };
    assert_eq!((has_trace("on"), has_trace("off")), (true, false));
}

/// What is stopped at in the tests is not there for the users.
#[test]
fn only_a_debug_build_halts() {
    let company = company(fresh_vhost(), fresh_database);
    trade(company.branch());
    let halts = match company.branch().run_until(&["bundle", "--offline"], "CutCommitted") {
        Reached::Halt(halted) => {
            halted.go_on().ok();
            true
        }
        Reached::End(run) => {
            run.ok();
            false
        }
    };
    assert_eq!(halts, cfg!(debug_assertions));
}
