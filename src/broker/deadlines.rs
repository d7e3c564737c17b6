//! How long each kind of call may take.

use std::time::Duration;

/// The longest time each kind of call may take. The defaults suit a slow, shaky line.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Resolving the name, connecting, TLS and login together.
    pub connect: Duration,
    /// One question and its short answer.
    pub rpc: Duration,
    /// Fetching one message. Its size is not known beforehand, and a dead line is noticed by the
    /// heartbeat long before; so this is only the limit of patience with a slow one.
    pub receive: Duration,
    /// Publishing a small message, until it is confirmed.
    pub publish: Duration,
    /// Bytes per second below which the upload of a large message is given up.
    pub minimum_rate: u64,
    /// Saying goodbye.
    pub close: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            rpc: Duration::from_secs(30),
            receive: Duration::from_mins(10),
            publish: Duration::from_mins(1),
            minimum_rate: 8 * 1024,
            close: Duration::from_secs(5),
        }
    }
}

impl Deadlines {
    /// For publishing a message of `byte_count` bytes.
    pub(super) fn publishing(&self, byte_count: usize) -> Duration {
        let byte_count = u64::try_from(byte_count).unwrap_or(u64::MAX);
        self.publish.max(Duration::from_secs(byte_count / self.minimum_rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_may_take_as_long_as_the_slowest_line_needs() {
        let deadlines = Deadlines::default();
        assert_eq!(deadlines.publishing(1000), Duration::from_mins(1));
        assert_eq!(deadlines.publishing(4 * 1024 * 1024), Duration::from_secs(512));
        assert_eq!(Deadlines { minimum_rate: 0, ..deadlines }.publishing(120), Duration::from_mins(2));
    }
}
