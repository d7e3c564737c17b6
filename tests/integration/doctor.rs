//! `salesync doctor`: nothing to complain of where all is well, and each thing that is not, with its cure.

mod broken;
mod servers_away;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use postgres::{Client, NoTls};
use salesync::domain::Check;

use crate::company::{Company, Node, Run};
use crate::documents::{first_cells, text_of};
use crate::enrolled::enrolled;
use crate::rights::{Side, as_role};

/// By which another role is named.
const URL: &str = "SALESYNC_DATABASE_URL";

/// One line of what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub check: String,
    pub grade: String,
    pub what: String,
    pub cure: String,
}

/// What it found.
pub struct Examined(Vec<Line>);

impl Examined {
    /// Runs it at the node; it ends with this status.
    pub fn at(node: &Node, status: i32) -> Self {
        Self::of(&mut node.command(&["doctor", "--json"]), status)
    }

    /// Of this run of it.
    fn of(command: &mut Command, status: i32) -> Self {
        let json = Run::of(command).exits(status).json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let line = |found: &serde_json::Value| Line {
            check: text(&found["check"]),
            grade: text(&found["grade"]),
            what: text(&found["what"]),
            cure: text(&found["cure"]),
        };
        Self(json["findings"].as_array().unwrap().iter().map(line).collect())
    }

    /// There is a line of this check and grade that says this, with this cure.
    pub fn says(&self, check: &str, grade: &str, what: &str, cure: &str) -> &Self {
        let fits = |line: &Line| {
            line.check == check && line.grade == grade && line.what.contains(what) && line.cure.contains(cure)
        };
        assert!(self.0.iter().any(fits), "no {check} {grade} {what:?} {cure:?} in {:#?}", self.0);
        self
    }

    /// The checks of this grade.
    pub fn graded(&self, grade: &str) -> BTreeSet<&str> {
        self.0.iter().filter(|line| line.grade == grade).map(|line| line.check.as_str()).collect()
    }

    /// Nothing else than these is worse than ok.
    pub fn complains_only_of(&self, checks: &[&str]) -> &Self {
        let complaints: BTreeSet<&str> =
            self.0.iter().filter(|line| line.grade != "ok").map(|line| line.check.as_str()).collect();
        assert_eq!(complaints, checks.iter().copied().collect(), "{:#?}", self.0);
        self
    }
}

/// The configuration is for its owner only, as its passwords ask for.
pub fn close_configuration(node: &Node) {
    fs::set_permissions(node.folder.join("salesync.toml"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// What could have been changed: the files with their times, the tables of salesync, the messages in the queues.
fn traces(company: &Company, node: &Node) -> BTreeMap<String, String> {
    let mut traces = BTreeMap::new();
    for entry in walkdir::WalkDir::new(node.folder.join("bundles")) {
        let entry = entry.unwrap();
        let times = entry.metadata().unwrap().modified().unwrap();
        // That of a folder also tells of a file without a name.
        if entry.file_type().is_file() {
            traces.insert(entry.path().display().to_string(), format!("{times:?}"));
        }
    }
    for table in ["node", "bundle", "receipt", "request"] {
        let sql = format!("SELECT md5(string_agg(t::text, '/' ORDER BY t::text)) FROM salesync.{table} t");
        traces.insert(table.to_owned(), node.value(&sql));
    }
    let mut broker = company.broker();
    traces.insert("bundles".to_owned(), format!("{:?}", broker.queue_depth("east").unwrap()));
    let left = broker.next_receipt("east").unwrap();
    traces.insert("receipts".to_owned(), left.map_or(0, |left| left.remaining + 1).to_string());
    traces
}

#[test]
fn a_healthy_branch_and_head_office_have_nothing_to_complain_of_and_are_left_as_they_were() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    [east, head].into_iter().for_each(close_configuration);
    east.sell("Paper");
    company.sync();
    east.run(&["bundle"]).ok();
    east.sell("Ink");

    let mut checks = BTreeSet::new();
    for node in [east, head] {
        let before = traces(&company, node);
        let examined = Examined::at(node, 0);
        examined.complains_only_of(&["broker.limits"]);
        checks.extend(examined.graded("ok").into_iter().chain(examined.graded("note")).map(str::to_owned));
        assert_eq!(traces(&company, node), before, "{}", node.name);
    }
    let all: BTreeSet<String> = Check::ALL.iter().map(|check| check.name().to_owned()).collect();
    assert_eq!(checks, all, "a check is never made");

    let text = east.run(&["doctor", "--no-probe"]).ok().stdout();
    assert!(text.contains("  note     publish: not checked: --no-probe\n"), "{text}");
    assert!(text.contains("capture\n  ok       tables: public.sales can travel\n"), "{text}");
    assert!(text.ends_with("ok, 3 notes, 0 warnings, 0 failed\n"), "{text}");
}

#[test]
fn the_document_has_every_check_and_no_other() {
    let text = text_of("docs/doctor.md");
    let told: Vec<&str> = first_cells(&text)
        .filter_map(|cell| cell.strip_prefix('`')?.strip_suffix('`'))
        .filter(|name| name.contains('.'))
        .collect();
    let all: Vec<&str> = Check::ALL.iter().map(|check| check.name()).collect();
    assert_eq!(told, all, "in the order in which they are told");
}

/// Monitoring runs it as whoever may do least, and what that role may not see is no complaint about the node.
#[test]
fn every_role_of_a_node_can_run_it_and_is_told_the_same() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    [east, head].into_iter().for_each(close_configuration);
    company.sync();
    east.sell("Ink");
    let of_side = [
        (east, Side::Branch, &["salesync_init", "salesync_sell", "salesync_page", "salesync_status"][..]),
        (head, Side::HeadOffice, &["salesync_view", "salesync_operate", "salesync_status"][..]),
    ];
    for (node, side, roles) in of_side {
        // The rights on what `init` has made.
        Client::connect(&node.database_url, NoTls).unwrap().batch_execute(side.statements()).unwrap();
        for role in roles {
            Examined::of(node.command(&["doctor", "--json"]).env(URL, as_role(&node.database_url, role)), 0)
                .complains_only_of(&["broker.limits"]);
        }
        // One right is missing, and all: that is told, and everything else is looked at.
        let as_status = |revoked: &str, status| {
            node.sql(&format!("REVOKE {revoked} FROM salesync_status"));
            let url = as_role(&node.database_url, "salesync_status");
            Examined::of(node.command(&["doctor", "--json"]).env(URL, url), status)
        };
        let cure = "grant the role in database.url what the message names";
        let (table, check) = match side {
            Side::Branch => ("receipt", "changes.answers"),
            Side::HeadOffice => ("decision", "work.apply"),
        };
        let partial = as_status(&format!("SELECT ON salesync.{table}"), 77);
        partial.says(check, "failed", &format!("permission denied for table {table}"), cure);
        assert!(partial.graded("ok").is_superset(&BTreeSet::from(["database.schema", "broker.queues"])));
        as_status("ALL ON SCHEMA salesync", 77).says(
            "database.schema",
            "failed",
            "permission denied for schema salesync",
            cure,
        );
    }
}
