//! A station of a bundle's life.

use crate::domain::{Count, Receipt, TableEffect};
use crate::web::words::{Moment, grouped, size};

/// What is known of it, and by whose clock.
pub(in crate::web) struct Station {
    pub(in crate::web) name: &'static str,
    pub(in crate::web) when: Option<Moment>,
    /// Whose clock it is, or why there is no time.
    pub(in crate::web) clock: &'static str,
    pub(in crate::web) words: String,
}

/// `Part 1, the last, of the snapshot 17:17:.`
pub(in crate::web) fn cut_in_words(part: impl std::fmt::Display, is_last: bool, watermark: &str) -> String {
    let last = if is_last { ", the last" } else { "" };
    format!("Part {part}{last}, of the snapshot {watermark}.")
}

/// How large it is.
pub(in crate::web) fn sealed_in_words(rows: i64, tombstones: i64, bytes: i64) -> String {
    format!("{}, {}, {}.", Count(rows, "row"), Count(tombstones, "tombstone"), size(bytes.unsigned_abs()))
}

/// What was done with its rows.
pub(in crate::web) fn effect_in_words(receipt: &Receipt) -> String {
    // What a receipt says may be anything.
    let sum =
        |of: fn(&TableEffect) -> u64| grouped(&receipt.tables.iter().map(of).fold(0, u64::saturating_add));
    let (inserted, updated, deleted) =
        (sum(|table| table.inserted), sum(|table| table.updated), sum(|table| table.deleted));
    format!("In one transaction. Rows added: {inserted}, overwritten: {updated}, deleted: {deleted}.")
}
