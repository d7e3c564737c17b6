//! Waiting for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use crate::domain::{Failure, Kind};

/// How long to pause between two looks: short against a server's start, long against a look's cost.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `look` until it finds something, at least once and for at most `limit`.
///
/// `what` completes "waiting for …" in the failure that the time limit gives. An error from `look`
/// ends the wait at once: return `Ok(None)` for "not yet".
pub fn wait_until<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            let why = format!("not so after {} s", limit.as_secs_f32());
            return Err(Failure::new(Kind::Failed, format!("waiting for {what}"), why));
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_what_the_look_found() {
        let mut looks = 0;
        let found = wait_until(Duration::from_secs(10), "the third look", || {
            looks += 1;
            Ok((looks == 3).then_some("found"))
        });
        assert_eq!(found, Ok("found"));
    }

    #[test]
    fn waiting_in_vain_names_what_was_waited_for() {
        let failure = wait_until::<()>(Duration::ZERO, "a miracle", || Ok(None)).unwrap_err();
        assert_eq!(failure.to_string(), "waiting for a miracle: not so after 0 s");
    }

    #[test]
    fn an_error_ends_the_wait_at_once() {
        let failure = wait_until::<()>(Duration::from_hours(1), "nothing", || {
            Err(Failure::new(Kind::Permission, "looking", "forbidden"))
        });
        assert_eq!(failure.unwrap_err().kind(), Kind::Permission);
    }
}
