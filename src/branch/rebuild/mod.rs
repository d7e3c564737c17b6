//! A branch's database, made again from the branch's archived bundles.
//!
//! The bundles go into temporary tables first. The application's own tables have constraints that hold at a
//! cut and not between two bundles, and columns that nobody may write to; they get all their rows at once,
//! in one statement, when the last bundle is in. All of it is one transaction.

mod chain;
mod counters;
mod live;
mod scratch;

use std::collections::BTreeMap;
use std::path::Path;

use postgres::{Client, GenericClient};

pub use self::counters::Counter;

use self::chain::Chain;
use self::counters::advance_counters;
use self::live::{LiveTable, fill};
use self::scratch::Scratch;
use super::node::Node;
use super::tracking::install;
use crate::archive::Archive;
use crate::database::{Lock, Role, database_failure, migrate, take_lock};
use crate::domain::{Epoch, Failure, KeyId, KeyRing, Kind, NodeName, Sequence, TableName};
use crate::halt::{self, Step};

const DOING: &str = "rebuilding this branch";

/// What a branch is rebuilt from, and as what.
#[derive(Debug)]
pub struct RebuildOptions<'a> {
    /// The folder with its bundles; those of other branches in it are passed over.
    pub folder: &'a Path,
    /// The last bundle; the last there is, if none is named.
    pub to: Option<Sequence>,
    /// The tables that are configured, each with its business-day column if it has one.
    pub tables: &'a BTreeMap<TableName, Option<String>>,
    /// The keys that the last bundle may be signed with; empty if the branch does not sign.
    pub keys: &'a KeyRing,
}

/// A branch that was rebuilt.
#[derive(Debug)]
pub struct Rebuilt {
    /// The epoch of the bundles it was rebuilt from.
    pub from_epoch: Epoch,
    /// The last of them.
    pub last_sequence: Sequence,
    /// True if that is the last part of its cut.
    pub is_at_cut: bool,
    /// The new epoch, in which its next bundles will be.
    pub epoch: Epoch,
    /// The key that has signed the last of the bundles; none if nothing had to be signed.
    pub proven_by: Option<KeyId>,
    /// Its tables.
    pub tables: Vec<RebuiltTable>,
}

/// A table that was rebuilt.
#[derive(Debug)]
pub struct RebuiltTable {
    /// Its name.
    pub name: TableName,
    /// Its rows.
    pub rows: u64,
    /// True if there was no such table.
    pub was_created: bool,
    /// The counters of its columns, and where they stand now.
    pub counters: Vec<Counter>,
}

/// Makes this database the branch `name` with the rows that its newest bundles say it has. The next cut begins
/// a new epoch, because nobody knows what the lost database has sealed besides.
pub fn rebuild(
    client: &mut Client,
    name: &NodeName,
    archive: &Archive,
    options: &RebuildOptions<'_>,
) -> Result<Rebuilt, Failure> {
    let chain = Chain::find(archive, options.folder, name, options.to)?;
    let proven_by = chain.check_seal(archive, options.keys)?;
    take_lock(client, Lock::Init)?;
    take_lock(client, Lock::Bundle)?;
    migrate(client, name, Role::Branch)?;
    refuse_used(client)?;
    let failed = |error: postgres::Error| database_failure(DOING, &error);
    let mut transaction = client.transaction().map_err(failed)?;
    let mut scratch = Scratch::default();
    for bundle in &chain.bundles {
        scratch.add(&mut transaction, archive, bundle)?;
    }
    let mut live = Vec::with_capacity(scratch.tables.len());
    for (table, columns) in &scratch.tables {
        let day = options.tables.get(table).ok_or_else(|| not_configured(table))?;
        live.push(LiveTable::prepare(&mut transaction, table, columns, day.as_deref())?);
    }
    let rows = fill(&mut transaction, &live, &chain)?;
    let mut tables = Vec::with_capacity(live.len());
    for (table, rows) in live.into_iter().zip(rows) {
        table.wake_triggers(&mut transaction)?;
        let counters = advance_counters(&mut transaction, &table)?;
        tables.push(RebuiltTable {
            name: table.name.clone(),
            rows,
            was_created: table.was_created,
            counters,
        });
    }
    install(&mut transaction, name, options.tables)?;
    Node::renew(&mut transaction, name, archive, Some(chain.epoch))?;
    transaction.commit().map_err(failed)?;
    halt::after(Step::BranchRebuilt);
    let node = Node::note(client, name, archive)?;
    Ok(Rebuilt {
        from_epoch: chain.epoch,
        last_sequence: chain.last_sequence(),
        is_at_cut: chain.is_at_cut(),
        epoch: node.epoch,
        proven_by,
        tables,
    })
}

/// A database that has sealed bundles is no new one.
fn refuse_used(client: &mut impl GenericClient) -> Result<(), Failure> {
    let row = client
        .query_one("SELECT EXISTS (SELECT FROM salesync.bundle)", &[])
        .map_err(|error| database_failure(DOING, &error))?;
    if !row.get::<_, bool>(0) {
        return Ok(());
    }
    Err(Failure::new(Kind::Usage, DOING, "its database is in use: it has sealed bundles of its own")
        .hint("a branch is rebuilt into a new database; create one and name it in `database.url`"))
}

fn not_configured(table: &TableName) -> Failure {
    let why = format!("the bundles have the table {table}, which is not configured");
    Failure::new(Kind::Configuration, DOING, why)
        .hint("add it to `tables`; it can be taken off again when the branch is rebuilt")
}
