//! Where a bundle is full: never too late, not much too early, and always at the same row.

use proptest::prelude::*;

use super::{BLOCK, Draft, LEAST_BLOCK, padding};
use crate::domain::{Column, Digest, MemberKind};

/// What a member needs besides its compressed bytes, and the row that is added, at most.
const RESERVE: u64 = 4096;

/// A draft of one member, filled until it was full or there were no more rows.
#[derive(Debug, PartialEq, Eq)]
struct Filled {
    rows: usize,
    is_full: bool,
    /// In the file.
    bytes: u64,
    sha256: Digest,
}

/// When the draft learns what the compressor has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// At once, as if the compressor took no time.
    Prompt,
    /// When it asks.
    Late,
}

impl News {
    fn arrive(self, draft: &mut Draft) {
        while self == Self::Prompt && draft.open.as_ref().is_some_and(|open| open.waiting > 0) {
            let done = draft.compressor.wait().unwrap();
            draft.note(done);
        }
    }
}

fn fill(rows: &[Vec<u8>], limit: u64, level: i32, news: News) -> Filled {
    let column = |name: &str, key| Column { name: name.to_owned(), type_name: "text".to_owned(), key };
    let mut draft = Draft::new(&std::env::temp_dir(), level).unwrap();
    draft.begin(0, MemberKind::Inserts, &[column("id", Some(1)), column("note", None)]).unwrap();
    let mut taken = 0;
    for row in rows {
        news.arrive(&mut draft);
        if !draft.is_empty() && draft.outgrows(needed(row), limit).unwrap() {
            break;
        }
        draft.write_row(row).unwrap();
        taken += 1;
    }
    let bound = draft.size();
    draft.end().unwrap();
    let member = &draft.members_of(0, 0)[0];
    let bytes = BLOCK + member.bytes + padding(member.bytes);
    assert_eq!(draft.size(), bytes, "the size of a finished member is exact");
    assert!(bytes <= bound, "{bytes} written, at most {bound} said");
    Filled { rows: taken, is_full: taken < rows.len(), bytes, sha256: member.sha256 }
}

/// What has to be there for this row.
fn needed(row: &[u8]) -> u64 {
    row.len() as u64 + RESERVE
}

/// Fills a draft with as many of the rows as it takes.
fn check(rows: &[Vec<u8>], limit: u64, level: i32) -> Filled {
    let filled = fill(rows, limit, level, News::Late);
    assert_eq!(filled, fill(rows, limit, level, News::Prompt), "it depends on how far the compressor is");
    if filled.rows > 1 {
        assert!(filled.bytes <= limit, "{} bytes are more than {limit}", filled.bytes);
    }
    if let Some(next) = rows.get(filled.rows) {
        let most = filled.bytes + LEAST_BLOCK as u64 + 1024 + needed(next);
        assert!(most > limit, "full with {} bytes of {limit}", filled.bytes);
    }
    filled
}

/// Rows of `id,note` with texts of this length, which are noise or repeat themselves.
fn rows_of(lengths: impl IntoIterator<Item = usize>, noise: bool) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(7);
    let rows = lengths.into_iter().enumerate().map(|(id, length)| {
        let letter = |_| if noise { random.alphanumeric() } else { 'x' };
        format!("{id},{}\n", (0..length).map(letter).collect::<String>()).into_bytes()
    });
    rows.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_draft_is_full_at_the_same_row_and_not_larger_than_its_limit(
        lengths in prop::collection::vec(prop_oneof![0_usize..200, 0_usize..5000, 60_000_usize..140_000], 1..40),
        noise in any::<bool>(),
        level in prop_oneof![Just(1), Just(9)],
        limit in 10_000_u64..600_000,
    ) {
        check(&rows_of(lengths, noise), limit, level);
    }
}

#[test]
fn a_small_draft_of_many_rows_is_full_to_a_few_kilobytes() {
    for (noise, limit) in [(false, 64 << 10), (true, 64 << 10), (true, 256 << 10)] {
        let filled = check(&rows_of((0..100_000).map(|_| 100), noise), limit, 9);
        assert!(filled.is_full, "{filled:?}");
    }
}

#[test]
fn rows_larger_than_a_block_are_counted_too() {
    for noise in [false, true] {
        check(&rows_of([400_000, 1, 90_000, 100_000, 90_000], noise), 512 << 10, 3);
    }
}
