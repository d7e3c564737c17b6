//! Being asked to stop: SIGTERM and SIGINT (Ctrl-C).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::exit::Exit;
use crate::domain::{Failure, Kind};

/// Those that ask.
const SIGNALS: [i32; 2] = [SIGTERM, SIGINT];

/// How long a wait may last before it looks again whether it is to stop.
pub(in crate::cli) const SLICE: Duration = Duration::from_millis(100);

/// From now on the first signal ends this process at once, also if it was started with signals ignored, as a
/// shell starts jobs in the background.
pub(in crate::cli) fn end_at_once() -> Result<(), Failure> {
    let always = Arc::new(AtomicBool::new(true));
    SIGNALS.into_iter().try_for_each(|signal| {
        let heeded = flag::register_conditional_default(signal, Arc::clone(&always));
        heeded.map(drop).map_err(not_listening)
    })
}

fn not_listening(error: io::Error) -> Failure {
    Failure::new(Kind::Failed, "listening for signals", error)
}

/// Whether this process has been asked to stop.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on the first signal asks to stop at the next good moment. A second one ends the process at
    /// once, which loses nothing either.
    pub(in crate::cli) fn listen() -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in SIGNALS {
            flag::register_conditional_shutdown(signal, Exit::Postponed as i32, Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .map_err(not_listening)?;
        }
        Ok(Self(asked))
    }

    /// Whether it has been asked.
    pub(in crate::cli) fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits so long, or until asked to stop. True if it was.
    pub(in crate::cli) fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_asked() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(SLICE));
        }
        true
    }
}
