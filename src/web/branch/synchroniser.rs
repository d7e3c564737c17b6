//! One synchronisation at a time, in a thread of its own; whoever looks at the page sees how far it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::domain::{Failure, Kind, Onlooker, Stage};
use crate::web::site::Synchronise;

/// While a bundle is on its way nothing tells how far it is; the page reckons anew so often.
const RECKONED_EVERY: Duration = Duration::from_secs(2);

/// Synchronises the branch when somebody asks for it.
pub(in crate::web) struct Synchroniser {
    synchronise: Synchronise,
    /// The one that runs, or the last that ran.
    run: Mutex<Option<Run>>,
    /// Every step that the page can show is counted.
    steps: AtomicU64,
}

/// A synchronisation, as far as it is.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) began_at: DateTime<Utc>,
    /// None before it has come to the first.
    pub(super) stage: Option<Stage>,
    /// When it came there.
    pub(super) stage_began: Instant,
    /// What was said on the way.
    pub(super) troubles: Vec<Failure>,
    /// None while it runs.
    pub(super) end: Option<(DateTime<Utc>, Result<(), Failure>)>,
}

impl Run {
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }
}

impl Synchroniser {
    pub(in crate::web) fn new(synchronise: Synchronise) -> Self {
        Self { synchronise, run: Mutex::default(), steps: AtomicU64::new(0) }
    }

    /// The one that runs, or the last that ran.
    pub(super) fn run(&self) -> Option<Run> {
        self.lock().clone()
    }

    /// What tells one state of it from another.
    pub(in crate::web) fn mark(&self) -> String {
        let is_sending = |run: &&Run| !run.is_over() && matches!(run.stage, Some(Stage::Sending(_)));
        let reckoned = self
            .lock()
            .as_ref()
            .filter(is_sending)
            .map_or(0, |run| run.stage_began.elapsed().as_secs() / RECKONED_EVERY.as_secs());
        format!("{} {reckoned}", self.steps.load(Ordering::Relaxed))
    }

    /// Starts one, unless one runs. True if it was started.
    pub(super) fn start(self: &Arc<Self>) -> Result<bool, Failure> {
        {
            let mut run = self.lock();
            if run.as_ref().is_some_and(|run| !run.is_over()) {
                return Ok(false);
            }
            let (began_at, stage_began) = (Utc::now(), Instant::now());
            *run = Some(Run { began_at, stage: None, stage_began, troubles: Vec::new(), end: None });
        }
        let at_work = AtWork(Arc::clone(self));
        let started = thread::Builder::new().name("sync".to_owned()).spawn(move || {
            let done = (at_work.0.synchronise)(&*at_work.0);
            at_work.0.end(done);
        });
        started.map_err(|error| Failure::new(Kind::Failed, "starting to synchronise", error))?;
        Ok(true)
    }

    fn end(&self, done: Result<(), Failure>) {
        self.change(|run| run.end = Some((Utc::now(), done)));
    }

    fn change(&self, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.lock().as_mut().filter(|run| !run.is_over()) {
            change(run);
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Onlooker for Synchroniser {
    fn sees(&self, stage: &Stage) {
        self.change(|run| (run.stage, run.stage_began) = (Some(stage.clone()), Instant::now()));
    }

    fn hears(&self, trouble: &Failure) {
        tracing::warn!("{trouble}");
        self.change(|run| run.troubles.push(trouble.clone()));
    }
}

/// However the thread ends, the page does not wait for it for ever.
struct AtWork(Arc<Synchroniser>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.end(Err(Failure::new(Kind::Failed, "synchronising", "it broke off")
            .hint("nothing is lost; synchronise again")));
    }
}
