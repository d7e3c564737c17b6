//! Keeps the summary of the sales behind the bundles.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::head_office::sales::refresh_summary;
use crate::web::database::Databases;

/// How often it looks whether something has come.
const LOOK: Duration = Duration::from_secs(1);
/// After trouble it waits longer.
const AFTER_TROUBLE: Duration = Duration::from_secs(30);

/// Adds up what has come, piece by piece, for as long as the server runs. At most a third of the time is spent on it.
pub(in crate::web) async fn keep_summary(databases: Databases) {
    let mut trouble = None;
    loop {
        let began = Instant::now();
        let done = databases.write(refresh_summary).await;
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
