//! However its owner ends, a sandbox leaves no process, no folder and no shared memory behind.
//!
//! The owner is this test binary, started again to run [`owner`] only.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::mem;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postgres::{Client, NoTls};
use salesync::sandbox::{BrokerServer, ChromeDriver, Definitions, PostgresServer, Sandbox, wait_until};

use crate::page::browser::Browser;

const PATH_PREFIX: &str = "the sandbox is in ";

#[test]
#[ignore = "it is the process that the other tests start and end"]
fn owner() {
    let sandbox = Sandbox::new().unwrap();
    let postgres = PostgresServer::start(&sandbox, "db").unwrap();
    let broker = BrokerServer::start(&sandbox, "broker", &Definitions::with_vhosts(["v"])).unwrap();
    let connection = Client::connect(&postgres.url("postgres"), NoTls).unwrap();
    let driver = ChromeDriver::start(&sandbox, "browser").unwrap();
    let browser = Browser::by(&driver.url());
    println!("\n{PATH_PREFIX}{}", sandbox.path().display());
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    // Like a static, they are never dropped.
    mem::forget((sandbox, postgres, broker, connection, driver, browser));
}

/// Starts an owner in a process group of its own and waits until its servers run.
fn start_owner() -> (Child, PathBuf) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "sandbox::leftovers::owner", "--ignored", "--nocapture"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut owner = command.spawn().unwrap();
    let output = BufReader::new(owner.stdout.as_mut().unwrap());
    let mut paths = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix(PATH_PREFIX).map(PathBuf::from));
    let path = paths.next().expect("the owner starts its servers");
    (owner, path)
}

/// Starts an owner, ends it with `end`, and waits until nothing is left.
fn assert_nothing_is_left_after(end: impl FnOnce(&mut Child)) {
    let (mut owner, path) = start_owner();
    let before = processes_of(&path);
    let programs =
        ["postgres", "beam.smp", "epmd", "chromedriver", "chromium", "salesync-leash", "salesync-keeper"];
    for program in programs {
        assert!(before.iter().any(|process| process.command.contains(program)), "{program}: {before:?}");
    }
    end(&mut owner);
    owner.wait().unwrap();
    assert_gone(&path, &before);
}

pub fn assert_gone(path: &Path, before: &[Process]) {
    let gone = wait_until(Duration::from_secs(30), "everything to be gone", || {
        Ok((processes_of(path).is_empty() && !path.exists()).then_some(()))
    });
    assert!(gone.is_ok(), "left: {:?}, folder: {}", processes_of(path), path.exists());
    let creators = shared_memory_creators();
    assert!(before.iter().all(|process| !creators.contains(&process.id)), "shared memory is left");
}

pub fn signal_group(owner: &Child, signal: &str) {
    let group = format!("-{}", owner.id());
    assert!(Command::new("kill").args(["-s", signal, "--", &group]).status().unwrap().success());
}

#[test]
fn a_killed_owner_leaves_nothing() {
    assert_nothing_is_left_after(|owner| owner.kill().unwrap());
}

#[test]
fn ctrl_c_leaves_nothing() {
    assert_nothing_is_left_after(|owner| signal_group(owner, "INT"));
}

#[test]
fn an_owner_that_ends_by_itself_without_dropping_its_servers_leaves_nothing() {
    assert_nothing_is_left_after(|owner| drop(owner.stdin.take()));
}

#[test]
fn dropping_the_sandbox_before_its_servers_leaves_nothing_at_once() {
    let sandbox = Sandbox::new().unwrap();
    let path = sandbox.path().to_owned();
    let postgres = PostgresServer::start(&sandbox, "db").unwrap();
    let broker = BrokerServer::start(&sandbox, "broker", &Definitions::with_vhosts(["v"])).unwrap();
    let before = processes_of(&path);
    drop(sandbox);
    assert!(path.exists(), "the servers still need the folder");
    drop(postgres);
    drop(broker);
    assert!(!path.exists(), "the last one removes it");
    assert_gone(&path, &before);
}

#[derive(Debug)]
pub struct Process {
    id: u32,
    command: String,
}

/// The processes that work in the folder or were called or set up with its name.
pub fn processes_of(folder: &Path) -> Vec<Process> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| process_of(folder, id)).collect()
}

fn process_of(folder: &Path, id: u32) -> Option<Process> {
    let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
    let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
    let environment = String::from_utf8_lossy(&read("environ")).into_owned();
    let working_folder = fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
    let folder = folder.to_str()?;
    let traces = [&command, &environment, working_folder.to_str()?];
    traces.iter().any(|trace| trace.contains(folder)).then_some(Process { id, command })
}

/// The processes that created the System V shared memory segments there are.
fn shared_memory_creators() -> Vec<u32> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    table.lines().filter_map(|line| line.split_whitespace().nth(4)?.parse().ok()).collect()
}
