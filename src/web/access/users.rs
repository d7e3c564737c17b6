//! Who may log in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::password::{LONGEST, Password};
use crate::domain::{Failure, Kind};
use crate::web::thread::in_thread;

/// So many passwords are compared at the same time: each takes a processor and 19 MiB.
const AT_ONCE: usize = 2;
/// Whoever has waited so long is asked to come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who may log in.
#[derive(Debug, Clone)]
pub struct User {
    /// Stands in the audit trail.
    pub name: String,
    /// How they prove who they are.
    pub password: Password,
    /// May do more than look.
    pub may_operate: bool,
}

/// All of them: at least one.
pub(super) struct Users {
    users: Vec<User>,
    turns: Arc<Semaphore>,
}

impl Users {
    /// None if there are none.
    pub(super) fn new(users: Vec<User>) -> Option<Self> {
        (!users.is_empty()).then(|| Self { users, turns: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// The user with this name and password. A name that nobody has takes as long as one that somebody has.
    pub(super) async fn find(&self, name: &str, password: String) -> Result<Option<User>, Failure> {
        if password.len() > LONGEST {
            return Ok(None);
        }
        let busy = || {
            Failure::new(Kind::Postponed, "logging in", "too many log in at this moment")
                .hint("try again in a moment")
        };
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let known = self.users.iter().find(|user| user.name == name);
        let Some(compared) = known.or(self.users.first()).map(|user| user.password.clone()) else {
            return Ok(None);
        };
        let is_right = in_thread("logging in", move || {
            let _turn = turn;
            compared.is(&password)
        });
        let is_right = is_right.await?;
        Ok(known.filter(|_| is_right).cloned())
    }
}
