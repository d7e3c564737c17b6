//! One bundle, one transaction: everything it says and the record that it was said, or nothing.

use std::io::{Read, Seek};

use postgres::{Client, Transaction};

use super::check_days::check_days;
use super::ledger::{Delivery, Source, knows_epoch, lock_branch, record_bundle, record_incident, recorded};
use super::load::Loader;
use super::place::{Place, Recorded, place};
use super::receipts::record_receipt;
use super::refusal::{Refusal, judged};
use super::target::{prepare, set_branch};
use crate::bundle::Bundle;
use crate::database::database_failure;
use crate::domain::{Digest, Failure, Kind, Manifest, Receipt, ReceiptOutcome, TableEffect};
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
    let state = lock_branch(client, &manifest.branch)?;
    let bundle = match recorded(client, manifest)? {
        Some((known, bundle_state)) => {
            known.parse().ok().map(|known: Digest| (known, bundle_state == "applied"))
        }
        None => None,
    };
    let recorded = Recorded { bundle, knows_epoch: knows_epoch(client, manifest)? };
    Ok(place(&state, manifest, digest, &recorded))
}

/// Applies a bundle whose place is next, in one transaction with its record and its receipt.
pub(super) fn apply<R: Read + Seek>(
    client: &mut Client,
    bundle: &mut Bundle<R>,
    source: Source,
    keep: Keep,
) -> Result<(), Refusal> {
    let doing = format!("applying bundle {} of {}", bundle.manifest().sequence, bundle.manifest().branch);
    let failed = |error: postgres::Error| Refusal::Failed(database_failure(doing.clone(), &error));
    let mut transaction = client.transaction().map_err(failed)?;
    let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
    // Looked up again under the lock on the branch's row: nobody can have come in between.
    match find_place(&mut transaction, &manifest, digest)? {
        Place::Next => {}
        other => {
            let why = format!("its place changed meanwhile: {other:?}");
            return Err(Refusal::Failed(
                Failure::new(Kind::Failed, doing, why).hint("run `salesync apply` again"),
            ));
        }
    }
    let effects = load(&mut transaction, bundle, &manifest)?;
    halt::after(Step::RowsLoaded);
    record(&mut transaction, &manifest, digest, bundle.size(), source, effects)?;
    halt::after(Step::BundleRecorded);
    match keep {
        Keep::RollBack => transaction.rollback().map_err(failed),
        Keep::Commit => {
            transaction.commit().map_err(failed)?;
            halt::after(Step::BundleCommitted);
            Ok(confirm(client, &manifest, digest)?)
        }
    }
}

/// Rows parents first, then tombstones children first, then the days.
fn load<R: Read + Seek>(
    transaction: &mut Transaction<'_>,
    bundle: &mut Bundle<R>,
    manifest: &Manifest,
) -> Result<Vec<TableEffect>, Refusal> {
    let branch = manifest.branch.as_str();
    set_branch(transaction, branch)?;
    let mut loader = Loader::new(bundle, branch);
    let mut effects = Vec::with_capacity(manifest.tables.len());
    for change in &manifest.tables {
        prepare(transaction, change)?;
        effects.push(loader.rows(transaction, change)?);
    }
    for (change, effect) in manifest.tables.iter().zip(&mut effects).rev() {
        loader.tombstones(transaction, change, effect)?;
    }
    // Constraints that were put off are judged now, while it is still known whose bundle it is.
    transaction
        .batch_execute("SET CONSTRAINTS ALL IMMEDIATE")
        .map_err(|error| judged("checking head office's constraints", &error))?;
    manifest.tables.iter().try_for_each(|change| check_days(transaction, change, branch))?;
    Ok(effects)
}

fn record(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    digest: Digest,
    size: u64,
    source: Source,
    effects: Vec<TableEffect>,
) -> Result<(), Refusal> {
    let failed = |error: postgres::Error| judged("recording the bundle", &error);
    record_bundle(transaction, manifest, digest, size, None).map_err(failed)?;
    let delivery = Delivery {
        branch: Some(&manifest.branch),
        manifest: Some((manifest, digest)),
        source,
        outcome: "applied",
        reason: None,
    };
    delivery.record(transaction).map_err(failed)?;
    for effect in effects.iter().filter(|effect| effect.divergences > 0) {
        let detail = format!(
            "table {}: {} rows were not as the branch took them to be, and were put right",
            effect.table, effect.divergences
        );
        let (branch, manifest) = (Some(&manifest.branch), Some(manifest));
        record_incident(transaction, branch, manifest, "divergence", &detail, None).map_err(failed)?;
    }
    let receipt = Receipt::new(manifest, digest, ReceiptOutcome::Applied).with_effects(effects);
    Ok(record_receipt(transaction, &receipt)?)
}

/// A commit that was not one says so nowhere but here: the driver reports an aborted transaction's
/// commit as done.
fn confirm(client: &mut Client, manifest: &Manifest, digest: Digest) -> Result<(), Failure> {
    match recorded(client, manifest)? {
        Some((known, state)) if known == digest.to_string() && state == "applied" => Ok(()),
        _ => {
            let doing = format!("reading back the record of bundle {}", manifest.sequence);
            Err(Failure::new(Kind::Unreachable, doing, "it is not there, so nothing was applied")
                .hint("run `salesync apply` again; the bundle is still where it came from"))
        }
    }
}
