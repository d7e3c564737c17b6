//! The order in which archived bundles are applied again.

use std::path::{Path, PathBuf};

use crate::archive::{Archive, Filed, survey};
use crate::domain::{Failure, Kind, NodeName, Sequence};

/// Which of the bundles in an archive to replay.
#[derive(Debug, Clone, Default)]
pub struct ReplayRange {
    /// Only this branch's.
    pub branch: Option<NodeName>,
    /// From this number on.
    pub from: Option<Sequence>,
    /// Up to and with this number.
    pub to: Option<Sequence>,
}

/// The bundle files below `folder` that are in the range, in the order in which they were sealed. Damaged
/// files come apart, with what is wrong with them. It fails if there is one that this node may not read or has no key
/// for: that would leave a gap where there is none.
pub fn replay_order(
    archive: &Archive,
    folder: &Path,
    range: &ReplayRange,
) -> Result<(Vec<PathBuf>, Vec<Failure>), Failure> {
    let (mut bundles, damaged) = survey(folder, archive.identities())?;
    let is_kept_from_us =
        |failure: &&Failure| matches!(failure.kind(), Kind::Permission | Kind::Configuration);
    if let Some(failure) = damaged.iter().find(is_kept_from_us) {
        return Err(failure.clone());
    }
    bundles.retain(|Filed { branch, sequence, .. }| {
        range.branch.as_ref().is_none_or(|wanted| wanted == branch)
            && range.from.is_none_or(|from| from <= *sequence)
            && range.to.is_none_or(|to| *sequence <= to)
    });
    Ok((bundles.into_iter().map(|filed| filed.path).collect(), damaged))
}
