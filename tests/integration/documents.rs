//! The documents say what is so: commands, exit statuses, configuration, dependencies, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn text_of(file: &str) -> String {
    let path = project().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_salesync"));
    command.env_clear();
    command
}

/// What the program prints for `--help`.
fn help() -> String {
    String::from_utf8(program().arg("--help").output().unwrap().stdout).unwrap()
}

/// What is between the heading `## title` and the next one of its kind.
pub fn section<'t>(text: &'t str, title: &str) -> &'t str {
    let heading = format!("\n## {title}\n");
    let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("no section {title:?}"));
    rest.split("\n## ").next().unwrap()
}

/// The first cells of a table's rows.
pub fn first_cells(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
}

/// The exit statuses in a table.
fn statuses(table: &str) -> BTreeSet<u8> {
    first_cells(table).filter_map(|cell| cell.parse().ok()).collect()
}

/// The numbers that stand where the help lists statuses: at the beginning of a line or after a gap.
fn statuses_in_help(help: &str) -> BTreeSet<u8> {
    let (_, list) = help.split_once("Exit status:").unwrap();
    let entries = list.lines().flat_map(|line| line.split("  "));
    entries.filter_map(|entry| entry.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn the_readme_has_every_command_and_no_other() {
    let help = help();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.split("\n\n").next().unwrap();
    let known: BTreeSet<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    let readme = text_of("README.md");
    let told: BTreeSet<&str> = first_cells(section(&readme, "Commands"))
        .filter_map(|cell| cell.strip_prefix("`salesync ")?.split([' ', '`']).next())
        .collect();
    assert!(known.len() >= 9, "the help was not understood: {help}");
    assert_eq!(told, known);
}

#[test]
fn the_documents_have_the_exit_statuses_of_the_help() {
    let known = statuses_in_help(&help());
    assert!(known.len() >= 9, "the help was not understood: {known:?}");
    for file in ["README.md", "docs/json.md"] {
        assert_eq!(statuses(section(&text_of(file), "Exit status")), known, "{file}");
    }
    let meanings = |file: &str, column: usize| -> BTreeSet<(String, String)> {
        let text = text_of(file);
        let rows = section(&text, "Exit status").lines().filter_map(|line| line.strip_prefix("| "));
        let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let rows = rows.filter(|cells| cells[0] != "status");
        rows.map(|cells| (cells[0].to_owned(), cells[column].to_owned())).collect()
    };
    assert_eq!(meanings("README.md", 1), meanings("docs/json.md", 2));
}

/// What is run unattended is a command line that the program takes: it gets as far as the configuration.
#[test]
fn the_units_and_crontabs_call_the_program_rightly() {
    let files = WalkDir::new(project().join("cron")).into_iter().map(|entry| entry.unwrap().into_path());
    let mut count = 0;
    for file in files.filter(|path| path.is_file()) {
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let calls = ["/usr/local/bin/salesync ", "/usr/local/bin/salesync-unattended "];
            let Some(arguments) = calls.iter().find_map(|call| Some(line.split_once(call)?.1)) else {
                continue;
            };
            let mut command = program();
            command.args(arguments.split(' ')).args(["--config", "/nonexistent/salesync.toml"]);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(78), "{}: {line}", file.display());
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} calls");
}

/// A configuration that can be read leads as far as the database, which is not there.
#[test]
fn every_configuration_in_the_readme_can_be_read() {
    let readme = text_of("README.md");
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "only {} configurations", blocks.len());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("salesync.toml");
    for block in blocks {
        fs::write(&file, block).unwrap();
        let mut command = program();
        command.args(["status", "--config"]).arg(&file);
        command.env("SALESYNC_DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{said}\n{block}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = text_of("Cargo.toml").parse().unwrap();
    let decisions = text_of("docs/decisions.md");
    let told: BTreeSet<&str> =
        first_cells(section(&decisions, "Dependencies")).map(|cell| cell.trim_matches('`')).collect();
    for kind in ["dependencies", "dev-dependencies"] {
        for name in manifest[kind].as_table().unwrap().keys() {
            assert!(told.contains(name.as_str()), "docs/decisions.md does not say what {name} is for");
        }
    }
    let known = |name: &&str| {
        ["dependencies", "dev-dependencies"].iter().any(|kind| manifest[*kind].get(*name).is_some())
    };
    let gone: Vec<_> = told.iter().filter(|name| !["crate", "---"].contains(name) && !known(name)).collect();
    assert!(gone.is_empty(), "docs/decisions.md speaks of {gone:?}, which Cargo.toml does not have");
}

/// Every Markdown file of the project.
fn documents() -> Vec<PathBuf> {
    let is_ours = |name: &str| !name.starts_with('.') && name != "target";
    let walk = WalkDir::new(project())
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name().to_str().is_some_and(is_ours));
    let paths = walk.map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// What `[text](target)` links to, within the project.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

/// The anchors of a document, as GitHub makes them of its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    let documents = documents();
    assert!(documents.len() >= 8, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            let leads = target.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}
