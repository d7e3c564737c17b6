//! The `salesync` schema, from the migrations embedded in the program.

use std::fmt;

use postgres::Client;
use refinery::Runner;

use super::failure::database_failure;
use super::rights::{as_schema_owner, make_schema};
use crate::domain::{Failure, Kind, NodeName};

mod branch {
    refinery::embed_migrations!("migrations/branch");
}

mod head_office {
    refinery::embed_migrations!("migrations/head_office");
}

/// What kind of node a database belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It sells.
    Branch,
    /// It collects.
    HeadOffice,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Branch => "branch",
            Self::HeadOffice => "head-office",
        })
    }
}

/// Brings the `salesync` schema up to date. Returns how many migrations were needed.
pub fn migrate(client: &mut Client, node: &NodeName, role: Role) -> Result<usize, Failure> {
    let doing = "preparing the salesync schema";
    is_prepared(client, node, role)?;
    make_schema(client)?;
    let mut runner = runner(role);
    runner.set_migration_table_name("salesync.migration");
    let report = as_schema_owner(client, |client| {
        runner.set_grouped(true).run(client).map_err(|error| unmigrated(doing, &error))
    })?;
    Ok(report.applied_migrations().len())
}

fn runner(role: Role) -> Runner {
    match role {
        Role::Branch => branch::migrations::runner(),
        Role::HeadOffice => head_office::migrations::runner(),
    }
}

/// The versions that this program knows, in their order, each with the checksum that is recorded when it has run.
pub(super) fn migrations(role: Role) -> Vec<(i64, String)> {
    let runner = runner(role);
    let mut known: Vec<_> = runner.get_migrations().iter().collect();
    known.sort_by_key(|migration| migration.version());
    known.iter().map(|known| (i64::from(known.version()), known.checksum().to_string())).collect()
}

/// True if `salesync init` has made this database the node's. A database belongs to one node: it is an error
/// if it is another's, and the schemas of branch and head office are different ones.
pub fn is_prepared(client: &mut Client, node: &NodeName, role: Role) -> Result<bool, Failure> {
    let doing = "looking for an earlier `salesync init`";
    let failed = |error: postgres::Error| database_failure(doing, &error);
    let known = client.query_one("SELECT to_regclass('salesync.node') IS NOT NULL", &[]).map_err(failed)?;
    if !known.get::<_, bool>(0) {
        return Ok(false);
    }
    let Some(row) = client.query_opt("SELECT name, role FROM salesync.node", &[]).map_err(failed)? else {
        return Ok(false);
    };
    let (name, found): (&str, &str) = (row.get(0), row.get(1));
    if name == node.as_str() && found == role.to_string() {
        return Ok(true);
    }
    Err(Failure::new(
        Kind::Configuration,
        doing,
        format!("this database is the {found} {name}, not the {role} {node}"),
    )
    .hint("correct `node`, `role` or `database.url`; a database belongs to one node only"))
}

/// The database's own error, or the innermost words: the crate's own only say that something went wrong.
fn unmigrated(doing: &str, error: &refinery::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        if let Some(error) = source.downcast_ref::<postgres::Error>() {
            return database_failure(doing, error);
        }
        cause = source;
    }
    Failure::new(Kind::Failed, doing, cause).hint("nothing was changed; an older salesync cannot go back")
}
