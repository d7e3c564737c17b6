//! How large the parts of a cut are that head office waits for.

use crate::domain::MemberKind;

/// No part has to be smaller than this, in bytes: it would be compressed noticeably worse. The first one is not larger, so that head
/// office begins early; each of the next may have half as much again as the one before it, up to what is configured. A rest
/// that is not much more is not divided.
const LEAST: u64 = 1 << 20;
/// Nor is one with updates larger than this: they take head office several times as long as new rows.
const OF_UPDATES: u64 = LEAST / 2;
/// No part is larger than this share of what is left: head office is at some of them at the same time, and at the last ones when
/// nothing else is to be done any more.
const SHARE_OF_REST: u64 = 4;

/// What decides how large a part may be, besides the configuration.
#[derive(Debug)]
pub(super) struct Pace {
    /// Whether anybody waits for parts.
    is_awaited: bool,
    /// How many rows the cut has; none if nobody has counted.
    rows: Option<u64>,
    /// How many rows have been added.
    added: u64,
    /// The size of all parts that are sealed, in bytes.
    bytes: u64,
    /// What parts have grown to.
    grown: u64,
    /// What this part may have.
    limit: u64,
}

impl Pace {
    pub(super) fn new(is_awaited: bool, rows: Option<u64>) -> Self {
        let grown = if is_awaited { LEAST } else { u64::MAX };
        Self { is_awaited, rows, added: 0, bytes: 0, grown, limit: grown }
    }

    /// What this part may have, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// This part gets rows of this kind.
    pub(super) fn begin(&mut self, kind: MemberKind) {
        if self.is_awaited && kind == MemberKind::Updates {
            self.limit = self.limit.min(OF_UPDATES);
        }
    }

    /// A row was added.
    pub(super) fn add(&mut self) {
        self.added += 1;
    }

    /// A part of so many bytes is sealed.
    pub(super) fn seal(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.is_awaited {
            self.grown = self.grown.saturating_add(self.grown / 2);
            let left = self.left();
            let is_the_rest = left <= LEAST + LEAST / 2;
            self.limit =
                if is_the_rest { self.grown } else { self.grown.min((left / SHARE_OF_REST).max(LEAST)) };
        }
    }

    /// How much is left, in bytes, if the rows to come are like those before.
    fn left(&self) -> u64 {
        let Some(rows) = self.rows.filter(|_| self.added > 0) else { return u64::MAX };
        let left = u128::from(rows.saturating_sub(self.added)) * u128::from(self.bytes);
        u64::try_from(left / u128::from(self.added)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;

    /// Parts of a cut whose rows have 10 bytes each, in KiB.
    fn parts(rows: u64, kind: MemberKind) -> Vec<u64> {
        let mut pace = Pace::new(true, Some(rows));
        let mut parts = Vec::new();
        while pace.added < rows {
            pace.begin(kind);
            let fitting = (pace.limit() / 10).min(rows - pace.added);
            (0..fitting).for_each(|_| pace.add());
            pace.seal(fitting * 10);
            parts.push(fitting * 10 / KIB);
        }
        parts
    }

    #[test]
    fn parts_grow_at_first_and_shrink_towards_the_end() {
        assert_eq!(parts(1_000_000, MemberKind::Inserts), [1023, 1535, 1801, 1351, 1023, 1023, 1023, 981]);
        assert_eq!(parts(40_000, MemberKind::Inserts), [390]);
    }

    #[test]
    fn updates_come_in_smaller_parts() {
        assert_eq!(parts(300_000, MemberKind::Updates), [511, 511, 511, 511, 511, 369]);
    }

    #[test]
    fn parts_that_nobody_waits_for_or_of_rows_that_nobody_has_counted_do_not_shrink() {
        let mut alone = Pace::new(false, Some(100));
        alone.begin(MemberKind::Updates);
        alone.seal(1000);
        assert_eq!(alone.limit(), u64::MAX);
        let mut uncounted = Pace::new(true, None);
        (0..200).for_each(|_| uncounted.seal(1000));
        assert!(uncounted.limit() > 1 << 30);
    }
}
