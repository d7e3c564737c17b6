//! Free ports on 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::domain::{Failure, Kind};

/// Below the range from which the system serves outgoing connections (32768 and up on Linux): a
/// stopped server finds its port still free when it starts again.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// Never the same port twice in this process, so that servers may start in parallel.
static TAKEN: AtomicU16 = AtomicU16::new(0);

/// A port on which nothing listens now. Another process may still be quicker to take it; each process
/// begins its search at a place of its own to make that unlikely.
pub fn free_port() -> Result<u16, Failure> {
    (0..COUNT)
        .map(|_| candidate(TAKEN.fetch_add(1, Ordering::Relaxed)))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| Failure::new(Kind::Failed, "looking for a free port", "all are in use"))
}

/// The `n`-th port this process tries. The multiplier spreads neighbouring process ids.
fn candidate(n: u16) -> u16 {
    let start = process::id().wrapping_mul(2_654_435_761) >> 16;
    let offset = (start + u32::from(n)) % u32::from(COUNT);
    FIRST + u16::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_free_ports_differ_and_lie_below_the_range_of_outgoing_connections() {
        let (one, other) = (free_port().unwrap(), free_port().unwrap());
        assert_ne!(one, other);
        for port in [one, other] {
            assert!((FIRST..32_768).contains(&port), "{port}");
        }
    }
}
