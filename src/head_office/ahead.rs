//! A bundle's rows are loaded while the bundle before it is still being applied, and committed after it.
//!
//! Loading is most of the work, and a session has one processor. So other sessions may load the next parts of the same cut
//! each in a transaction of its own; when its turn has come it finds its place, judges, records and commits as always.
//! Parts of one cut have no key in common, so it makes no difference that the rows of those before could not be seen.
//!
//! It is an attempt and nothing else. Whatever is not as plain as that (another kind of bundle, something to be made
//! first, triggers, rows that are not as they were said to be, any error, somebody who waits for a lock
//! that it holds) is rolled back, and the bundle is received in its turn as if nothing had been tried.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use postgres::{Client, Transaction};
use tempfile::NamedTempFile;

use super::apply::{begin, conclude, confirm, expect_next, failed, load, own_partitions, prepare};
use super::branches::position;
use super::kept::keep;
use super::ledger::{Incoming, Source};
use super::policy::Policy;
use super::receive::{Receiver, incoming};
use super::refusal::{Refusal, judged};
use super::schema::is_fit;
use super::turn::Turn;
use super::verdict::{Arrival, Outcome, Verdict};
use crate::bundle::Bundle;
use crate::domain::{Failure, Manifest, Mode, TableEffect, TableName};
use crate::halt::{self, Step};

/// How many bundles of a branch may be under way at once, one that is applied and others that are loaded.
pub const MOST_UNDER_WAY: usize = 4;
/// How long a bundle that is loaded waits for its turn before it looks whether it is in somebody's way.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What became of the attempt.
enum Tried {
    /// The bundle is committed.
    Applied(Vec<TableEffect>),
    /// It is kept in the archive, and nothing of it in the tables.
    InVain(PathBuf),
    /// Nothing has happened.
    Nothing(NamedTempFile),
}

impl Receiver<'_> {
    /// Receives a bundle while the one before it is being tried. None if that is left undecided, or
    /// all is to end when the turn comes: then this one was not tried, and must come again.
    pub fn receive_ahead(
        &mut self,
        draft: NamedTempFile,
        arrival: Arrival<'_>,
        turn: &Turn,
    ) -> Result<Option<Vec<Verdict>>, Failure> {
        let Some(mut bundle) = self.plain_bundle(&draft, arrival) else {
            return self.receive_in_turn(draft, arrival, turn);
        };
        let manifest = bundle.manifest().clone();
        let own = match self.try_ahead(draft, &mut bundle, &manifest, arrival.source, turn)? {
            Tried::Nothing(draft) => return self.receive_in_turn(draft, arrival, turn),
            Tried::InVain(path) => self.apply(&mut bundle, &path, arrival.source)?,
            Tried::Applied(effects) => {
                confirm(self.client, &manifest, bundle.manifest_sha256())?;
                Verdict::on(&manifest, Outcome::Applied(effects))
            }
        };
        self.with_followers(own, Vec::new(), &manifest).map(Some)
    }

    fn try_ahead(
        &mut self,
        draft: NamedTempFile,
        bundle: &mut Bundle<File>,
        manifest: &Manifest,
        source: Source,
        turn: &Turn,
    ) -> Result<Tried, Failure> {
        let loaded = match Loaded::in_its_turn(self.client, bundle, manifest, turn) {
            Ok(Some(loaded)) if self.may_go_on.is_none_or(|may_go_on| may_go_on()) => loaded,
            Ok(_) => return Ok(Tried::Nothing(draft)),
            Err(refusal) => {
                tracing::debug!("not loaded ahead: {refusal:?}");
                return Ok(Tried::Nothing(draft));
            }
        };
        // As with any bundle whose turn it is, it is in the archive before it is in the database.
        let path = keep(self.archive, draft, bundle)?;
        match loaded.conclude(incoming(bundle, manifest, source), self.policy) {
            Ok(effects) => Ok(Tried::Applied(effects)),
            Err(refusal) => {
                tracing::debug!("loaded ahead in vain: {refusal:?}");
                Ok(Tried::InVain(path))
            }
        }
    }

    fn receive_in_turn(
        &mut self,
        draft: NamedTempFile,
        arrival: Arrival<'_>,
        turn: &Turn,
    ) -> Result<Option<Vec<Verdict>>, Failure> {
        if turn.comes() && self.may_go_on.is_none_or(|may_go_on| may_go_on()) {
            return self.receive(draft, arrival).map(Some);
        }
        Ok(None)
    }

    /// The bundle, if it is one that may be loaded ahead.
    fn plain_bundle(&mut self, draft: &NamedTempFile, arrival: Arrival<'_>) -> Option<Bundle<File>> {
        let mut bundle = Bundle::open_with(draft.reopen().ok()?, self.archive.identities()).ok()?;
        let manifest = bundle.manifest();
        let is_change = manifest.tables.iter().all(|change| change.mode == Mode::Changes);
        let is_plain = is_change && arrival.branch == Some(&manifest.branch);
        (is_plain && self.check_origin(&mut bundle, arrival).is_ok_and(|doubt| doubt.is_ok()))
            .then_some(bundle)
    }
}

/// A bundle's rows are in the tables, for its own transaction.
struct Loaded<'c> {
    transaction: Transaction<'c>,
    effects: Vec<TableEffect>,
}

impl<'c> Loaded<'c> {
    /// Loads the rows and waits for the turn; then the bundle is the next. None if that is not to be had, and nothing has happened.
    fn in_its_turn(
        client: &'c mut Client,
        bundle: &mut Bundle<File>,
        manifest: &Manifest,
        turn: &Turn,
    ) -> Result<Option<Self>, Refusal> {
        let mut transaction = begin(client, manifest)?;
        if !is_possible(&mut transaction, manifest)? {
            return Ok(None);
        }
        own_partitions(&mut transaction, manifest)?;
        let effects = load(&mut transaction, bundle, manifest)?;
        halt::after(Step::RowsLoadedAhead);
        if effects.iter().any(|effect| effect.divergences > 0) || !has_turn(&mut transaction, manifest, turn)?
        {
            return Ok(None);
        }
        expect_next(&mut transaction, manifest, bundle.manifest_sha256())?;
        Ok(Some(Self { transaction, effects }))
    }

    /// Does the rest of what applying is.
    fn conclude(mut self, incoming: Incoming<'_>, policy: Policy) -> Result<Vec<TableEffect>, Refusal> {
        let manifest = incoming.manifest;
        let partitions = prepare(&mut self.transaction, manifest, policy)?;
        let effects = conclude(&mut self.transaction, incoming, policy, &partitions, self.effects)?;
        self.transaction.commit().map_err(failed(manifest))?;
        Ok(effects)
    }
}

/// Whether everything before the bundle is there but for parts of the same cut, which are under way, the tables can take the rows as they are,
/// and nothing of somebody else's happens with them that might look at other rows.
fn is_possible(transaction: &mut Transaction<'_>, manifest: &Manifest) -> Result<bool, Refusal> {
    if !position(transaction, &manifest.branch)?.is_some_and(|at| at.is_before_parts_of_its_cut(manifest))
        || !is_fit(transaction, manifest)?
    {
        return Ok(false);
    }
    for change in &manifest.tables {
        if has_triggers(transaction, &change.name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the table, or a partition of it, has triggers but for those that keep its foreign keys.
fn has_triggers(transaction: &mut Transaction<'_>, table: &TableName) -> Result<bool, Refusal> {
    let sql = "SELECT EXISTS (SELECT FROM pg_trigger
                              WHERE NOT tgisinternal AND (tgrelid = $1::text::regclass
                                    OR tgrelid IN (SELECT relid FROM pg_partition_tree($1::text::regclass))))";
    let found = transaction.query_one(sql, &[&table.sql()]);
    let doing = format!("looking for triggers of {table}");
    found.map(|row| row.get(0)).map_err(|error| judged(&doing, &error))
}

/// Waits for the turn. The bundle before may wait for a lock that this one holds, which no server can know for a deadlock.
fn has_turn(transaction: &mut Transaction<'_>, manifest: &Manifest, turn: &Turn) -> Result<bool, Refusal> {
    let is_in_the_way = "SELECT EXISTS (SELECT FROM pg_locks
                                        WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))";
    loop {
        if let Some(comes) = turn.within(BETWEEN_LOOKS) {
            return Ok(comes);
        }
        if transaction.query_one(is_in_the_way, &[]).map_err(failed(manifest))?.get(0) {
            return Ok(false);
        }
    }
}
