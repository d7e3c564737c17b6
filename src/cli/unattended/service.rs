//! What is told to systemd: that the service is up, what it does, that it is alive, that it stops.
//!
//! Without systemd nothing of it is sent.

use std::sync::Mutex;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sd_notify::{NotifyState, notify, watchdog_enabled};

/// The longest that one step may take: each call to a server has a deadline below it.
pub(in crate::cli) const STEP: Duration = Duration::from_mins(2);

/// The longest for one bundle to go into the database. A broker with the usual `consumer_timeout` has taken
/// it back by then.
pub(in crate::cli) const BUNDLE: Duration = Duration::from_mins(30);

/// The longest for a cut, which the first time takes every table whole, or for a bundle to go over the line.
pub(in crate::cli) const CUT: Duration = Duration::from_hours(12);

/// A service of systemd.
///
/// The watchdog is answered by a thread, because a step can take longer than its interval; but only until
/// the time that the loop has given itself for its current step is over. A loop that hangs is found out.
#[derive(Debug)]
pub(in crate::cli) struct Service {
    alive_until: Arc<Mutex<Instant>>,
}

impl Service {
    /// Begins to answer the watchdog, if there is one.
    pub(in crate::cli) fn start() -> Self {
        let service = Self { alive_until: Arc::new(Mutex::new(Instant::now() + STEP)) };
        if let Some(interval) = watchdog_enabled() {
            let alive_until = Arc::clone(&service.alive_until);
            // It ends with the process.
            thread::spawn(move || {
                loop {
                    if is_alive(&alive_until) {
                        tell(&NotifyState::Watchdog);
                    }
                    thread::sleep(interval / 3);
                }
            });
        }
        service
    }

    /// The loop is alive, and says so again before `longest` is over.
    pub(in crate::cli) fn step(&self, longest: Duration) {
        *self.alive_until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + longest;
    }
}

/// It is up and does this.
pub(in crate::cli) fn ready(doing: &str) {
    tell(&NotifyState::Ready);
    status(doing);
}

/// It does this now.
pub(in crate::cli) fn status(doing: &str) {
    tell(&NotifyState::Status(&doing.replace('\n', " ")));
}

/// It has been asked to stop and does so.
pub(in crate::cli) fn stopping() {
    tell(&NotifyState::Stopping);
}

fn is_alive(until: &Mutex<Instant>) -> bool {
    Instant::now() < *until.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(state: &NotifyState<'_>) {
    // Nothing depends on it, and there is nobody else to tell.
    if let Err(error) = notify(std::slice::from_ref(state)) {
        tracing::debug!("telling systemd {state}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_overruns_its_step_is_not_alive_until_it_takes_another() {
        let service = Service::start();
        assert!(is_alive(&service.alive_until));
        service.step(Duration::ZERO);
        assert!(!is_alive(&service.alive_until));
        service.step(STEP);
        assert!(is_alive(&service.alive_until));
    }
}
