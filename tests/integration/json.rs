//! `docs/json.md` describes every field that is printed, with its type, and no other.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::company::{Company, Node, SALES};
use crate::contested::apply_is_busy;
use crate::documents::{section, text_of};
use crate::servers::fresh_database;

/// Fields by what they are in and their name, with their types: `days[].table`.
type Fields = BTreeMap<String, String>;

/// What the tables of a section describe: `branches[].days[].table`, `.day` as `days[].table`, `days[].day`.
fn described(title: &str) -> Fields {
    let text = text_of("docs/json.md");
    let mut fields = Fields::new();
    for row in section(&text, title).lines().filter_map(|line| line.strip_prefix("| `")) {
        let mut cells = row.split(" | ");
        // An empty cell, where another command's table has the types.
        let (names, types) =
            (cells.next().unwrap(), cells.next().filter(|cell| !cell.starts_with('|')).unwrap_or_default());
        let mut within = "";
        for name in names.split(", ").map(|name| name.trim_matches('`')) {
            let (container, name) = name.rsplit_once('.').unwrap_or(("", name));
            if !container.is_empty() {
                within = container.rsplit('.').next().unwrap();
            }
            fields.insert(path(within, name), types.to_owned());
        }
    }
    assert!(!fields.is_empty(), "docs/json.md, {title}: no table");
    fields
}

fn path(within: &str, name: &str) -> String {
    if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") }
}

/// The words for a value's type.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Object(_) => "object",
        Value::Array(items) => match items.first() {
            None => "s",
            Some(Value::Object(_)) => "objects",
            Some(Value::Number(_)) => "numbers",
            Some(_) => "strings",
        },
    }
}

/// Whether the description of a type, `string or null`, allows for this value. Where it is that of another
/// command it says nothing.
fn allows(types: &str, value: &Value) -> bool {
    let found = type_of(value);
    types.split([',', ' ']).any(|word| word == found || found == "s" && word.ends_with('s'))
        || types == "true" && value == &Value::Bool(true)
        || types.is_empty()
}

/// Every field of the object is described; adds them to those that were `seen`.
fn check(object: &Value, within: &str, described: &Fields, seen: &mut Fields) {
    for (name, value) in object.as_object().unwrap() {
        let field = path(within, name);
        let types = described.get(&field).unwrap_or_else(|| panic!("{field} is not described: {object}"));
        assert!(allows(types, value), "{field} is described as {types:?}, but is {value}");
        seen.insert(field, types.clone());
        for item in value.as_array().into_iter().flatten().filter(|item| item.is_object()) {
            check(item, &format!("{name}[]"), described, seen);
        }
        // What has no fields of its own in the table is told elsewhere, or has a column's names.
        if value.is_object() && described.keys().any(|field| field.starts_with(&format!("{name}."))) {
            check(value, name, described, seen);
        }
    }
}

#[test]
fn the_json_examples_have_only_fields_that_are_described() {
    let text = text_of("docs/json.md");
    let mut count = 0;
    for part in text.split("\n## ").skip(1) {
        let title = part.lines().next().unwrap();
        for example in part.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            check(&serde_json::from_str(example).unwrap(), "", &described(title), &mut Fields::new());
            count += 1;
        }
    }
    assert!(count >= 9, "only {count} examples");
}

/// What the program has printed, by the sections of the document.
#[derive(Default)]
struct Printed(BTreeMap<&'static str, Fields>);

impl Printed {
    /// Runs a command; its object is as `title` describes.
    fn by(&mut self, node: &Node, title: &'static str, arguments: &[&str], input: &str) {
        let run = node.run_with(&[arguments, &["--json"]].concat(), input.as_bytes());
        check(&run.json(), "", &described(title), self.0.entry(title).or_default());
    }
}

#[test]
fn everything_that_is_printed_as_json_is_described_and_the_other_way_round() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let mut printed = Printed::default();
    let [bundle, apply] = ["bundle, resend, sync", "apply, replay"];
    printed.by(east, "init", &["init"], "");
    printed.by(head, "init", &["init"], "");

    let header = "Date,Region,Product,Qty,Cost\n";
    printed.by(east, "import", &["import", "-"], &format!("{header}2021-04-29,East,Paper,x,12.95\n"));
    for _ in 0..2 {
        printed.by(east, "import", &["import", "-"], &format!("{header}2021-04-29,East,Paper,1,12.95\n"));
        printed.by(east, bundle, &["bundle", "--offline"], "");
    }
    let files = east.bundles();
    let [first, second] = [0, 1].map(|at: usize| files[at].to_str().unwrap());
    let damaged = east.folder.join("damaged.bundle").display().to_string();
    fs::write(&damaged, "no bundle").unwrap();

    // The second is held, its receipt is sent, and the first is asked for.
    printed.by(head, apply, &["apply", second, &damaged], "");
    printed.by(head, apply, &["apply"], "");
    printed.by(head, "request", &["request", "east", "--resend", "1"], "");
    let shown = "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    head.sql(&format!("INSERT INTO salesync.presented_key VALUES ('east', '{shown}', '34750f98bd59fcfc')"));
    printed.by(head, "status", &["status"], "");
    printed.by(east, bundle, &["bundle"], "");
    printed.by(head, apply, &["apply", "--check", first], "");
    printed.by(head, apply, &["apply"], "");
    printed.by(head, apply, &["replay", "bundles"], "");
    let busy = apply_is_busy(head);
    printed.by(head, "approve, reject, retry", &["retry", "east"], "");
    drop(busy);
    printed.by(east, bundle, &["resend", "1"], "");
    printed.by(east, bundle, &["sync", "--wait", "0s"], "");
    east.sell("Ink");
    printed.by(east, "status", &["status"], "");
    printed.by(east, "doctor", &["doctor"], "");
    printed.by(head, "compare", &["compare"], "");
    let all = ["prune", "--newest-epoch-too", "--keep", "0s", "--dry-run"];
    printed.by(head, "prune", &all, "");
    printed.by(east, "verify", &["verify", "bundles", &damaged], "");
    printed.by(east, "keygen", &["keygen", "--out", "east.key"], "");
    printed.by(east, "keygen", &["keygen", "--encryption", "--out", "east.age"], "");
    printed.by(east, "inspect", &["inspect", "--rows", first], "");

    let lost = east.folder.with_file_name("lost");
    fs::create_dir(&lost).unwrap();
    let new = Node { name: "east".into(), folder: lost, database_url: fresh_database() };
    new.configure("role = \"branch\"", &company.broker_url, SALES);
    new.run(&["init", "--with-sales"]).ok();
    printed.by(&new, "replay --into-branch", &["replay", "--into-branch", "../head/bundles"], "");

    let known = "[signing]\nkey = \"head.key\"\n[branches.east]\n";
    head.configure("role = \"head-office\"", &company.broker_url, known);
    head.run(&["keygen"]).ok();
    printed.by(head, "enroll", &["enroll", "west", "--out", "west.toml"], "");
    printed.by(
        &new,
        "join",
        &["join", "../head/west.toml", "--dir", "west", "--database", &new.database_url],
        "",
    );
    printed.by(head, "revoke", &["revoke", "west", "--dry-run"], "");
    printed.by(east, "leave", &["leave", "--dry-run"], "");

    for (title, seen) in &printed.0 {
        assert_eq!(*seen, described(title), "docs/json.md, {title}, describes what nobody prints");
    }
    let text = text_of("docs/json.md");
    let with_fields = text.split("\n## ").filter(|part| part.contains("\n| field | type |")).count();
    assert_eq!(printed.0.len(), with_fields, "a section of docs/json.md was not printed");
}
