//! `docs/protocol.md` has the words of the databases, and every step at which a test may halt the program.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use salesync::halt::Step;

use crate::documents::{first_cells, section, text_of};

/// A column's name and the words that may stand in it.
type Words = BTreeMap<String, BTreeSet<String>>;

/// What a schema allows: `bundle.state` may be `applied` or `held`.
fn allowed(role: &str, migration: &str) -> Words {
    let sql = text_of(migration);
    let table = Regex::new(r"(?s)CREATE TABLE salesync\.([a-z_]+) \((.*?)\n\);").unwrap();
    let check = Regex::new(r"CHECK \(([a-z_]+) IN \(([^)]*)\)\)").unwrap();
    let mut words = Words::new();
    for found in table.captures_iter(&sql) {
        for column in check.captures_iter(&found[2]) {
            let list = column[2].split(", ").map(|word| word.trim_matches('\'').to_owned());
            words.insert(format!("{role} {}.{}", &found[1], &column[1]), list.collect());
        }
    }
    words
}

/// The tables whose header names a column of a database, each with its first cells.
fn told(document: &str) -> Words {
    let mut words = Words::new();
    for table in document.split("\n\n") {
        let mut cells = first_cells(table).map(|cell| cell.trim_matches('`').to_owned());
        if let Some(column) = cells.next().filter(|header| header.contains('.')) {
            words.insert(column, cells.collect());
        }
    }
    words
}

#[test]
fn the_words_of_the_protocol_are_those_of_the_databases() {
    let mut known = allowed("branch", "migrations/branch/V1__capture_and_bundles.sql");
    known.extend(allowed("head office", "migrations/head_office/V1__ledger.sql"));
    assert!(known.len() >= 10, "the migrations were not understood: {known:?}");
    assert_eq!(told(&text_of("docs/protocol.md")), known);
}

#[test]
fn the_protocol_says_what_each_step_leaves_if_the_program_is_killed_after_it() {
    let document = text_of("docs/protocol.md");
    let steps = section(&document, "Killed between two steps");
    let told: Vec<&str> =
        first_cells(steps).filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`')).collect();
    let known: BTreeSet<String> = Step::ALL.iter().map(|step| format!("{step:?}")).collect();
    assert_eq!(told.iter().map(|&step| step.to_owned()).collect::<BTreeSet<_>>(), known);
    assert_eq!(told.len(), known.len(), "a step is told twice");
}
