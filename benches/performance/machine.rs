//! Where and when it was measured.

use std::fmt;
use std::fs;
use std::thread;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use crate::servers::postgres_version;

/// The machine, and how busy it was with other things.
#[derive(Debug, Serialize)]
pub struct Machine {
    at: String,
    processor: String,
    cores: usize,
    memory_gib: u64,
    system: String,
    postgresql: String,
    /// Of the minute before.
    load: String,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kibibytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kibibytes >> 20,
            system: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            postgresql: postgres_version(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, processor, cores, memory_gib, system, postgresql, load } = self;
        writeln!(
            f,
            "{at}, {processor}, {cores} cores, {memory_gib} GiB, Linux {system}, load {load} before"
        )?;
        write!(f, "PostgreSQL {postgresql}, fsync on")
    }
}
