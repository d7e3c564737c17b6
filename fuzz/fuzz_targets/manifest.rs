#![no_main]

use libfuzzer_sys::fuzz_target;
use peak_alloc::PeakAlloc;
use salesync_fuzz::{mutation, mutator, targets, within_bounds};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fuzz_target!(|data: &[u8]| within_bounds(data, targets::manifest));

mutator!(mutation::manifest);
