//! What the fuzzers do all day (`make fuzz`), for some seconds on a stable toolchain: the same functions, fed by chance.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a finding is a panic, there as here"
)]

#[path = "../../fuzz/src/lib.rs"]
mod salesync_fuzz;

mod bombs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use peak_alloc::PeakAlloc;
use proptest::prelude::*;

use salesync_fuzz::mutation::{self, Dice};
use salesync_fuzz::{targets, within_bounds};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// One at a time, so that memory is counted for the right one.
static TURN: Mutex<()> = Mutex::new(());

/// All files below these folders of the project.
fn seeds(folders: &[&str]) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "{folders:?} are empty");
    seeds
}

/// How one input becomes another.
type Mutate = fn(&[u8], u64, mutation::ChangeBytes<'_>) -> Vec<u8>;

/// Changes anything anywhere.
fn anywhere(data: &[u8], _: u64, change: mutation::ChangeBytes<'_>) -> Vec<u8> {
    let mut data = data.to_vec();
    change(&mut data);
    data
}

/// The same input after each of these changes.
fn mutated(seed: &[u8], changes: &[u64], mutate: Mutate) -> Vec<u8> {
    changes.iter().fold(seed.to_vec(), |data, number| {
        let mut dice = Dice(*number);
        mutate(&data, *number, &mut |piece| mutation::bytes(piece, &mut dice))
    })
}

/// Chance as the tests have it: which seed, and a number for every change to it.
fn chance() -> impl Strategy<Value = (prop::sample::Index, Vec<u64>)> {
    (any::<prop::sample::Index>(), prop::collection::vec(any::<u64>(), 0..8))
}

macro_rules! held {
    ($name:ident, $target:path, $mutate:path, $cases:literal, $folders:expr) => {
        #[test]
        fn $name() {
            static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| seeds(&$folders));
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases($cases) };
            proptest!(config, |((seed, changes) in chance())| {
                let seed: &Vec<u8> = seed.get(&SEEDS[..]);
                let data = mutated(seed, &changes, $mutate);
                within_bounds(&data, $target);
            });
        }
    };
}

const GOLDEN: [&str; 2] = ["tests/data/bundles/v1", "tests/data/bundles/v1-signed"];

held!(a_bundle_that_is_accepted_keeps_every_rule_and_adds_up, targets::bundle, mutation::bundle, 800, GOLDEN);
held!(
    a_manifest_is_read_just_if_it_keeps_every_rule,
    targets::manifest,
    mutation::manifest,
    1000,
    ["fuzz/seeds/manifest"]
);
held!(rows_are_split_where_postgresql_splits_them, targets::rows, anywhere, 3000, ["fuzz/seeds/rows"]);
held!(rows_are_poured_just_if_they_are_rows, targets::dialect, anywhere, 2000, ["fuzz/seeds/dialect"]);
held!(
    a_configuration_is_read_or_refused_without_its_secrets,
    targets::configuration,
    anywhere,
    1000,
    ["fuzz/seeds/configuration"]
);
held!(
    an_answer_that_is_read_reads_back_and_is_legible,
    targets::answers,
    mutation::answers,
    3000,
    ["fuzz/seeds/answers"]
);
held!(sales_that_are_imported_are_right_to_the_cent, targets::import, anywhere, 2000, ["fuzz/seeds/import"]);
