//! How large the parts of a cut are that head office waits for.

use crate::domain::MemberKind;

/// The first part is not larger than this, in bytes, and each of the next may have half as much again as the
/// one before it, up to what is configured. So head office begins early, and is still at work on one part when
/// the next is there.
const FIRST_PART: u64 = 512 << 10;
/// By then it is more than any message.
const STEPS_OF_GROWTH: u32 = 30;
/// No part is larger than half of what is left, unless it is smaller than this: the last one is applied when nothing
/// else is to be done any more. Nor is one with rows that head office has to look up, which takes several times as long.
/// Smaller ones would be compressed noticeably worse, so that a rest of half as much is not left either.
const LEAST_OF_MANY: u64 = 1 << 20;

/// What decides how large a part may be, besides the configuration.
#[derive(Debug)]
pub(super) struct Pace {
    /// Whether anybody waits for parts.
    is_awaited: bool,
    /// How many rows the cut has; none if nobody has counted.
    rows: Option<u64>,
    /// How many rows have been added.
    added: u64,
    /// Parts that are sealed, and their size in bytes.
    sealed: u32,
    bytes: u64,
    /// What this part may have.
    limit: u64,
}

impl Pace {
    pub(super) fn new(is_awaited: bool, rows: Option<u64>) -> Self {
        let limit = if is_awaited { FIRST_PART } else { u64::MAX };
        Self { is_awaited, rows, added: 0, sealed: 0, bytes: 0, limit }
    }

    /// What this part may have, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// This part gets rows of this kind.
    pub(super) fn begin(&mut self, kind: MemberKind) {
        if self.is_awaited && kind != MemberKind::Inserts {
            self.limit = self.limit.min(LEAST_OF_MANY);
        }
    }

    /// A row was added.
    pub(super) fn add(&mut self) {
        self.added += 1;
    }

    /// A part of so many bytes is sealed.
    pub(super) fn seal(&mut self, bytes: u64) {
        self.sealed += 1;
        self.bytes += bytes;
        if self.is_awaited {
            let grown = (0..self.sealed.min(STEPS_OF_GROWTH)).fold(FIRST_PART, |size, _| size + size / 2);
            let left = self.left();
            let is_the_rest = left <= LEAST_OF_MANY + LEAST_OF_MANY / 2;
            self.limit = if is_the_rest { grown } else { grown.min((left / 2).max(LEAST_OF_MANY)) };
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
        assert_eq!(parts(1_000_000, MemberKind::Inserts), [511, 767, 1151, 1727, 2591, 1506, 1506]);
        assert_eq!(parts(40_000, MemberKind::Inserts), [390]);
    }

    #[test]
    fn rows_that_have_to_be_looked_up_come_in_smaller_parts() {
        assert_eq!(parts(300_000, MemberKind::Updates), [511, 767, 1023, 625]);
    }

    #[test]
    fn parts_that_nobody_waits_for_or_of_rows_that_nobody_has_counted_do_not_shrink() {
        let mut alone = Pace::new(false, Some(100));
        alone.begin(MemberKind::Tombstones);
        alone.seal(1000);
        assert_eq!(alone.limit(), u64::MAX);
        let mut uncounted = Pace::new(true, None);
        (0..40).for_each(|_| uncounted.seal(1000));
        assert!(uncounted.limit() > 1 << 30);
    }
}
