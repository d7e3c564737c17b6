//! Trying again what may go well by itself: ever later, and without saying the same twice.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::cli::context::Context;
use crate::domain::{Failure, Kind};

/// The first wait. Each is twice the one before, and lasts up to twice as long by chance: branches that
/// lost their line together do not come back together.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// What has been tried in vain.
#[derive(Debug)]
pub(in crate::cli) struct Retry {
    delays: ExponentialBackoff,
    told: Option<String>,
}

impl Retry {
    /// Nothing yet.
    pub(in crate::cli) fn new() -> Self {
        let delays = ExponentialBuilder::new().with_min_delay(FIRST).with_max_delay(LONGEST);
        Self { delays: delays.without_max_times().with_jitter().build(), told: None }
    }

    /// Tells why it did not go well, unless that is what was told last; returns how long to wait.
    pub(in crate::cli) fn after(&mut self, failure: &Failure) -> Duration {
        let text = failure.to_string();
        if self.told.as_ref() != Some(&text) {
            Context::complain(failure);
            self.told = Some(text);
        }
        self.delays.next().unwrap_or(LONGEST)
    }

    /// True if it was told that something did not go well, and it does again.
    pub(in crate::cli) fn is_under_way(&self) -> bool {
        self.told.is_some()
    }
}

/// Whether it may go well another time without anybody doing something about it here.
pub(in crate::cli) fn may_pass(failure: &Failure) -> bool {
    matches!(failure.kind(), Kind::Unreachable | Kind::Postponed)
}

/// Whether a service that meets it has to end. One that `was_up` was configured well, and outlives also
/// what somebody has to mend elsewhere: a full disk, a broker that has yet to load its users.
pub(in crate::cli) fn is_lasting(failure: &Failure, was_up: bool) -> bool {
    match failure.kind() {
        Kind::Usage | Kind::NeedsPerson => true,
        Kind::Unreachable | Kind::Postponed => false,
        _ => !was_up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_differ_by_chance() {
        let failure = Failure::new(Kind::Unreachable, "connecting", "nothing listens there");
        let series = || {
            let mut retry = Retry::new();
            (0..12).map(|_| retry.after(&failure)).collect::<Vec<_>>()
        };
        let waits = series();
        let mut expected = FIRST;
        for wait in &waits {
            assert!(*wait >= expected && *wait <= expected * 2, "{wait:?} for {expected:?}");
            expected = (expected * 2).min(LONGEST);
        }
        assert_ne!(waits, series());
    }

    #[test]
    fn only_servers_that_are_away_are_worth_another_try() {
        for (kind, passes) in [
            (Kind::Unreachable, true),
            (Kind::Postponed, true),
            (Kind::Permission, false),
            (Kind::Configuration, false),
            (Kind::Usage, false),
            (Kind::NeedsPerson, false),
            (Kind::Damaged, false),
            (Kind::Failed, false),
        ] {
            assert_eq!(may_pass(&Failure::new(kind, "doing", "why")), passes, "{kind:?}");
        }
    }

    #[test]
    fn a_service_ends_where_only_a_person_can_go_on() {
        for (kind, at_first, later) in [
            (Kind::Unreachable, false, false),
            (Kind::Postponed, false, false),
            (Kind::Permission, true, false),
            (Kind::Configuration, true, false),
            (Kind::Failed, true, false),
            (Kind::Damaged, true, false),
            (Kind::Usage, true, true),
            (Kind::NeedsPerson, true, true),
        ] {
            let failure = Failure::new(kind, "doing", "why");
            assert_eq!(
                (is_lasting(&failure, false), is_lasting(&failure, true)),
                (at_first, later),
                "{kind:?}"
            );
        }
    }
}
