//! The demo tells the truth, and leaves nothing behind however it ends.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::sandbox::leftovers::{assert_gone, processes_of, signal_group};
use crate::servers::place;

/// A temporary folder for one demo, which the servers' account may enter.
fn temporary_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("salesync-demo-test-").tempdir_in(place()).unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).unwrap();
    folder
}

/// As a shell starts it in the background: Ctrl-C is to be ignored until the program says otherwise.
fn demo(folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_salesync")]);
    command.arg("demo").args(arguments).env("TMPDIR", folder.path()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reads the story up to a line with these words.
fn read_until(story: &mut impl BufRead, words: &str) -> String {
    let mut read = String::new();
    while !read.contains(words) {
        let length = story.read_line(&mut read).unwrap();
        assert!(length > 0, "the story ended before {words:?}:\n{read}");
    }
    read
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// Ends the demo with `end` and waits until its sandbox and its processes are gone.
fn assert_nothing_is_left_after(mut demo: Child, folder: &TempDir, end: impl FnOnce(&mut Child)) {
    let sandbox = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let before = processes_of(&sandbox);
    assert!(before.len() > 10, "{before:?}");
    end(&mut demo);
    demo.wait().unwrap();
    assert_gone(&sandbox, &before);
    assert!(is_empty(folder.path()));
}

#[test]
fn the_demo_tells_one_day_and_proves_that_nothing_was_lost() {
    let folder = temporary_folder();
    let done = demo(&folder, &[]).output().unwrap();
    let story = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{story}{}", String::from_utf8_lossy(&done.stderr));
    for words in [
        "2021-04-29,East,Paper,73,12.95,945.35,66.17,\"1,011.52\"",
        "rabbitmqctl import_definitions < east.broker.json",
        "has answered, proven by its key",
        "is taken as its own",
        ", ok, signed with key ",
        "imported 3 sales, total 1335.32",
        "all         9  242  2450.90",
        "(exit status: 75)",
        "sealed, not yet published: 1",
        "1 applied before, nothing changed",
        "DROP DATABASE head_office",
        "Every branch and head office are equal",
    ] {
        assert!(story.contains(words), "{words:?} is missing in:\n{story}");
    }
    assert_eq!(story.matches("  equal\n").count(), 3, "{story}");
    assert!(!story.contains("amqp://east:"), "{story}");
    assert!(is_empty(folder.path()));
}

#[test]
fn a_demo_killed_in_the_middle_leaves_nothing() {
    let folder = temporary_folder();
    let mut demo = demo(&folder, &[]).spawn().unwrap();
    read_until(&mut BufReader::new(demo.stdout.as_mut().unwrap()), "4. The line is down");
    assert_nothing_is_left_after(demo, &folder, |demo| demo.kill().unwrap());
}

#[test]
fn a_demo_that_was_kept_does_what_it_says_one_can_try_until_ctrl_c() {
    let folder = temporary_folder();
    let mut demo = demo(&folder, &["--keep", "--rows", "500"]).spawn().unwrap();
    let story = read_until(&mut BufReader::new(demo.stdout.as_mut().unwrap()), "Ctrl-C here");
    assert!(story.contains("Every branch and head office are equal"), "{story}");
    assert!(story.contains("… 480 more"), "{story}");
    let (_, now_you) = story.split_once("Now you").unwrap();
    let lines = now_you.lines().map(str::trim_start);
    let commands: Vec<&str> =
        lines.filter(|line| ["export ", "cd ", "psql "].iter().any(|c| line.starts_with(c))).collect();
    assert!(commands.len() > 6, "{now_you}");
    let tried = Command::new("sh").args(["-e", "-c", &commands.join("\n")]).stdin(Stdio::null()).output();
    let tried = tried.unwrap();
    let printed = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{commands:#?}\n{printed}{}", String::from_utf8_lossy(&tried.stderr));
    assert!(printed.contains("Globe") && printed.contains(", ok, signed with key "), "{printed}");
    assert_nothing_is_left_after(demo, &folder, |demo| signal_group(demo, "INT"));
}

#[test]
fn a_demo_with_pages_shows_what_its_nodes_have_and_leaves_nothing_when_it_is_killed() {
    let folder = temporary_folder();
    let mut demo = demo(&folder, &["--serve"]).spawn().unwrap();
    let story = read_until(&mut BufReader::new(demo.stdout.as_mut().unwrap()), "Ctrl-C here");
    let (_, now_you) = story.split_once("Now you").unwrap();
    let pages: Vec<&str> =
        now_you.lines().filter_map(|line| Some(&line[line.find("http://")?..])).map(str::trim).collect();
    assert_eq!(pages.len(), 4, "{now_you}");
    for (url, name) in pages.iter().zip(["head-office", "east", "west", "north"]) {
        let page = ureq::get(*url).call().unwrap().body_mut().read_to_string().unwrap();
        assert!(page.contains(&format!("<strong>{name}</strong>")), "{url}: {page}");
    }
    assert_nothing_is_left_after(demo, &folder, |demo| demo.kill().unwrap());
}

#[test]
fn a_reader_who_has_had_enough_ends_the_demo() {
    let folder = temporary_folder();
    let mut demo = demo(&folder, &[]).spawn().unwrap();
    let mut story = BufReader::new(demo.stdout.take().unwrap());
    read_until(&mut story, "1. Four databases");
    drop(story);
    let mut said = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!demo.wait().unwrap().success());
    assert!(said.contains("printing the demo"), "{said}");
    assert!(is_empty(folder.path()));
}
