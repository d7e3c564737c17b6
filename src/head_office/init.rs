//! Makes a database head office's.

use postgres::Client;

use crate::database::{Lock, Role, database_failure, migrate, take_lock};
use crate::domain::{Failure, NodeName};

/// Makes this database the head office `node` with these branches. Doing it again changes nothing but
/// to add branches that are new. Returns how many migrations were run.
pub fn init_head_office(
    client: &mut Client,
    node: &NodeName,
    branches: &[NodeName],
) -> Result<usize, Failure> {
    take_lock(client, Lock::Init)?;
    let migrations = migrate(client, node, Role::HeadOffice)?;
    let failed = |error: postgres::Error| database_failure("registering the branches", &error);
    let sql = "INSERT INTO salesync.node (name, role) VALUES ($1, 'head-office') ON CONFLICT DO NOTHING";
    client.execute(sql, &[&node.as_str()]).map_err(failed)?;
    let names: Vec<&str> = branches.iter().map(NodeName::as_str).collect();
    let sql = "INSERT INTO salesync.branch (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING";
    client.execute(sql, &[&names]).map_err(failed)?;
    Ok(migrations)
}

/// A branch that had left, or was taken out of the configuration, is expected again: its silence counts from now on.
pub fn expect_again(client: &mut Client, branch: &NodeName) -> Result<(), Failure> {
    let sql = "UPDATE salesync.branch SET known_since = clock_timestamp() WHERE name = $1";
    let done = client.execute(sql, &[&branch.as_str()]);
    done.map(drop).map_err(|error| database_failure(format!("expecting {branch} again"), &error))
}
