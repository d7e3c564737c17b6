//! Who has logged in, until they log out or have been away for long.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::users::User;
use crate::domain::Failure;
use crate::web::random;

/// Whoever does nothing for so long has gone home.
const IDLE: Duration = Duration::from_hours(2);
/// A working day, after which everybody logs in again.
const LONGEST: Duration = Duration::from_hours(12);
/// So many at most for each user; of more those go that were not used for the longest time.
const MOST: usize = 50;

/// The sessions. What the browser has, its id, is kept as a hash only: who sees this memory cannot use it.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    user: User,
    csrf: String,
    begun: Instant,
    used: Instant,
}

impl Sessions {
    /// Begins a session. Returns its id, which nobody had before.
    pub(super) fn begin(&self, user: &User) -> Result<String, Failure> {
        let (id, csrf) = (random::token()?, random::token()?);
        let now = Instant::now();
        let mut sessions = self.living(now);
        let own: Vec<_> = sessions.iter().filter(|(_, session)| session.user.name == user.name).collect();
        if own.len() >= MOST {
            let oldest = own.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| **key);
            oldest.map(|key| sessions.remove(&key));
        }
        sessions.insert(key(&id), Session { user: user.clone(), csrf, begun: now, used: now });
        Ok(id)
    }

    /// Whose session it is, and the token of its forms. `is_used` by a person, and not by a page that renews itself.
    pub(super) fn find(&self, id: &str, is_used: bool) -> Option<(User, String)> {
        let now = Instant::now();
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(&key(id)).filter(|session| session.lives(now))?;
        if is_used {
            session.used = now;
        }
        Some((session.user.clone(), session.csrf.clone()))
    }

    /// Ends it.
    pub(super) fn end(&self, id: &str) {
        self.living(Instant::now()).remove(&key(id));
    }

    /// Those that are not over.
    fn living(&self, now: Instant) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.lives(now));
        sessions
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.begun) < LONGEST
    }
}

fn key(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::access::hash_password;

    fn user(name: &str) -> User {
        let password = hash_password("correct horse").unwrap().parse().unwrap();
        User { name: name.to_owned(), password, may_operate: true }
    }

    #[test]
    fn a_session_is_found_by_its_id_until_it_is_ended() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.begin(&user("anna")).unwrap(), sessions.begin(&user("bert")).unwrap());
        let (found, csrf) = sessions.find(&one, true).unwrap();
        assert_eq!(found.name, "anna");
        assert_ne!(csrf, sessions.find(&other, true).unwrap().1);
        sessions.end(&one);
        assert!(sessions.find(&one, true).is_none() && sessions.find(&other, true).is_some());
        assert!(sessions.find("", true).is_none());
    }

    #[test]
    fn a_session_that_nobody_uses_is_over_sooner_than_one_that_is_used() {
        let now = Instant::now();
        let session = |begun: Duration, used: Duration| Session {
            user: user("anna"),
            csrf: String::new(),
            begun: now,
            used: now + used.saturating_sub(begun),
        };
        let hour = Duration::from_hours(1);
        assert!(session(Duration::ZERO, Duration::ZERO).lives(now + hour));
        assert!(!session(Duration::ZERO, Duration::ZERO).lives(now + 2 * hour));
        assert!(session(Duration::ZERO, 11 * hour).lives(now + 11 * hour));
        assert!(!session(Duration::ZERO, 11 * hour).lives(now + 12 * hour));
    }

    #[test]
    fn a_user_has_only_so_many_sessions_and_takes_none_of_others() {
        let sessions = Sessions::default();
        let bert = sessions.begin(&user("bert")).unwrap();
        let anna = user("anna");
        let ids: Vec<_> = (0..=MOST).map(|_| sessions.begin(&anna).unwrap()).collect();
        assert!(sessions.find(&ids[0], true).is_none());
        assert!(ids[1..].iter().all(|id| sessions.find(id, true).is_some()));
        assert!(sessions.find(&bert, true).is_some());
    }
}
