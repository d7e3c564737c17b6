//! One `bundle` and one `apply` at a time, per database.

use postgres::error::SqlState;
use postgres::{Client, GenericClient};

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
            Err(Failure::new(Kind::Postponed, doing, holder)
                .hint("wait for it to finish, then run this again"))
        }
        taken => taken.map_err(failed),
    }
}

/// The lock is the session's and outlasts the transaction, which only bounds the wait.
fn wait(client: &mut Client, lock: Lock) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(PATIENCE)?;
    transaction.execute("SELECT pg_advisory_lock($1, $2)", &[&CLASS, &lock.key()])?;
    transaction.commit()
}

fn holder(client: &mut impl GenericClient, lock: Lock) -> Result<String, postgres::Error> {
    let rows = client.query(
        "SELECT format('%s (server process %s, since %s) is at work', a.application_name, a.pid,
                       to_char(a.backend_start, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))
         FROM pg_locks l JOIN pg_stat_activity a USING (pid)
         WHERE l.locktype = 'advisory' AND l.granted AND l.database = a.datid AND l.objsubid = 2
           AND a.datname = current_database() AND l.classid = $1::int4::oid AND l.objid = $2::int4::oid",
        &[&CLASS, &lock.key()],
    )?;
    Ok(rows.first().map_or_else(|| "another one is just ending".to_owned(), |row| row.get(0)))
}
