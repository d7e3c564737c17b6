//! Whether everything that is written is captured.

use super::BranchSubject;
use crate::branch::captured::{capturable, check_amounts, check_capture, check_day, is_captured};
use crate::branch::counts::{Unlogged, count_unlogged, was_capture_altered};
use crate::branch::tracking::{TrackedTable, tracked_tables};
use crate::database::{database_failure, describe};
use crate::domain::{Check, Count, Failure, Finding, Kind, TableName};

/// So many may be what two sessions have counted that inserted the same key at the same time.
const FEW: i64 = 10;
/// More tables are not named one by one.
const MOST_NAMED: usize = 10;

const INIT: &str = "run `salesync init`";

impl BranchSubject {
    /// Whether every configured table can travel, and none is captured that is not configured.
    pub(super) fn tables(&mut self) -> Result<Vec<Finding>, Failure> {
        let tracked = tracked_tables(&mut self.client)?;
        if self.tables.is_empty() {
            let cure =
                "name them in the configuration: tables = [\"public.sales\"]; then run `salesync init`";
            return Ok(vec![Finding::failed(
                Check::Tables,
                Kind::Configuration,
                "no tables are configured",
                cure,
            )]);
        }
        let amounts = check_amounts(&mut self.client, &self.amounts);
        let mut findings: Vec<_> =
            amounts.err().iter().map(|failure| Finding::of(Check::Tables, failure)).collect();
        for (name, day) in &self.tables {
            if let Err(failure) = capturable(&mut self.client, name, day.as_deref()) {
                findings.push(Finding::of(Check::Tables, &failure));
            } else if !tracked.iter().any(|table| table.name == *name) {
                let what = format!("{name} is configured, and not captured yet");
                findings.push(Finding::failed(Check::Tables, Kind::Configuration, what, INIT));
            }
        }
        for table in tracked.iter().filter(|table| !self.tables.contains_key(&table.name)) {
            let what = format!("{} is still captured, and not configured any more", table.name);
            findings.push(Finding::warning(Check::Tables, what, INIT));
        }
        if findings.is_empty() {
            let names = named(self.tables.keys());
            findings.push(Finding::ok(Check::Tables, format!("{names} can travel")));
        }
        Ok(findings)
    }

    /// Whether the triggers are those that this version would install, and at work.
    pub(super) fn triggers(&mut self) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        for table in self.capturable_tables()? {
            let checked = check_day(&table, &self.tables)
                .and_then(|()| check_capture(&mut self.client, &table).map(drop));
            findings.extend(checked.err().map(|failure| Finding::of(Check::Triggers, &failure)));
        }
        if findings.is_empty() {
            let what = "all are there, enabled, and as this version installs them";
            findings.push(Finding::ok(Check::Triggers, what));
        }
        Ok(findings)
    }

    /// Whether as much was logged as PostgreSQL has counted.
    pub(super) fn completeness(&mut self) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let mut waiting = Vec::new();
        for table in self.capturable_tables()? {
            let Some(description) = describe(&mut self.client, &table.name)? else { continue };
            if !is_captured(&table, &description) {
                continue;
            }
            match count_unlogged(&mut self.client, &table, &description)? {
                Unlogged::NotCounted => {
                    let what = "the server does not count what is written (track_counts is off)";
                    return Ok(vec![Finding::unchecked(Check::Completeness, what)]);
                }
                Unlogged::NotYet => waiting.push(table.name),
                Unlogged::Rows(..=0) => {}
                Unlogged::Rows(rows) => {
                    let was_altered = was_capture_altered(&mut self.client, &table, &description)?;
                    findings.push(missing(&table, rows, was_altered));
                }
            }
        }
        if !waiting.is_empty() {
            let what = format!("not checked before it has travelled whole: {}", named(&waiting));
            findings.push(Finding::note(Check::Completeness, what));
        }
        if findings.is_empty() {
            let what = "by PostgreSQL's statistics nothing was written without being logged";
            findings.push(Finding::ok(Check::Completeness, what));
        }
        Ok(findings)
    }

    /// Whether there are tables that nobody has decided on.
    pub(super) fn untracked(&mut self) -> Result<Vec<Finding>, Failure> {
        let sql = "SELECT n.nspname::text, c.relname::text
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
                     AND n.nspname NOT IN ('salesync', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
                     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                     AND d.deptype = 'e')
                   ORDER BY 1, 2";
        let rows =
            self.client.query(sql, &[]).map_err(|error| database_failure("looking for tables", &error))?;
        let all = rows.iter().map(|row| TableName { schema: row.get(0), table: row.get(1) });
        let forgotten: Vec<TableName> =
            all.filter(|name| !self.tables.contains_key(name) && !self.local_tables.contains(name)).collect();
        if forgotten.is_empty() {
            return Ok(vec![Finding::ok(Check::Untracked, "every table either travels or is meant to stay")]);
        }
        let verb = if forgotten.len() == 1 { "does" } else { "do" };
        let what = format!("{} {verb} not travel to head office", named(&forgotten));
        let cure = "add to `tables` what should, and to `local_tables` what is meant to stay; then run `salesync init`";
        Ok(vec![Finding::warning(Check::Untracked, what, cure)])
    }

    /// Those of which anything can be said.
    fn capturable_tables(&mut self) -> Result<Vec<TrackedTable>, Failure> {
        let mut tables = tracked_tables(&mut self.client)?;
        let client = &mut self.client;
        tables.retain(|table| capturable(client, &table.name, table.day.as_deref()).is_ok());
        Ok(tables)
    }
}

fn missing(table: &TrackedTable, rows: i64, was_altered: bool) -> Finding {
    let what = format!(
        "PostgreSQL has counted {} more in {} than were logged since it last travelled whole",
        Count(rows, "write"),
        table.name
    );
    if !was_altered {
        let why = "the triggers were not touched, so they are of statements that failed, or of a subscription that has \
                   written to it";
        let cure = "if there was one, run `salesync bundle --since all`";
        return Finding::note(Check::Completeness, format!("{what}; {why}")).cure(cure);
    }
    let cure = "the triggers may have been off meanwhile: `salesync compare` at head office tells the days; \
                `salesync bundle --since all` makes it equal";
    if rows > FEW {
        Finding::warning(Check::Completeness, what, cure)
    } else {
        Finding::note(Check::Completeness, what).cure(cure)
    }
}

/// `public.a, public.b and 3 more`
fn named<'a>(names: impl IntoIterator<Item = &'a TableName>) -> String {
    let names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
    let shown = names[..names.len().min(MOST_NAMED)].join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
