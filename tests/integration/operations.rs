//! What `docs/operations.md` shows is what happens: each of its situations is brought about, its commands are typed,
//! and what they print is what stands there.
//!
//! With `SALESYNC_RECORD=1` in the environment the document gets the output of this run instead.

mod document;
mod situations;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

use self::document::{assert_shows, titles};
use self::situations::TITLES;
use self::world::World;
use crate::documents::{section, text_of};

/// What may befall an operator, from the beginning to the end.
struct Situation {
    branches: &'static [&'static str],
    steps: &'static [Step],
}

enum Step {
    /// Something comes about.
    Happens(fn(&mut World)),
    /// A block of the document: what the operator types, behind the prompt of its node.
    Shows(&'static [&'static str]),
}

impl Situation {
    /// Lives through it, and compares each block with the section `title` of the document.
    fn play(&self, title: &str) {
        let mut world = World::new(self.branches);
        let mut blocks = Vec::new();
        for step in self.steps {
            match step {
                Step::Happens(what) => what(&mut world),
                Step::Shows(lines) => blocks.push(lines.iter().map(|line| world.types(line)).collect()),
            }
        }
        assert_shows(title, &blocks);
    }
}

/// The title of a situation: its name in the source, as a sentence.
fn title_of(name: &str) -> String {
    let words = name.replace('_', " ");
    words[..1].to_uppercase() + &words[1..]
}

#[test]
fn the_document_has_every_situation_and_no_other() {
    let played: BTreeSet<String> = TITLES.iter().map(|name| title_of(name)).collect();
    assert_eq!(titles(), played);
}

/// Behind each way to recover stands a page of the document, or a test.
#[test]
fn every_recovery_that_is_told_is_tried() {
    let pages: BTreeSet<String> =
        titles().iter().map(|title| title.to_lowercase().replace(' ', "-")).collect();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration");
    let files = WalkDir::new(tests).into_iter().map(|entry| entry.unwrap().into_path());
    let sources: String =
        files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect();
    let text = text_of("docs/security.md");
    let table = section(&text, "What each part costs when it falls, and how to recover");
    let rows = table.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit_once(" | "));
    let mut count = 0;
    for (row, named) in rows.skip(1).filter(|(_, named)| *named != "as for the machine") {
        let links = named
            .split("](operations.md#")
            .skip(1)
            .map(|rest| pages.contains(rest.split(')').next().unwrap()));
        let tests =
            named.split('`').skip(1).step_by(2).map(|name| sources.contains(&format!("fn {name}() {{")));
        let found: Vec<bool> = links.chain(tests).collect();
        assert!(!found.is_empty() && found.iter().all(|found| *found), "{named:?} of {row}");
        count += 1;
    }
    assert_eq!(count, 10);
}

/// An example of its own would be an invention.
#[test]
fn the_readme_quotes_the_document() {
    let (readme, document) = (text_of("README.md"), text_of(document::FILE));
    let quoted: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with("salesync: "))
        .collect();
    assert_eq!(quoted.len(), 1, "{quoted:?}");
    assert!(quoted.iter().all(|line| document.lines().any(|shown| shown == *line)), "{quoted:?}");
}
