//! Keeps the summary of the sales behind the bundles, and what somebody changes by hand behind that.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::domain::Failure;
use crate::head_office::sales::{Rechecked, recheck_summary, refresh_summary};
use crate::web::database::Databases;

/// How often it looks whether something has come.
const LOOK: Duration = Duration::from_secs(1);
/// After trouble it waits longer.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);
/// How often all of it is compared with the table, the first time at the start.
const RECHECK: Duration = Duration::from_hours(24);

/// Adds up what has come, piece by piece, for as long as the server runs. At most a third of the time is spent on it.
pub(in crate::web) async fn keep_summary(databases: Databases) {
    let mut trouble = None;
    let mut recheck = Recheck { is_due_at: Instant::now(), after: None };
    loop {
        let began = Instant::now();
        let done = match databases.write(refresh_summary).await {
            Ok(false) => recheck.go_on(&databases).await,
            done => done,
        };
        sleep(match &done {
            Ok(true) => began.elapsed() * 2,
            Ok(false) => LOOK,
            Err(_) => AFTER_TROUBLE,
        })
        .await;
        let failure = done.err();
        if let Some(failure) = failure.as_ref().filter(|failure| trouble.as_ref() != Some(*failure)) {
            tracing::warn!("{failure}");
        }
        trouble = failure;
    }
}

/// How far the summary was compared with the table.
struct Recheck {
    is_due_at: Instant,
    /// The last day, if it is under way.
    after: Option<String>,
}

impl Recheck {
    /// Compares some days, if it is time. Returns whether there are more.
    async fn go_on(&mut self, databases: &Databases) -> Result<bool, Failure> {
        if self.after.is_none() && Instant::now() < self.is_due_at {
            return Ok(false);
        }
        let after = self.after.take();
        let asked = after.clone();
        // What fails is not tried again at once: it takes long.
        self.is_due_at = Instant::now() + RECHECK;
        match databases.write(move |client| recheck_summary(client, asked.as_deref())).await? {
            Rechecked::UpTo(day) => self.after = Some(day),
            Rechecked::All => {}
            Rechecked::NotNow => (self.after, self.is_due_at) = (after, Instant::now()),
        }
        Ok(self.after.is_some())
    }
}
