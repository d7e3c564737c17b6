//! What can be told of head office before bundles come. Nothing here writes.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use postgres::Client;

use super::enrolment::Enrolment;
use super::monitor::{Expectations, Standing, Weight, standings};
use crate::archive::Archive;
use crate::database::{
    self, Lock, at_work, database_failure, is_prepared, look_at_clock, look_at_prepared, look_at_schema,
    look_at_server, look_at_time_zone, look_at_transactions,
};
use crate::domain::{Check, Count, Examination, Failure, Finding, Kind, NodeName, Sequence, span_in_words};

/// What waits for so long waits for somebody.
const TOO_LONG: Duration = Duration::from_hours(1);

/// A head office whose database answers.
pub struct HeadOfficeSubject {
    /// Changes nothing: [`look_only`](database::look_only).
    pub client: Client,
    /// Head office.
    pub name: NodeName,
    /// The configured branches, and how long each may be silent.
    pub branches: Expectations,
    /// Their keys.
    pub enrolment: Enrolment,
    /// Where bundles are kept.
    pub archive: Archive,
}

/// Everything that is looked at by way of the database.
pub const EXAMINATIONS: &[Examination<HeadOfficeSubject>] = &[
    (Check::Server, |office| look_at_server(&mut office.client)),
    (Check::Schema, |office| look_at_schema(&mut office.client, database::Role::HeadOffice)),
    (Check::Node, HeadOfficeSubject::node),
    (Check::Transactions, |office| look_at_transactions(&mut office.client, None)),
    (Check::Prepared, |office| look_at_prepared(&mut office.client)),
    (Check::KnownKeys, |office| Ok(vec![office.keys()])),
    (Check::Branches, HeadOfficeSubject::branches),
    (Check::Standing, HeadOfficeSubject::standing),
    (Check::Apply, HeadOfficeSubject::apply),
    (Check::Letters, HeadOfficeSubject::letters),
    (Check::Ownership, HeadOfficeSubject::ownership),
    (Check::NextBundle, HeadOfficeSubject::next_day),
    (Check::DatabaseClock, |office| look_at_clock(&mut office.client)),
    (Check::TimeZone, |office| look_at_time_zone(&mut office.client)),
];

impl HeadOfficeSubject {
    fn node(&mut self) -> Result<Vec<Finding>, Failure> {
        is_prepared(&mut self.client, &self.name, database::Role::HeadOffice)?;
        Ok(vec![Finding::ok(Check::Node, format!("it is the database of {}", self.name))])
    }

    /// Whether every branch is enrolled.
    fn keys(&self) -> Finding {
        let without: Vec<&str> = self
            .branches
            .keys()
            .filter(|name| self.enrolment.keys_of(name).is_none())
            .map(NodeName::as_str)
            .collect();
        if without.is_empty() {
            Finding::ok(Check::KnownKeys, "every branch has to sign")
        } else {
            let what = format!("nothing has to be signed by {}", without.join(", "));
            let cure = "make a key there (`salesync keygen`), and set its public_key in [branches.…] (docs/security.md)";
            if without.len() == self.branches.len() {
                Finding::note(Check::KnownKeys, what).cure(cure)
            } else {
                Finding::warning(Check::KnownKeys, what, cure)
            }
        }
    }

    /// Whether the configuration and the database know the same branches.
    fn branches(&mut self) -> Result<Vec<Finding>, Failure> {
        let rows = self.client.query("SELECT name FROM salesync.branch", &[]);
        let rows = rows.map_err(|error| database_failure("reading the branches", &error))?;
        let known: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
        let configured: BTreeSet<&str> = self.branches.keys().map(NodeName::as_str).collect();
        let mut findings = Vec::new();
        for name in configured.difference(&known) {
            let what =
                format!("{name} is configured, and neither its queues nor its place in the ledger were made");
            findings.push(Finding::failed(Check::Branches, Kind::Configuration, what, "run `salesync init`"));
        }
        for name in known.difference(&configured) {
            let what =
                format!("{name} is in the ledger, and not in the configuration: its queue is not emptied");
            let cure = format!("add [branches.{name}], or leave it so if the branch was closed");
            findings.push(Finding::note(Check::Branches, what).cure(cure));
        }
        if configured.is_empty() {
            let cure = "add a section [branches.NAME] for each, and run `salesync init`";
            findings.push(Finding::warning(Check::Branches, "no branch is configured", cure));
        }
        if findings.is_empty() {
            let what = format!("the ledger knows the branches of the configuration ({})", known.len());
            findings.push(Finding::ok(Check::Branches, what));
        }
        Ok(findings)
    }

    /// What `status` and the page say of each branch.
    fn standing(&mut self) -> Result<Vec<Finding>, Failure> {
        let now = Utc::now();
        let standings = standings(&mut self.client, &self.branches, now)?;
        Ok(standings.iter().flat_map(|standing| of_branch(standing, now)).collect())
    }

    /// Whether somebody applies, and whether decisions wait in vain.
    fn apply(&mut self) -> Result<Vec<Finding>, Failure> {
        let failed = |error: postgres::Error| database_failure("looking when bundles were applied", &error);
        let sql = "SELECT (SELECT max(received_at) FROM (SELECT received_at FROM salesync.delivery
                                                         ORDER BY delivery_id DESC LIMIT 100) d),
                          (SELECT min(decided_at) FROM salesync.decision WHERE carried_out_at IS NULL)";
        let row = self.client.query_one(sql, &[]).map_err(failed)?;
        let (last, undone): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) = (row.get(0), row.get(1));
        let last = match last {
            Some(last) => format!("the last bundle came {} ago", ago(last)),
            None => "no bundle has come yet".to_owned(),
        };
        let at_work = at_work(&mut self.client, Lock::Apply)?;
        Ok(vec![match undone.filter(|since| age(*since) > TOO_LONG) {
            Some(since) => {
                let what = format!("a decision of {} ago was not carried out", ago(since));
                let cure =
                    "run `salesync apply`, or see what the service says (journalctl -u salesync-apply)";
                Finding::warning(Check::Apply, what, cure)
            }
            None => Finding::ok(
                Check::Apply,
                format!("{}; {last}", at_work.as_deref().unwrap_or("no `apply` is at work just now")),
            ),
        }])
    }

    /// Whether receipts and requests wait for a broker.
    fn letters(&mut self) -> Result<Vec<Finding>, Failure> {
        let sql = "SELECT count(*), min(made_at) FROM (
                       SELECT created_at AS made_at FROM salesync.receipt WHERE published_at IS NULL
                       UNION ALL SELECT requested_at FROM salesync.request
                       WHERE published_at IS NULL AND answered_at IS NULL) l";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| database_failure("looking for receipts that wait", &error))?;
        let (count, oldest): (i64, Option<DateTime<Utc>>) = (row.get(0), row.get(1));
        Ok(vec![match oldest {
            None => Finding::ok(Check::Letters, "no receipt or request waits for the broker"),
            Some(oldest) => {
                let what = format!("receipts and requests not sent: {count}, the oldest for {}", ago(oldest));
                if age(oldest) > TOO_LONG {
                    Finding::warning(Check::Letters, what, "run `salesync apply` with the broker in reach")
                } else {
                    Finding::ok(Check::Letters, what)
                }
            }
        }])
    }

    /// Whether columns and partitions can be added to the tables: only their owner can. Whoever looks may be allowed less
    /// than whoever applies, which is the owner of the schema, or a member.
    fn ownership(&mut self) -> Result<Vec<Finding>, Failure> {
        let sql = "SELECT c.oid::regclass::text, pg_get_userbyid(c.relowner)::text, a.role::text
                   FROM (SELECT CASE WHEN pg_has_role(nspowner, 'USAGE') THEN current_user ELSE pg_get_userbyid(nspowner) END
                         FROM pg_namespace WHERE nspname = 'salesync') a(role),
                        (SELECT DISTINCT schema_name, table_name FROM salesync.branch_table) t
                   JOIN pg_namespace n ON n.nspname = t.schema_name
                   JOIN pg_class p ON p.relnamespace = n.oid AND p.relname = t.table_name
                   JOIN pg_class c ON c.oid = p.oid OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = p.oid)
                   WHERE NOT pg_has_role(a.role, c.relowner, 'USAGE') ORDER BY 1";
        let rows = self.client.query(sql, &[]);
        let rows = rows.map_err(|error| database_failure("looking whose the tables are", &error))?;
        let Some(first) = rows.first() else {
            return Ok(vec![Finding::ok(
                Check::Ownership,
                "head office may change every table that branches fill",
            )]);
        };
        let (table, owner, user): (&str, &str, &str) = (first.get(0), first.get(1), first.get(2));
        let what = format!(
            "{} owned by others, {table} by {owner}: no partition or column can be added",
            Count(rows.len(), "table")
        );
        let cure = format!("ALTER TABLE {table} OWNER TO {user}, or GRANT {owner} TO {user}");
        Ok(vec![Finding::warning(Check::Ownership, what, cure)])
    }

    /// What the archive will need, by what came within a day lately.
    fn next_day(&mut self) -> Result<Vec<Finding>, Failure> {
        let sql = "SELECT coalesce(max(bytes), 0)::bigint FROM (
                       SELECT sum(byte_count) AS bytes FROM salesync.bundle WHERE received_at > now() - interval '14 days'
                       GROUP BY received_at::date) d";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| database_failure("measuring the last bundles", &error))?;
        let needed = row.get::<_, i64>(0).unsigned_abs();
        Ok(vec![self.archive.look_at_room(needed, "a day's bundles need")?])
    }
}

fn of_branch(standing: &Standing, now: DateTime<Utc>) -> Vec<Finding> {
    let name = &standing.state.name;
    let told = standing.concerns.iter().map(|concern| {
        let what = format!("{name}: {}", concern.what.trim_end_matches('.'));
        let cure = match &concern.command {
            Some(command) => format!("{} `{command}`", concern.cure),
            None => concern.cure.to_owned(),
        };
        match concern.weight {
            Weight::NeedsPerson => Finding::warning(Check::Standing, what, cure),
            Weight::Remark => Finding::note(Check::Standing, what).cure(cure),
        }
    });
    let told: Vec<Finding> = told.collect();
    match (&told[..], standing.state.last_sequence, standing.state.last_applied_at) {
        ([], Some(sequence), Some(at)) => {
            vec![Finding::ok(Check::Standing, applied(name, sequence, now - at))]
        }
        ([], ..) => vec![Finding::ok(Check::Standing, format!("{name}: nothing to complain of"))],
        _ => told,
    }
}

fn applied(name: &NodeName, sequence: Sequence, ago: chrono::TimeDelta) -> String {
    let ago = span_in_words(ago.to_std().unwrap_or_default());
    format!("{name}: bundle {sequence} was applied {ago} ago")
}

fn age(moment: DateTime<Utc>) -> Duration {
    (Utc::now() - moment).to_std().unwrap_or_default()
}

fn ago(moment: DateTime<Utc>) -> String {
    span_in_words(age(moment))
}
