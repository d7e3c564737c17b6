#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use peak_alloc::PeakAlloc;
use salesync_fuzz::{mutation, targets, within_bounds};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fuzz_target!(|data: &[u8]| within_bounds(data, targets::bundle));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutated = mutation::bundle(&data[..size], seed.into(), &mut |piece: &mut Vec<u8>| {
        let size = piece.len();
        piece.resize(size + 64, 0);
        let size = fuzzer_mutate(piece, size, size + 64);
        piece.truncate(size);
    });
    let size = mutated.len().min(max_size);
    data[..size].copy_from_slice(&mutated[..size]);
    size
});
