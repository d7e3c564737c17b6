//! What the arguments say of themselves: completions and the manual.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::company::Run;

fn salesync(arguments: &[&str]) -> Run {
    Run::of(Command::new(env!("CARGO_BIN_EXE_salesync")).args(arguments).env_clear())
}

/// The commands, as the help lists them.
fn commands() -> BTreeSet<String> {
    let help = salesync(&["--help"]).ok().stdout();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let lines = list.split("\n\n").next().unwrap().lines();
    let names =
        lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_shell_completes_every_command() {
    let commands = commands();
    assert!(commands.len() >= 14, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = salesync(&["completions", shell]).ok().stdout();
        let missing: Vec<_> = commands.iter().filter(|command| !script.contains(&***command)).collect();
        assert!(missing.is_empty(), "{shell} does not know {missing:?}");
    }
    let script = salesync(&["completions", "bash"]).ok().stdout();
    let complete = format!(
        "{script}\nCOMP_WORDS=(salesync pru); COMP_CWORD=1; _salesync salesync pru salesync; echo \"${{COMPREPLY[@]}}\""
    );
    assert_eq!(Run::of(Command::new("bash").args(["-c", &complete])).ok().stdout(), "prune\n");
    salesync(&["completions", "abacus"]).exits(2);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let text = salesync(&["man"]).ok().stdout();
    let titles = text.lines().filter_map(|line| line.strip_prefix(".TH ")?.split(' ').next());
    let titles: BTreeSet<String> = titles.map(str::to_owned).collect();
    let mut expected: BTreeSet<String> =
        commands().iter().map(|command| format!("salesync-{command}")).collect();
    expected.insert("salesync".to_owned());
    assert_eq!(titles, expected);
    assert!(text.contains("Exit status:"), "the exit statuses are missing");

    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("share/man1");
    salesync(&["man", "--dir", target.to_str().unwrap()]).ok();
    let files = fs::read_dir(&target).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.map(|name| name.strip_suffix(".1").unwrap().to_owned()).collect();
    assert_eq!(files, expected);
    fs::write(folder.path().join("file"), b"").unwrap();
    let run = salesync(&["man", "--dir", folder.path().join("file/man1").to_str().unwrap()]).exits(1);
    run.says(&["salesync: making the folder", "hint: "]);
}
