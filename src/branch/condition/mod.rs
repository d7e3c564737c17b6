//! What can be told of a branch before its window opens. Nothing here writes.

mod capture;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Local, Offset as _, Utc};
use postgres::Client;

use super::node::Node;
use super::status::{BranchStatus, branch_status};
use super::tracking::tracked_tables;
use crate::archive::Archive;
use crate::database::{
    self, database_failure, describe, look_at_clock, look_at_prepared, look_at_schema, look_at_server,
    look_at_time_zone, look_at_transactions,
};
use crate::domain::{
    Check, Count, Examination, Failure, Finding, NodeName, TOLERABLE_SKEW_MS, TableName, span_in_words,
};

/// A branch whose database answers.
pub struct BranchSubject {
    /// Changes nothing: [`look_only`](database::look_only).
    pub client: Client,
    /// The branch.
    pub name: NodeName,
    /// Its archive.
    pub archive: Archive,
    /// The configured tables, each with its business day.
    pub tables: BTreeMap<TableName, Option<String>>,
    /// The column with the money of those that have one.
    pub amounts: BTreeMap<TableName, String>,
    /// Tables that are meant to stay at the branch.
    pub local_tables: BTreeSet<TableName>,
    /// How it stands, once somebody has asked.
    pub status: Option<Result<BranchStatus, Failure>>,
}

/// Everything that is looked at by way of the database.
pub const EXAMINATIONS: &[Examination<BranchSubject>] = &[
    (Check::Server, |branch| look_at_server(&mut branch.client)),
    (Check::Schema, |branch| look_at_schema(&mut branch.client, database::Role::Branch)),
    (Check::Node, BranchSubject::node),
    (Check::Transactions, BranchSubject::transactions),
    (Check::Prepared, |branch| look_at_prepared(&mut branch.client)),
    (Check::Tables, BranchSubject::tables),
    (Check::Triggers, BranchSubject::triggers),
    (Check::Completeness, BranchSubject::completeness),
    (Check::Untracked, BranchSubject::untracked),
    (Check::Log, BranchSubject::log),
    (Check::Unsynced, BranchSubject::unsynced),
    (Check::Pending, BranchSubject::pending),
    (Check::Answers, BranchSubject::answers),
    (Check::LastRun, BranchSubject::last_run),
    (Check::NextBundle, BranchSubject::next_bundle),
    (Check::DatabaseClock, |branch| look_at_clock(&mut branch.client)),
    (Check::HeadOfficeClock, BranchSubject::head_office_clock),
    (Check::TimeZone, BranchSubject::time_zone),
];

impl BranchSubject {
    /// What `salesync status` shows, asked for once.
    fn status(&mut self) -> Result<BranchStatus, Failure> {
        let client = &mut self.client;
        self.status.get_or_insert_with(|| branch_status(client, &BTreeMap::new())).clone()
    }

    fn node(&mut self) -> Result<Vec<Finding>, Failure> {
        let node = Node::look(&mut self.client, &self.name, &self.archive)?;
        let last = node.last_sequence.map_or_else(
            || "which has sealed no bundle yet".to_owned(),
            |sequence| format!("which has sealed bundle {sequence}"),
        );
        Ok(vec![Finding::ok(Check::Node, format!("it is the database of {}, {last}", self.name))])
    }

    /// The first finished cut that saw a transaction which is open still: so it is older than that.
    fn transactions(&mut self) -> Result<Vec<Finding>, Failure> {
        let sql = "SELECT min(cut_at) FROM salesync.bundle JOIN salesync.node USING (epoch)
                   WHERE is_last_part
                     AND pg_snapshot_xmax(bundle.watermark) > pg_snapshot_xmin(pg_current_snapshot())";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| database_failure("looking for open transactions", &error))?;
        look_at_transactions(&mut self.client, row.get::<_, Option<DateTime<Utc>>>(0))
    }

    fn head_office_clock(&mut self) -> Result<Vec<Finding>, Failure> {
        let clock = self.status()?.clock;
        let told = |ms: i64, way: &str| {
            let by = span_in_words(std::time::Duration::from_millis(ms.unsigned_abs()));
            let what = format!("this clock is {way} head office's by {by} or more");
            let cure = "set the clocks by NTP; no bundle depends on them, but days and times of sales do";
            Finding::warning(Check::HeadOfficeClock, what, cure)
        };
        Ok(vec![match (clock.at_least_ms, clock.at_most_ms) {
            (Some(least), _) if least > TOLERABLE_SKEW_MS => told(least, "behind"),
            (_, Some(most)) if most < -TOLERABLE_SKEW_MS => told(most, "ahead of"),
            (None, None) => Finding::ok(Check::HeadOfficeClock, "no receipt has told head office's time yet"),
            _ => Finding::ok(Check::HeadOfficeClock, "by the last receipts this clock is head office's"),
        }])
    }

    fn time_zone(&mut self) -> Result<Vec<Finding>, Failure> {
        let mut findings = look_at_time_zone(&mut self.client)?;
        let here = Local::now().offset().fix();
        if here.local_minus_utc() == 0 {
            return Ok(findings);
        }
        let mut in_utc = Vec::new();
        for table in tracked_tables(&mut self.client)? {
            let Some(day) = &table.day else { continue };
            let Some(description) = describe(&mut self.client, &table.name)? else { continue };
            let mut columns = description.columns.iter().filter(|column| column.name == *day);
            if columns.any(|column| column.type_name.ends_with("with time zone")) {
                in_utc.push(table.name.to_string());
            }
        }
        if !in_utc.is_empty() {
            let tables = in_utc.join(", ");
            let what = format!(
                "the business days of {} ({tables}) begin at midnight UTC, which is not midnight here",
                Count(in_utc.len(), "table")
            );
            let cure = "name a column of type date as `day`, if days are compared with other books";
            findings.push(Finding::note(Check::TimeZone, what).cure(cure));
        }
        Ok(findings)
    }
}
