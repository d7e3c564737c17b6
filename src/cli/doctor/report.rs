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

    /// What somebody should do, a line each.
    pub(super) fn complaints(&self) -> String {
        let is_complaint = |finding: &&Finding| finding.grade >= Grade::Warning;
        let line = |finding: &Finding| {
            let (grade, name) = (finding.grade.as_str(), finding.check.name());
            format!("{grade:<7}  {name}: {}{}\n", one_line(&finding.what), cure(finding))
        };
        self.findings.iter().filter(is_complaint).map(line).collect::<Vec<_>>().concat()
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
            let what = one_line(&finding.what);
            writeln!(f, "  {:<7}  {name}: {what}{}", finding.grade.as_str(), cure(finding))?;
        }
        let node = self.node.as_deref().map_or(String::new(), |node| format!("{node}: "));
        let (notes, warnings) = (Count(self.notes as u64, "note"), Count(self.warnings as u64, "warning"));
        writeln!(f, "{node}{} ok, {notes}, {warnings}, {} failed", self.ok, self.failed)
    }
}

fn cure(finding: &Finding) -> String {
    finding.cure.as_ref().map(|cure| format!(" -> {}", one_line(cure))).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
