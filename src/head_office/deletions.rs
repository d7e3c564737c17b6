//! A bundle that deletes a large part of a branch's rows waits for a person: a wrong restore at a
//! branch must not empty head office.

use std::fmt;

use postgres::{Row, Transaction};

use super::hold::{Hold, HoldKind};
use super::policy::{HARMLESS, Policy};
use super::refusal::{Refusal, judged};
use crate::domain::{Manifest, TableChange, TableEffect};

/// What a cut would delete of a table, as far as it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Whose rows.
    pub branch: String,
    /// Rows that would go.
    pub deleted: u64,
    /// Of so many.
    pub of: u64,
    /// The table.
    pub table: String,
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { branch, deleted, of, table } = self;
        write!(f, "it would delete {deleted} of {branch}'s {of} rows in {table}")
    }
}

impl Deletion {
    /// The numbers in the reason of a bundle that is held for this. The ledger has it in words.
    pub(super) fn in_words(reason: &str) -> Option<Self> {
        let (deleted, rest) = reason.strip_prefix("it would delete ")?.split_once(" of ")?;
        let (branch, rest) = rest.split_once("'s ")?;
        let (of, rest) = rest.split_once(" rows in ")?;
        let (table, _) = rest.rsplit_once(", more than ")?;
        let (deleted, of) = (deleted.parse().ok()?, of.parse().ok()?);
        Some(Self { branch: branch.to_owned(), deleted, of, table: table.to_owned() })
    }
}

/// Refuses if this bundle, together with the earlier parts of its cut, has deleted more of a table than
/// the policy allows. It has been loaded already; what is refused is rolled back.
pub(super) fn check_deletions(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    effects: &[TableEffect],
    policy: Policy,
) -> Result<(), Refusal> {
    for (change, effect) in manifest.tables.iter().zip(effects).filter(|(_, effect)| effect.deleted > 0) {
        let before =
            if manifest.cut.part == 1 { (0, 0) } else { done_before(transaction, manifest, change)? };
        let (deleted, inserted) = (before.0 + effect.deleted, before.1 + effect.inserted);
        if deleted >= HARMLESS {
            check_table(transaction, manifest, change, (deleted, inserted), policy.max_delete_fraction)?;
        }
    }
    Ok(())
}

/// How many rows the earlier parts of the cut have deleted and added.
fn done_before(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
) -> Result<(u64, u64), Refusal> {
    let sql = "SELECT deleted_in_cut, inserted_in_cut FROM salesync.branch_table
               WHERE branch = $1 AND schema_name = $2 AND table_name = $3";
    let row = transaction
        .query_opt(sql, &[&manifest.branch.as_str(), &change.name.schema, &change.name.table])
        .map_err(|error| judged("looking up what the cut has done so far", &error))?;
    let count = |row: &Row, column| row.get::<_, i64>(column).unsigned_abs();
    Ok(row.map_or((0, 0), |row| (count(&row, 0), count(&row, 1))))
}

/// Counts no more rows than it takes to know that enough are left, of those that were there before the cut.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a fraction of rows is no exact thing"
)]
fn check_table(
    transaction: &mut Transaction<'_>,
    manifest: &Manifest,
    change: &TableChange,
    (deleted, inserted): (u64, u64),
    fraction: f64,
) -> Result<(), Refusal> {
    // As many as must be left for `deleted` to be no more than this fraction of what there was.
    let enough = (deleted as f64 * (1.0 - fraction) / fraction).ceil();
    let limit = (enough + inserted as f64) as i64;
    let sql =
        format!("SELECT count(*) FROM (SELECT FROM {} WHERE branch = $1 LIMIT $2) t", change.name.sql());
    let row = transaction
        .query_one(&sql, &[&manifest.branch.as_str(), &limit])
        .map_err(|error| judged("counting the rows that are left", &error))?;
    let left = row.get::<_, i64>(0).unsigned_abs().saturating_sub(inserted);
    if left as f64 >= enough {
        return Ok(());
    }
    let (of, table) = (left + deleted, change.name.to_string());
    let deletion = Deletion { branch: manifest.branch.to_string(), deleted, of, table };
    let reason = format!("{deletion}, more than max_delete_fraction = {fraction} lets pass");
    Err(Refusal::Held(Hold::new(HoldKind::Deletion, &reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_deletion_can_be_read_back() {
        let table = "public.\"a, more than 's 9 rows in \"".to_owned();
        let deletion = Deletion { branch: "east".to_owned(), deleted: 12_400, of: 20_000, table };
        let reason = format!("{deletion}, more than max_delete_fraction = 0.2 lets pass");
        assert_eq!(Deletion::in_words(&reason), Some(deletion));
        assert_eq!(Deletion::in_words("the branch has no column \"qty\" any more"), None);
    }
}
