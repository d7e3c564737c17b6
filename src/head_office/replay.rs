//! The order in which archived bundles are applied again.

use std::path::{Path, PathBuf};

use crate::archive::{find_bundles, open_bundle};
use crate::domain::{Epoch, Failure, NodeName, Sequence};

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

/// The bundle files below `folder` in the order in which they were sealed: branch by branch, epoch by
/// epoch, by sequence. Damaged files come apart, with what is wrong with them.
pub fn replay_order(folder: &Path, range: &ReplayRange) -> Result<(Vec<PathBuf>, Vec<Failure>), Failure> {
    let mut bundles: Vec<(NodeName, Epoch, Sequence, PathBuf)> = Vec::new();
    let mut damaged = Vec::new();
    for path in find_bundles(folder)? {
        match open_bundle(&path) {
            Ok(bundle) => {
                let manifest = bundle.manifest();
                bundles.push((manifest.branch.clone(), manifest.epoch, manifest.sequence, path));
            }
            Err(failure) => damaged.push(failure),
        }
    }
    bundles.retain(|(branch, _, sequence, _)| {
        range.branch.as_ref().is_none_or(|wanted| wanted == branch)
            && range.from.is_none_or(|from| from <= *sequence)
            && range.to.is_none_or(|to| *sequence <= to)
    });
    bundles.sort();
    Ok((bundles.into_iter().map(|(_, _, _, path)| path).collect(), damaged))
}
