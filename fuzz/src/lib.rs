//! What is fed to the readers of salesync, and what must hold of whatever they accept.
//!
//! The same functions run under the fuzzer (`make fuzz`) and, for a short while, among the tests (`tests/fuzz`). They
//! know the formats by their documents and not by the program's code, so that a mistake there is none here.

pub mod csv_text;
pub mod file;
pub mod mutation;
pub mod rules;
pub mod targets;

use peak_alloc::PeakAlloc;

/// Bytes that any input may make the program hold, at most.
const ANY_INPUT: usize = 4 << 20;
/// And for each byte of the input: a number in JSON is two bytes, and takes 32 and more when it is read, twice.
const PER_BYTE: usize = 300;

/// Runs a target on this input and sees to it that it has never held more memory than its input is worth. The binary
/// has [`PeakAlloc`] for its allocator, and nothing else goes on in it.
pub fn within_bounds(data: &[u8], target: impl FnOnce(&[u8])) {
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    target(data);
    let held = PeakAlloc.peak_usage().saturating_sub(before);
    let bound = ANY_INPUT + PER_BYTE * data.len();
    assert!(held <= bound, "{} bytes of input made it hold {held} bytes, more than {bound}", data.len());
}

/// The fuzzer's mutator, by one of the functions of [`mutation`]: what that changes, libFuzzer changes piece by piece.
#[macro_export]
macro_rules! mutator {
    ($mutate:path) => {
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            let mutated = $mutate(&data[..size], seed.into(), &mut |piece: &mut Vec<u8>| {
                let size = piece.len();
                piece.resize(size + 64, 0);
                let size = libfuzzer_sys::fuzzer_mutate(piece, size, size + 64);
                piece.truncate(size);
            });
            let size = mutated.len().min(max_size);
            data[..size].copy_from_slice(&mutated[..size]);
            size
        });
    };
}
