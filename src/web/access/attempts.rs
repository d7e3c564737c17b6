//! Logins that failed: who goes on trying waits ever longer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many may fail before anybody has to wait.
const FREE: u32 = 3;
/// The longest wait for a name. It is short, so that nobody can keep somebody else out for long.
const LONGEST_FOR_A_NAME: Duration = Duration::from_secs(30);
/// The longest wait for an address.
const LONGEST_FOR_AN_ADDRESS: Duration = Duration::from_mins(15);
/// What lies so far back is forgotten.
const MEMORY: Duration = Duration::from_hours(1);
/// So many names and addresses are remembered at most; of more the oldest go.
const MOST: usize = 4096;

/// Who has failed, and how often.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<Who, Failed>>);

/// Whoever can be told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Name(String),
    /// An address. Of IPv6 the network, of which a household has one.
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Who {
    /// Somebody at this address.
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            address @ IpAddr::V4(_) => address,
        })
    }

    fn wait_after(&self, times: u32) -> Duration {
        let longest = match self {
            Self::Name(_) => LONGEST_FOR_A_NAME,
            Self::Address(_) => LONGEST_FOR_AN_ADDRESS,
        };
        match times.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(more) => Duration::from_secs(1 << more.min(20)).min(longest),
        }
    }
}

impl Attempts {
    /// Begins an attempt, or says how long to wait before the next one. It counts as failed until it is forgiven, so that
    /// many at the same time do not pass for one.
    pub(super) fn begin(&self, all: &[Who], now: Instant) -> Result<(), Duration> {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, failed| now.duration_since(failed.last) < MEMORY);
        let left = |who: &Who| {
            let failed = attempts.get(who)?;
            Some((failed.last + who.wait_after(failed.times)).saturating_duration_since(now))
        };
        let wait = all.iter().filter_map(left).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        for who in all {
            if attempts.len() >= MOST && !attempts.contains_key(who) {
                let oldest =
                    attempts.iter().min_by_key(|(_, failed)| failed.last).map(|(who, _)| who.clone());
                oldest.map(|who| attempts.remove(&who));
            }
            let failed = attempts.entry(who.clone()).or_insert(Failed { times: 0, last: now });
            *failed = Failed { times: failed.times.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// It has succeeded.
    pub(super) fn forgive(&self, all: &[Who]) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for who in all {
            attempts.remove(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> Who {
        Who::Name("anna".to_owned())
    }

    #[test]
    fn the_wait_grows_with_every_failure_up_to_a_bound() {
        let attempts = Attempts::default();
        let address = Who::at([10, 0, 0, 1].into());
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..16 {
            let wait = attempts.begin(std::slice::from_ref(&address), now).err().unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
            if !wait.is_zero() {
                attempts.begin(std::slice::from_ref(&address), now).unwrap();
            }
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(attempts.begin(&[address], now + MEMORY), Ok(()));
    }

    #[test]
    fn a_name_is_never_kept_out_for_long_and_a_success_is_forgiven() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let mut later = now;
        for _ in 0..20 {
            later += attempts.begin(&[anna()], later).err().unwrap_or_default();
            let _ = attempts.begin(&[anna()], later);
        }
        let wait = attempts.begin(&[anna()], later).unwrap_err();
        assert!(wait <= LONGEST_FOR_A_NAME && wait > Duration::from_secs(20), "{wait:?}");
        attempts.forgive(&[anna()]);
        assert_eq!(attempts.begin(&[anna()], later), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let one = Who::at("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, Who::at("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_ne!(one, Who::at("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(Who::at("::ffff:10.0.0.1".parse().unwrap()), Who::at([10, 0, 0, 1].into()));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let attempts = Attempts::default();
        let begin = Instant::now();
        for number in 0..2 * MOST {
            let now = begin + Duration::from_millis(number.try_into().unwrap());
            attempts.begin(&[Who::Name(number.to_string())], now).unwrap();
        }
        let kept = attempts.0.lock().unwrap();
        assert_eq!(kept.len(), MOST);
        assert!(kept.contains_key(&Who::Name((2 * MOST - 1).to_string())));
    }
}
