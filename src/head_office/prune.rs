//! Which archived bundles head office has applied and needs no more.

use std::collections::BTreeSet;
use std::path::PathBuf;

use postgres::GenericClient;

use super::branches::branch_states;
use crate::archive::{Archive, Proof, Prunable, PruneOptions};
use crate::database::database_failure;
use crate::domain::Failure;

/// The archived bundles that are applied, and those rejected ones that nobody has to decide on.
pub fn prunable_files(
    client: &mut impl GenericClient,
    archive: &Archive,
    options: PruneOptions,
) -> Result<Vec<Prunable>, Failure> {
    let mut prunable = Vec::new();
    for state in branch_states(client)? {
        let Some(epoch) = state.epoch else { continue };
        let proof = Proof { epoch, is_whole: state.is_at_cut, applied_through: state.last_sequence };
        prunable.extend(archive.prunable(&state.name, &proof, options)?);
    }
    let undecided = undecided(client)?;
    let rejected = archive.prunable_rejected(options.before)?;
    prunable.extend(rejected.into_iter().filter(|file| !undecided.contains(&file.path)));
    Ok(prunable)
}

/// The rejected bundles whose number has not been applied since.
fn undecided(client: &mut impl GenericClient) -> Result<BTreeSet<PathBuf>, Failure> {
    let sql = "SELECT i.file FROM salesync.incident i JOIN salesync.branch b ON b.name = i.branch
               WHERE i.kind = 'rejected' AND i.file IS NOT NULL AND i.sequence IS NOT NULL
                 AND (i.epoch > b.epoch OR b.epoch IS NULL OR i.epoch = b.epoch AND i.sequence > b.last_sequence)";
    let rows = client
        .query(sql, &[])
        .map_err(|error| database_failure("reading which rejected bundles wait for a decision", &error))?;
    Ok(rows.iter().map(|row| PathBuf::from(row.get::<_, String>(0))).collect())
}
