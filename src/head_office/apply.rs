//! One bundle, one transaction: everything it says and the record that it was said, or nothing.
//!
//! The steps are apart, so that a bundle whose rows were loaded [ahead](super::ahead) takes the others when its turn has come.

use std::io::{Read, Seek};

use postgres::{Client, IsolationLevel, Transaction};

use super::branches::lock_branch;
use super::check_days::check_days;
use super::decisions::approved;
use super::deletions::check_deletions;
use super::hold::HoldKind;
use super::ledger::{
    Delivery, IncidentKind, Incoming, knows_epoch, record_bundle, record_incident, recorded,
};
use super::partitions::{analyze_once, own_partition};
use super::place::{Place, Recorded, place};
use super::policy::Policy;
use super::receipts::record_receipt;
use super::refusal::{Refusal, judged};
use super::schema::fit_tables;
use super::target::set_branch;
use crate::bundle::Bundle;
use crate::database::{Loader, Target, database_failure};
use crate::domain::{
    Digest, Failure, Kind, Manifest, MemberKind, Receipt, ReceiptOutcome, TableEffect, TableName,
};
use crate::halt::{self, Step};

/// Whether the work is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Commit it.
    Commit,
    /// Roll it back: it was only to be seen whether it could be done.
    RollBack,
}

/// Where the bundle belongs now, by the ledger.
pub(super) fn find_place(
    client: &mut impl postgres::GenericClient,
    manifest: &Manifest,
    digest: Digest,
) -> Result<Place, Failure> {
    let at = lock_branch(client, &manifest.branch)?;
    let bundle = match recorded(client, manifest)? {
        Some((known, bundle_state)) => {
            known.parse().ok().map(|known: Digest| (known, bundle_state == "applied"))
        }
        None => None,
    };
    let recorded = Recorded { bundle, knows_epoch: knows_epoch(client, manifest)? };
    Ok(place(&at, manifest, digest, &recorded))
}

/// Applies a bundle whose place is next, in one transaction with its record and its receipt. Returns
/// what it has done to each table.
pub(super) fn apply<R: Read + Seek>(
    client: &mut Client,
    bundle: &mut Bundle<R>,
    incoming: Incoming<'_>,
    policy: Policy,
    keep: Keep,
) -> Result<Vec<TableEffect>, Refusal> {
    let Incoming { manifest, digest, .. } = incoming;
    let mut transaction = begin(client, manifest)?;
    expect_next(&mut transaction, manifest, digest)?;
    let partitions = prepare(&mut transaction, manifest, policy)?;
    let effects = load(&mut transaction, bundle, manifest)?;
    let counts = conclude(&mut transaction, incoming, policy, &partitions, effects)?;
    if keep == Keep::RollBack {
        transaction.rollback().map_err(failed(manifest))?;
    } else {
        transaction.commit().map_err(failed(manifest))?;
        confirm(client, manifest, digest)?;
    }
    Ok(counts)
}

fn doing(manifest: &Manifest) -> String {
    format!("applying bundle {} of {}", manifest.sequence, manifest.branch)
}

pub(super) fn failed(manifest: &Manifest) -> impl Fn(postgres::Error) -> Refusal {
    move |error| Refusal::Failed(database_failure(doing(manifest), &error))
}

/// What others have committed while this one waited for a lock must be seen, whatever the database's default is.
pub(super) fn begin<'c>(client: &'c mut Client, manifest: &Manifest) -> Result<Transaction<'c>, Refusal> {
    let builder = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
    builder.start().map_err(failed(manifest))
}

/// The bundle's place is next, seen under the lock on the branch's row: nobody can come in between.
pub(super) fn expect_next(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    digest: Digest,
) -> Result<(), Refusal> {
    match find_place(transaction, manifest, digest)? {
        Place::Next => Ok(()),
        other => {
            let why = format!("its place changed meanwhile: {other:?}");
            Err(Refusal::Failed(
                Failure::new(Kind::Failed, doing(manifest), why).hint("run `salesync apply` again"),
            ))
        }
    }
}

/// Makes the tables fit for the rows. The partition of each that has the branch's rows, where there is one.
pub(super) fn prepare(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    policy: Policy,
) -> Result<Vec<Option<TableName>>, Refusal> {
    let is_approved = approved(transaction, manifest, HoldKind::Schema)?;
    fit_tables(transaction, manifest, policy, is_approved)?;
    own_partitions(transaction, manifest)
}

/// The tables themselves, rows parents first, tombstones children first.
pub(super) fn load<R: Read + Seek>(
    transaction: &mut Transaction<'_>,
    bundle: &mut Bundle<R>,
    manifest: &Manifest,
) -> Result<Vec<TableEffect>, Refusal> {
    let branch = manifest.branch.as_str();
    set_branch(transaction, branch)?;
    let mut loader = Loader::new(bundle, Target { table: TableName::sql, branch: Some(branch) });
    let mut effects = Vec::with_capacity(manifest.tables.len());
    for change in &manifest.tables {
        effects.push(loader.rows(transaction, change)?);
    }
    for (change, effect) in manifest.tables.iter().zip(&mut effects).rev() {
        loader.tombstones(transaction, change, effect)?;
        effect.members = loader.totals_of(change);
    }
    Ok(effects)
}

/// Judges what the rows have become, and records it. Returns what was done to each table.
pub(super) fn conclude(
    transaction: &mut Transaction<'_>,
    incoming: Incoming<'_>,
    policy: Policy,
    partitions: &[Option<TableName>],
    mut effects: Vec<TableEffect>,
) -> Result<Vec<TableEffect>, Refusal> {
    let manifest = incoming.manifest;
    let deletes = effects.iter().any(|effect| effect.deleted > 0);
    if deletes && !approved(transaction, manifest, HoldKind::Deletion)? {
        check_deletions(transaction, manifest, &effects, policy)?;
    }
    // Constraints that were put off are judged now, while it is still known whose bundle it is.
    transaction
        .batch_execute("SET CONSTRAINTS ALL IMMEDIATE")
        .map_err(|error| judged("checking head office's constraints", &error))?;
    check_days(transaction, manifest, partitions, &mut effects)?;
    halt::after(Step::RowsLoaded);
    let counts = effects.iter().map(TableEffect::counts).collect();
    record(transaction, incoming, effects)?;
    halt::after(Step::BundleRecorded);
    Ok(counts)
}

/// The partition of each table that has the branch's rows, where there is one: ready for rows to be looked up in it.
pub(super) fn own_partitions(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
) -> Result<Vec<Option<TableName>>, Refusal> {
    let mut partitions = Vec::with_capacity(manifest.tables.len());
    for change in &manifest.tables {
        let partition = own_partition(transaction, &change.name, manifest.branch.as_str())?;
        // Those of a range are looked up where there were rows already.
        let looks_rows_up =
            change.range.is_some() || change.members.iter().any(|member| member.kind != MemberKind::Inserts);
        if let Some(partition) = partition.as_ref().filter(|_| looks_rows_up) {
            analyze_once(transaction, partition)?;
        }
        partitions.push(partition);
    }
    Ok(partitions)
}

fn record(
    transaction: &mut Transaction<'_>,
    incoming: Incoming<'_>,
    effects: Vec<TableEffect>,
) -> Result<(), Refusal> {
    let Incoming { manifest, digest, source, .. } = incoming;
    let failed = |error: postgres::Error| judged("recording the bundle", &error);
    let received_at = record_bundle(transaction, incoming, None).map_err(failed)?;
    let delivery = Delivery {
        branch: Some(&manifest.branch),
        manifest: Some((manifest, digest)),
        source,
        outcome: "applied",
        reason: None,
        is_proven: true,
    };
    delivery.record(transaction).map_err(failed)?;
    record_tables(transaction, manifest, &effects).map_err(failed)?;
    for effect in effects.iter().filter(|effect| effect.divergences > 0) {
        let detail = format!(
            "table {}: {} rows were not as the branch took them to be, and were put right",
            effect.table, effect.divergences
        );
        let (branch, manifest) = (Some(&manifest.branch), Some(manifest));
        record_incident(transaction, branch, manifest, IncidentKind::Divergence, &detail, None)
            .map_err(failed)?;
    }
    let receipt = Receipt::new(manifest, digest, received_at, ReceiptOutcome::Applied);
    Ok(record_receipt(transaction, &receipt.with_effects(effects))?)
}

/// What the branch's tables are now, and how many rows its current cut has deleted and added.
fn record_tables(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    effects: &[TableEffect],
) -> Result<(), postgres::Error> {
    let branch = manifest.branch.as_str();
    if manifest.cut.part == 1 {
        let sql = "UPDATE salesync.branch_table SET deleted_in_cut = 0, inserted_in_cut = 0
             WHERE branch = $1 AND deleted_in_cut + inserted_in_cut > 0";
        transaction.execute(sql, &[&branch])?;
    }
    let sql = "INSERT INTO salesync.branch_table AS known (branch, schema_name, table_name, columns, deleted_in_cut,
                                                             inserted_in_cut)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (branch, schema_name, table_name) DO UPDATE
               SET columns = excluded.columns, deleted_in_cut = known.deleted_in_cut + excluded.deleted_in_cut,
                   inserted_in_cut = known.inserted_in_cut + excluded.inserted_in_cut";
    for (change, effect) in manifest.tables.iter().zip(effects) {
        let columns = serde_json::json!(change.columns);
        let (deleted, inserted) = (effect.deleted.cast_signed(), effect.inserted.cast_signed());
        let (schema, table) = (&change.name.schema, &change.name.table);
        transaction.execute(sql, &[&branch, schema, table, &columns, &deleted, &inserted])?;
    }
    Ok(())
}

/// A commit that was not one says so nowhere but here: the driver reports an aborted transaction's
/// commit as done.
pub(super) fn confirm(client: &mut Client, manifest: &Manifest, digest: Digest) -> Result<(), Failure> {
    halt::after(Step::BundleCommitted);
    match recorded(client, manifest)? {
        Some((known, state)) if known == digest.to_string() && state == "applied" => Ok(()),
        _ => {
            let doing = format!("reading back the record of bundle {}", manifest.sequence);
            // Not one that is tried again at once: nobody knows what has become of it.
            Err(Failure::new(Kind::Failed, doing, "it is not there, so nothing was applied")
                .hint("run `salesync apply` again; the bundle is still where it came from"))
        }
    }
}
