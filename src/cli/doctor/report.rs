//! What was found, for a person or a script.

use std::fmt;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::settings::{Role, Settings};
use crate::domain::{Count, Finding, Grade, Kind};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    node: Option<String>,
    role: Option<&'static str>,
    findings: Vec<Finding>,
    ok: usize,
    notes: usize,
    warnings: usize,
    failed: usize,
}

impl Report {
    /// In the order of the checks.
    pub(super) fn new(settings: Option<&Settings>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.check);
        let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
        let role = settings.map(|settings| match settings.role {
            Role::Branch => "branch",
            Role::HeadOffice => "head-office",
        });
        Self {
            node: settings.map(|settings| settings.node.to_string()),
            role,
            ok: count(Grade::Ok),
            notes: count(Grade::Note),
            warnings: count(Grade::Warning),
            failed: count(Grade::Failed),
            findings,
        }
    }

    /// That of the first thing that has failed; 3 if there are but warnings.
    pub(super) fn exit(&self) -> Exit {
        match self.findings.iter().find_map(|finding| finding.kind) {
            // What a run would put off would not be done.
            Some(Kind::Postponed) => Exit::Unreachable,
            Some(kind) => Exit::of(kind),
            None if self.warnings > 0 => Exit::NeedsPerson,
            None => Exit::Done,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for finding in &self.findings {
            let (of, name) = finding.check.name().split_once('.').unwrap_or(("", finding.check.name()));
            if of != group {
                writeln!(f, "{of}")?;
                group = of;
            }
            write!(f, "  {:<7}  {name}: {}", finding.grade.as_str(), one_line(&finding.what))?;
            match &finding.cure {
                Some(cure) => writeln!(f, " -> {}", one_line(cure))?,
                None => writeln!(f)?,
            }
        }
        let node = self.node.as_deref().map_or(String::new(), |node| format!("{node}: "));
        let (notes, warnings) = (Count(self.notes as u64, "note"), Count(self.warnings as u64, "warning"));
        writeln!(f, "{node}{} ok, {notes}, {warnings}, {} failed", self.ok, self.failed)
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
