//! What can be told of a node's database before it is needed, whichever node's it is. Nothing here writes.

use std::time::Duration;

use chrono::{DateTime, Local, Offset as _, Utc};
use postgres::{Client, GenericClient};

use super::failure::database_failure;
use super::migrate::{Role, migrations};
use crate::domain::{Check, Failure, Finding, Kind, TOLERABLE_SKEW_MS, span_in_words};

/// A transaction that is open for so long is worth a word, and for so long somebody's care.
const LONG: Duration = Duration::from_mins(10);
const TOO_LONG: Duration = Duration::from_hours(1);
/// More of them are not told one by one.
const MOST_TOLD: usize = 3;

const LOOK_ONLY: &str =
    "SET default_transaction_read_only = on; SET statement_timeout = '60s'; SET lock_timeout = '5s'";

/// From now on this session changes nothing, and each statement has a limit.
pub fn look_only(client: &mut Client) -> Result<(), Failure> {
    client.batch_execute(LOOK_ONLY).map_err(|error| database_failure("beginning to look around", &error))
}

/// The version, and whether it can be written to. That it is new enough was seen when connecting.
pub fn look_at_server(client: &mut Client) -> Result<Vec<Finding>, Failure> {
    let sql = "SELECT current_setting('server_version'), pg_is_in_recovery(), current_database()::text";
    let row =
        client.query_one(sql, &[]).map_err(|error| database_failure("looking at the server", &error))?;
    let (version, is_standby, database): (&str, bool, &str) = (row.get(0), row.get(1), row.get(2));
    Ok(vec![if is_standby {
        let what = format!("PostgreSQL {version} is a standby, which cannot be written to");
        let cure = "database.url must name the primary server";
        Finding::failed(Check::Server, Kind::Configuration, what, cure)
    } else {
        Finding::ok(Check::Server, format!("PostgreSQL {version}, database {database}"))
    }])
}

/// Whether the schema is the one that this program makes.
pub fn look_at_schema(client: &mut Client, role: Role) -> Result<Vec<Finding>, Failure> {
    let failed = |error: postgres::Error| database_failure("looking at the salesync schema", &error);
    let is_there = "SELECT to_regclass('salesync.migration') IS NOT NULL";
    let mut found = Vec::new();
    if client.query_one(is_there, &[]).map_err(failed)?.get(0) {
        let sql = "SELECT version::bigint, checksum::text FROM salesync.migration ORDER BY version";
        let rows = client.query(sql, &[]).map_err(failed)?;
        found = rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(i64, String)>>();
    }
    let known = migrations(role);
    let wrong =
        |what: String, cure: &str| vec![Finding::failed(Check::Schema, Kind::Configuration, what, cure)];
    let (has, needs) = (found.len(), known.len());
    Ok(if has == 0 {
        wrong("the database has no salesync schema".to_owned(), "run `salesync init`")
    } else if has > needs {
        let what = format!("the schema has version {has}, and this program knows {needs} only");
        wrong(what, "install the salesync that was here before: a newer one has changed the schema")
    } else if found.iter().zip(&known).any(|(found, known)| found != known) {
        let what = "the schema was made by another salesync than this one, or one in the making";
        wrong(what.to_owned(), "install the salesync that made it")
    } else if has < needs {
        let what = format!("the schema has version {has}, and this program needs {needs}");
        wrong(what, "run `salesync init`, which changes it in one transaction")
    } else {
        vec![Finding::ok(Check::Schema, format!("version {has}, as this program needs it"))]
    })
}

/// Transactions that have been open for long: their rows are in no bundle, and nothing that they may yet see is vacuumed.
/// `known_since` is a moment at which one was open that still is, where that is known.
pub fn look_at_transactions(
    client: &mut Client,
    known_since: Option<DateTime<Utc>>,
) -> Result<Vec<Finding>, Failure> {
    // Of other roles' sessions nothing is seen but that they have written, unless one may see all.
    let sql = "SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''),
                      extract(epoch FROM clock_timestamp() - xact_start)::float8, state
               FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND coalesce(backend_type, 'client backend') = 'client backend'
                 AND (xact_start IS NOT NULL OR backend_xid IS NOT NULL)
               ORDER BY xact_start";
    let rows =
        client.query(sql, &[]).map_err(|error| database_failure("looking for open transactions", &error))?;
    let mut findings = Vec::new();
    for row in &rows {
        let (pid, user, program): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let age = row.get::<_, Option<f64>>(3).map(|age| Duration::from_secs_f64(age.max(0.0)));
        let Some(age) = age.filter(|age| *age >= LONG) else { continue };
        let state = row.get::<_, Option<&str>>(4).unwrap_or("state not known");
        let who = if program.is_empty() { user.to_owned() } else { format!("{user}, {program}") };
        let what = format!(
            "server process {pid} ({who}) has had a transaction open for {} ({state})",
            span_in_words(age)
        );
        findings.push(long_open(age, what, pid));
    }
    let hidden = rows.iter().filter(|row| row.get::<_, Option<f64>>(3).is_none()).count();
    if findings.is_empty() {
        findings.extend(known_since.and_then(|since| open_since(&rows, since)));
    }
    if findings.is_empty() && hidden > 0 {
        let what = format!("when {hidden} transactions of other roles have begun cannot be seen");
        let cure = "GRANT pg_read_all_stats TO the role in database.url";
        findings.push(Finding::note(Check::Transactions, what).cure(cure));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Transactions, "none has been open for long"));
    }
    findings.truncate(MOST_TOLD);
    Ok(findings)
}

const END_IT: &str = "its rows come with a later bundle, and dead rows stay in every table until it ends";

fn long_open(age: Duration, what: String, pid: i32) -> Finding {
    let cure = format!("end it there, or SELECT pg_terminate_backend({pid}); {END_IT}");
    if age < TOO_LONG {
        Finding::note(Check::Transactions, what).cure(cure)
    } else {
        Finding::warning(Check::Transactions, what, cure)
    }
}

fn open_since(rows: &[postgres::Row], since: DateTime<Utc>) -> Option<Finding> {
    let age = (Utc::now() - since).to_std().ok().filter(|age| *age >= LONG)?;
    let what = format!("a transaction has been open since before the cut {} ago", span_in_words(age));
    if let [only] = rows {
        return Some(long_open(age, what, only.get(0)));
    }
    let cure = format!("look for it in pg_stat_activity and pg_prepared_xacts, and end it; {END_IT}");
    Some(if age < TOO_LONG {
        Finding::note(Check::Transactions, what).cure(cure)
    } else {
        Finding::warning(Check::Transactions, what, cure)
    })
}

/// Transactions that were prepared for a second phase that nobody has come to.
pub fn look_at_prepared(client: &mut Client) -> Result<Vec<Finding>, Failure> {
    let sql = "SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::float8 FROM pg_prepared_xacts
               WHERE database = current_database() ORDER BY prepared";
    let rows = client
        .query(sql, &[])
        .map_err(|error| database_failure("looking for prepared transactions", &error))?;
    let old = rows.iter().filter(|row| row.get::<_, f64>(2) >= LONG.as_secs_f64());
    let findings: Vec<Finding> = old
        .take(MOST_TOLD)
        .map(|row| {
            let (name, owner): (&str, &str) = (row.get(0), row.get(1));
            let age = span_in_words(Duration::from_secs_f64(row.get::<_, f64>(2)));
            let what = format!("{owner} has prepared the transaction {name:?} {age} ago, and nobody has ended it");
            let cure = "COMMIT PREPARED or ROLLBACK PREPARED it: it outlives every restart, and its rows are in no bundle";
            Finding::warning(Check::Prepared, what, cure)
        })
        .collect();
    Ok(if findings.is_empty() { vec![Finding::ok(Check::Prepared, "none waits")] } else { findings })
}

/// The database's clock beside this machine's: some times in bundles are the one's, some the other's.
pub fn look_at_clock(client: &mut Client) -> Result<Vec<Finding>, Failure> {
    let before = Utc::now();
    let row = client.query_one("SELECT clock_timestamp()", &[]);
    let there: DateTime<Utc> = row.map_err(|error| database_failure("asking for the time", &error))?.get(0);
    let after = Utc::now();
    let (ahead, behind) = ((there - after).num_milliseconds(), (before - there).num_milliseconds());
    let told = |by: i64, way: &str| {
        let by = span_in_words(Duration::from_millis(by.unsigned_abs()));
        let what = format!("the database's clock is {way} this machine's by {by} or more");
        Finding::warning(Check::DatabaseClock, what, "set both clocks by NTP (chrony or systemd-timesyncd)")
    };
    Ok(vec![match (ahead, behind) {
        (ahead, _) if ahead > TOLERABLE_SKEW_MS => told(ahead, "ahead of"),
        (_, behind) if behind > TOLERABLE_SKEW_MS => told(behind, "behind"),
        _ => Finding::ok(Check::DatabaseClock, "the database's clock is this machine's"),
    }])
}

/// The zone of cron's hours beside the one in which the database says what day it is.
pub fn look_at_time_zone(client: &mut impl GenericClient) -> Result<Vec<Finding>, Failure> {
    // Ours is UTC for the session; what others begin with is where a reset would lead.
    let sql = "SELECT reset_val, extract(epoch FROM (now() AT TIME ZONE reset_val) - (now() AT TIME ZONE 'UTC'))::int
               FROM pg_settings WHERE name = 'TimeZone'";
    let row = client.query_one(sql, &[]);
    let row = row.map_err(|error| database_failure("asking for the time zone", &error))?;
    let (zone, there): (&str, i32) = (row.get(0), row.get(1));
    let here = Local::now().offset().fix();
    Ok(vec![if here.local_minus_utc() == there {
        Finding::ok(Check::TimeZone, format!("this machine and the database are at UTC{here} ({zone})"))
    } else {
        let what = format!(
            "this machine, and with it cron, is at UTC{here}, and the database's sessions are in {zone}"
        );
        let cure = "near midnight a sale can be on another day than the shop's; set the machine's zone (timedatectl), or \
                    the database's (ALTER DATABASE … SET timezone)";
        Finding::note(Check::TimeZone, what).cure(cure)
    }])
}
