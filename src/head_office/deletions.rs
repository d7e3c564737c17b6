//! A bundle that deletes a large part of a branch's rows waits for a person: a wrong restore at a
//! branch must not empty head office.

use postgres::Transaction;

use super::hold::{Hold, HoldKind};
use super::policy::Policy;
use super::refusal::{Refusal, judged};
use crate::domain::{Manifest, TableChange, TableEffect};

/// So many rows may go in one cut, whatever part of the table they are.
const HARMLESS: u64 = 1000;

/// Refuses if this bundle, together with the earlier parts of its cut, has deleted more of a table than
/// the policy allows. It has been loaded already; what is refused is rolled back.
pub(super) fn check_deletions(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    effects: &[TableEffect],
    policy: Policy,
) -> Result<(), Refusal> {
    for (change, effect) in manifest.tables.iter().zip(effects).filter(|(_, effect)| effect.deleted > 0) {
        let before = if manifest.cut.part == 1 { 0 } else { deleted_before(transaction, manifest, change)? };
        let deleted = before + effect.deleted;
        if deleted >= HARMLESS {
            check_table(transaction, manifest, change, effect, deleted, policy.max_delete_fraction)?;
        }
    }
    Ok(())
}

fn deleted_before(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<u64, Refusal> {
    let sql = "SELECT deleted_in_cut FROM salesync.branch_table
               WHERE branch = $1 AND schema_name = $2 AND table_name = $3";
    let row = transaction
        .query_opt(sql, &[&manifest.branch.as_str(), &change.name.schema, &change.name.table])
        .map_err(|error| judged("looking up what the cut has deleted so far", &error))?;
    Ok(row.map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}

/// Counts no more rows than it takes to know that enough are left.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a fraction of rows is no exact thing"
)]
fn check_table(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
    effect: &TableEffect,
    deleted: u64,
    fraction: f64,
) -> Result<(), Refusal> {
    // As many as must be left for `deleted` to be no more than this fraction of what there was.
    let enough = (deleted as f64 * (1.0 - fraction) / fraction).ceil();
    let limit = (enough + effect.inserted as f64) as i64;
    let sql =
        format!("SELECT count(*) FROM (SELECT FROM {} WHERE branch = $1 LIMIT $2) t", change.name.sql());
    let row = transaction
        .query_one(&sql, &[&manifest.branch.as_str(), &limit])
        .map_err(|error| judged("counting the rows that are left", &error))?;
    let left = row.get::<_, i64>(0).unsigned_abs().saturating_sub(effect.inserted);
    if left as f64 >= enough {
        return Ok(());
    }
    Err(Refusal::Held(Hold::new(
        HoldKind::Deletion,
        &format!(
            "it would delete {deleted} of {}'s {} rows in {}, more than max_delete_fraction = {fraction} lets pass",
            manifest.branch,
            left + deleted,
            change.name,
        ),
    )))
}
