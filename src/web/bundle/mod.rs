//! What the pages of a bundle have in common, at head office and at its branch.

mod file;
mod receipt;
mod station;
mod totals;

pub(super) use self::file::{facts_of_file, file_name, send};
pub(super) use self::receipt::{Effect, days_counted, effects, legible_json};
pub(super) use self::station::{Station, cut_in_words, effect_in_words, sealed_in_words};
pub(super) use self::totals::{Compared, PreviewView, compared};

use super::trouble::Trouble;
use crate::domain::{Epoch, Sequence};

/// The place of a bundle in an address.
pub(super) fn place(epoch: &str, sequence: &str) -> Result<(Epoch, Sequence), Trouble> {
    let place = || Some((Epoch(epoch.parse().ok()?), Sequence::new(sequence.parse().ok()?)?));
    place().ok_or(Trouble::NotFound)
}
