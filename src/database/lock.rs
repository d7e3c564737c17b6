//! One `bundle` and one `apply` at a time, per database.
//!
//! An `apply` has several sessions: one that holds [`Lock::Apply`], and its workers, which hold another lock
//! together. Whoever takes [`Lock::Apply`] waits until nobody holds that one: the workers of a session that was
//! lost may still be at work. And no worker begins whose session has lost [`Lock::Apply`] meanwhile.

use postgres::error::SqlState;
use postgres::{Client, GenericClient, Transaction};

use super::failure::database_failure;
use crate::domain::{Failure, Kind};

/// The first key of every advisory lock of this program: "sale" in ASCII.
const CLASS: i32 = 0x7361_6c65;

/// What a session-level advisory lock protects. It is freed when the connection ends.
#[derive(Debug, Clone, Copy)]
pub enum Lock {
    /// Migrations and the installation of capture.
    Init,
    /// Everything that writes the branch's bundles.
    Bundle,
    /// Everything that applies bundles at head office.
    Apply,
}

/// What the workers of the session with [`Lock::Apply`] hold together.
const WORK: i32 = 4;
/// What the transaction holds that changes the definition of tables.
const DEFINITIONS: i32 = 5;
/// What the transaction holds that records a decision.
const DECISIONS: i32 = 6;

impl Lock {
    fn key(self) -> i32 {
        match self {
            Self::Init => 1,
            Self::Bundle => 2,
            Self::Apply => 3,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Bundle => "bundle",
            Self::Apply => "apply",
        }
    }
}

/// How long to wait for a lock. A program that has ended holds its locks until its server process has
/// noticed, so the next command of a script must not give up at once.
const PATIENCE: &str = "SET LOCAL lock_timeout = '2s'";

/// Takes the lock, or says who has it and does not let go.
pub fn take_lock(client: &mut Client, lock: Lock) -> Result<(), Failure> {
    let doing = format!("making sure that no other `{}` is at work", lock.command());
    let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
    match wait(client, lock) {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let holder = holder(client, lock).map_err(failed)?;
            let holder = holder.unwrap_or_else(|| "another one is just ending".to_owned());
            // It may have come as far as to wait for the workers.
            client.execute("SELECT pg_advisory_unlock($1, $2)", &[&CLASS, &lock.key()]).map_err(failed)?;
            Err(Failure::new(Kind::Postponed, doing, holder)
                .hint("wait for it to finish, or stop it if it stays (`--follow`), then run this again"))
        }
        taken => taken.map_err(failed),
    }
}

/// Gives back what this session has taken.
pub fn release_lock(client: &mut Client, lock: Lock) -> Result<(), Failure> {
    let released = client.execute("SELECT pg_advisory_unlock($1, $2)", &[&CLASS, &lock.key()]);
    let doing = || format!("letting others `{}`", lock.command());
    released.map(drop).map_err(|error| database_failure(doing(), &error))
}

/// The lock is the session's and outlasts the transaction, which only bounds the wait.
fn wait(client: &mut Client, lock: Lock) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(PATIENCE)?;
    transaction.execute("SELECT pg_advisory_lock($1, $2)", &[&CLASS, &lock.key()])?;
    if matches!(lock, Lock::Apply) {
        transaction.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&CLASS, &WORK])?;
    }
    transaction.commit()
}

/// Who holds the lock just now, if anybody does: `salesync apply (server process …) is at work`.
pub fn at_work(client: &mut impl GenericClient, lock: Lock) -> Result<Option<String>, Failure> {
    holder(client, lock).map_err(|error| database_failure("looking who is at work", &error))
}

fn holder(client: &mut impl GenericClient, lock: Lock) -> Result<Option<String>, postgres::Error> {
    let keys = if matches!(lock, Lock::Apply) { vec![lock.key(), WORK] } else { vec![lock.key()] };
    let rows = client.query(
        // Since when is told of one's own sessions only.
        "SELECT format('%s (server process %s%s) is at work', a.application_name, a.pid,
                       to_char(a.backend_start, '\", since \"YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))
         FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted AND l.database = a.datid AND l.objsubid = 2
           AND a.datname = current_database() AND l.classid = $1::int4::oid AND l.objid = ANY ($2::int4[]::oid[])
           AND a.pid <> pg_backend_pid()
         ORDER BY l.objid",
        &[&CLASS, &keys],
    )?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// The server's number of this session.
pub fn session(client: &mut Client) -> Result<i32, Failure> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]);
    Ok(row.map_err(|error| database_failure("asking for the session's number", &error))?.get(0))
}

/// Joins in the work of the session `holder`, which has taken [`Lock::Apply`]. As long as this session lasts
/// nobody else can take that.
pub fn share_work(client: &mut Client, holder: i32) -> Result<(), Failure> {
    let doing = "joining in the work of the session that holds the lock";
    let failed = |error: postgres::Error| database_failure(doing, &error);
    client.execute("SELECT pg_advisory_lock_shared($1, $2)", &[&CLASS, &WORK]).map_err(failed)?;
    let holds = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = $1 AND objsubid = 2
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND classid = $2::int4::oid AND objid = $3::int4::oid)";
    let row = client.query_one(holds, &[&holder, &CLASS, &Lock::Apply.key()]).map_err(failed)?;
    if row.get(0) {
        return Ok(());
    }
    Err(Failure::new(Kind::Unreachable, doing, "it has ended")
        .hint("nothing is lost; run the command again when the database server is well"))
}

/// Waits until no other transaction decides. Two people who have seen the same must not both decide on it.
pub fn lock_decisions(transaction: &mut Transaction<'_>) -> Result<(), postgres::Error> {
    transaction.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&CLASS, &DECISIONS]).map(drop)
}

/// Waits until no other transaction changes the definition of tables. Two that make the same at once would
/// otherwise see neither each other's work nor a good reason to fail.
pub fn lock_definitions(transaction: &mut Transaction<'_>) -> Result<(), postgres::Error> {
    transaction.execute("SELECT pg_advisory_xact_lock($1, $2)", &[&CLASS, &DEFINITIONS]).map(drop)
}
