//! What is to be sent in one run, and how far that is.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use humantime::format_duration;

use crate::branch::RecordedBundle;
use crate::domain::{Count, Extent, Pace};

/// The bundles of a run, in the order in which they are sent, and how fast that goes.
#[derive(Debug, Default)]
pub(in crate::cli) struct Outgoing {
    bundles: Vec<RecordedBundle>,
    /// So many of them have been sent.
    sent: usize,
    pace: Pace,
    /// Answers of head office that were taken in.
    pub(in crate::cli) receipts: u64,
    /// Answers in head office's name that are not proven to be its own.
    pub(in crate::cli) refused: u64,
    /// True if head office has asked for something that takes a person.
    pub(in crate::cli) is_owing: bool,
    /// True if what has changed could not be cut, and is not among them.
    pub(in crate::cli) lacks_cut: bool,
}

impl Outgoing {
    /// Adds those that are not on the list yet; what is known of the others by now counts. What is to be sent
    /// is sent in the order of its numbers.
    pub(in crate::cli) fn add(&mut self, bundles: Vec<RecordedBundle>) {
        for bundle in bundles {
            match self.bundles.iter().position(|known| known.bundle_id == bundle.bundle_id) {
                Some(place) if place < self.sent => {}
                Some(place) => self.bundles[place] = bundle,
                None => self.bundles.push(bundle),
            }
        }
        self.bundles[self.sent..].sort_by_key(|bundle| (bundle.epoch, bundle.sequence));
    }

    /// Takes those that have not been sent off the list.
    pub(in crate::cli) fn forget_unsent(&mut self) {
        self.bundles.truncate(self.sent);
    }

    /// All of them.
    pub(in crate::cli) fn bundles(&self) -> &[RecordedBundle] {
        &self.bundles
    }

    /// All of them, to be brought up to date.
    pub(in crate::cli) fn bundles_mut(&mut self) -> &mut [RecordedBundle] {
        &mut self.bundles
    }

    /// The one whose turn it is.
    pub(in crate::cli) fn next(&mut self) -> Option<&mut RecordedBundle> {
        self.bundles.get_mut(self.sent)
    }

    /// How many were sent.
    pub(in crate::cli) fn sent(&self) -> usize {
        self.sent
    }

    /// How many head office has not answered.
    pub(in crate::cli) fn unanswered(&self) -> usize {
        let is_open = |bundle: &&RecordedBundle| ["sealed", "published"].contains(&bundle.state.as_str());
        self.bundles.iter().filter(is_open).count()
    }

    /// It was sent, and took so long.
    pub(in crate::cli) fn note_sent(&mut self, time: Duration) {
        if let Some(bundle) = self.bundles.get(self.sent) {
            self.pace.add(bundle.bytes.unsigned_abs(), time);
            self.sent += 1;
        }
    }

    /// Takes those that were sent off the list.
    pub(in crate::cli) fn forget_sent(&mut self) {
        self.bundles.drain(..self.sent);
        self.sent = 0;
    }

    /// How far it is.
    pub(in crate::cli) fn extent(&self) -> Extent {
        let (sent, left) = (bytes(&self.bundles[..self.sent]), self.left());
        Extent {
            sent: self.sent,
            bundles: self.bundles.len(),
            sent_bytes: sent,
            on_way_bytes: bytes(&self.bundles[self.sent..][..left.bundles.min(1)]),
            bytes: sent + left.bytes,
            rows: rows(&self.bundles),
            time_left: left.time,
        }
    }

    /// What has not been sent.
    pub(in crate::cli) fn left(&self) -> Left {
        let left = &self.bundles[self.sent..];
        let (bytes, rows) = (bytes(left), rows(left));
        Left { bundles: left.len(), bytes, rows, rate: self.pace.rate(), time: self.pace.estimate(bytes) }
    }
}

fn bytes(bundles: &[RecordedBundle]) -> u64 {
    bundles.iter().map(|bundle| bundle.bytes.unsigned_abs()).sum()
}

fn rows(bundles: &[RecordedBundle]) -> u64 {
    bundles.iter().map(|bundle| (bundle.rows + bundle.tombstones).unsigned_abs()).sum()
}

/// How much work is left, and how long it takes at the rate that was measured, if one was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Left {
    pub(in crate::cli) bundles: usize,
    pub(in crate::cli) bytes: u64,
    pub(in crate::cli) rows: u64,
    pub(in crate::cli) rate: Option<u64>,
    pub(in crate::cli) time: Option<Duration>,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes| ByteSize::b(bytes).display().iec();
        let (bundles, rows) = (Count(self.bundles, "bundle"), Count(self.rows, "row"));
        write!(f, "{bundles} left ({}, {rows}), ", size(self.bytes))?;
        match (self.time, self.rate) {
            (Some(time), Some(rate)) => {
                write!(f, "about {} at the {}/s of this run", format_duration(time), size(rate))
            }
            _ => write!(f, "time needed unknown, as nothing was sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_the_time_it_takes() {
        let left = Left {
            bundles: 2,
            bytes: 3 << 20,
            rows: 1200,
            rate: Some(32 << 10),
            time: Some(Duration::from_secs(96)),
        };
        assert_eq!(
            left.to_string(),
            "2 bundles left (3.0 MiB, 1200 rows), about 1m 36s at the 32.0 KiB/s of this run"
        );
        let unknown = Left { bundles: 1, rows: 1, rate: None, time: None, ..left };
        assert_eq!(
            unknown.to_string(),
            "1 bundle left (3.0 MiB, 1 row), time needed unknown, as nothing was sent"
        );
    }
}
