//! Where a bundle belongs in its branch's sequence.
//!
//! | the bundle | it is |
//! |---|---|
//! | recorded as applied, same manifest | a duplicate |
//! | recorded, another manifest | a fork: refused |
//! | the next of the current epoch, chained to the last | next |
//! | further on in the current epoch, or in one not yet known | later |
//! | the first of an epoch not yet known, all tables whole | next |
//! | of an epoch that another has followed, applied or not | refused |

use super::branches::Position;
use crate::domain::{Digest, Manifest, Mode, Sequence};

/// How the reason begins where two bundles contend for one place.
pub(super) const FORK: &str = "fork: ";

/// Where a bundle belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It can be applied now.
    Next,
    /// It has been applied.
    Duplicate,
    /// Others come before it; the first of them.
    Later(Sequence),
    /// Nowhere, and why.
    Refused(String),
}

/// What the ledger says of a bundle's number and epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    /// The manifest recorded under this number, and whether it was applied.
    pub(super) bundle: Option<(Digest, bool)>,
    /// True if bundles of this epoch have been applied.
    pub(super) knows_epoch: bool,
}

/// Where the bundle belongs, as the branch stands.
pub(super) fn place(at: &Position, manifest: &Manifest, digest: Digest, recorded: &Recorded) -> Place {
    let sequence = manifest.sequence;
    match recorded.bundle {
        Some((known, _)) if known != digest => {
            return Place::Refused(format!(
                "{FORK}bundle {sequence} of this epoch is known with another content (manifest {known})"
            ));
        }
        Some((_, true)) => return Place::Duplicate,
        _ => {}
    }
    if at.epoch == Some(manifest.epoch) {
        in_current_epoch(at, manifest)
    } else if recorded.knows_epoch {
        Place::Refused(format!("its epoch {} has been followed by another", manifest.epoch))
    } else if at.epoch.is_some_and(|current| manifest.epoch < current) {
        // It was passed over. To go back to it would undo what was applied since.
        Place::Refused(format!(
            "its epoch {} is older than head office's; if that is because the branch was prepared anew with a \
             clock behind time, set the clock and run `salesync bundle --since all` there",
            manifest.epoch
        ))
    } else if sequence > Sequence::FIRST {
        Place::Later(Sequence::FIRST)
    } else if manifest.tables.iter().all(|table| table.mode == Mode::Range) {
        Place::Next
    } else {
        Place::Refused("a new epoch begins with whole tables, this bundle has changes only".to_owned())
    }
}

fn in_current_epoch(at: &Position, manifest: &Manifest) -> Place {
    let next = at.next_sequence();
    if manifest.sequence > next {
        return Place::Later(next);
    }
    if manifest.sequence < next {
        return Place::Refused(format!("bundle {} was passed without being recorded", manifest.sequence));
    }
    if manifest.previous == at.last_manifest {
        return Place::Next;
    }
    let shown =
        |digest: Option<Digest>| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
    Place::Refused(format!(
        "{FORK}it follows manifest {}, head office applied {} last",
        shown(manifest.previous),
        shown(at.last_manifest)
    ))
}
