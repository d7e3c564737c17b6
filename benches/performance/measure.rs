//! Time, memory and processor time of others.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;

use crate::company::{Node, Run};

/// How long something took, in seconds.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// A run of the program that went well.
pub struct Measured {
    pub seconds: f64,
    /// The most memory it had at once, in MiB.
    pub memory: f64,
}

/// Runs the program at a node.
pub fn run(node: &Node, arguments: &[&str]) -> Measured {
    let begun = Instant::now();
    let child = node.command(arguments).stdin(Stdio::null()).spawn().unwrap();
    let process = child.id();
    let memory = thread::spawn(move || peak_memory(process));
    let output = child.wait_with_output().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    drop(Run::ended(arguments.join(" "), output).ok());
    Measured { seconds, memory: memory.join().unwrap() }
}

/// The system keeps the highest value itself, so nothing is missed between two looks but what comes in the last
/// moment. What `wait4` tells of a child includes its parent as it was before `exec`, and that is us.
fn peak_memory(process: u32) -> f64 {
    let mut peak = 0.0;
    while let Some(kibibytes) = high_water_mark(process) {
        peak = kibibytes / 1024.0;
        thread::sleep(Duration::from_millis(2));
    }
    peak
}

fn high_water_mark(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Seconds that the server process behind this connection has been on a processor.
pub fn processor_seconds(client: &mut Client) -> f64 {
    let process: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let statistics = fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap();
    let nanoseconds: f64 = statistics.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// Calls `look` until it is so, without a pause that would count.
pub fn wait_for(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < Duration::from_mins(10), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The value in the middle.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}
