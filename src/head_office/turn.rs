//! The turn of a bundle that is loaded before it: it comes when the bundle before it is decided.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// What the next bundle of the same branch waits for.
#[derive(Debug)]
pub struct Turn {
    decided: Receiver<()>,
    /// What has become of it, once that is known.
    known: Cell<Option<bool>>,
}

/// Held while a bundle is tried. Whoever drops it without [`decided`](Self::decided) has left the bundle undecided, and none
/// that follow it have their turn.
#[derive(Debug)]
pub struct Predecessor(Sender<()>);

impl Predecessor {
    /// A bundle that is tried, and the turn of the one after it.
    #[must_use]
    pub fn of_next() -> (Self, Turn) {
        let (sender, decided) = channel();
        (Self(sender), Turn { decided, known: Cell::new(None) })
    }

    /// It is decided what becomes of the bundle.
    pub fn decided(self) {
        // Nobody may be waiting.
        let _ = self.0.send(());
    }
}

impl Turn {
    /// Waits so long. True if the turn has come, false if it never will, none if that is not known yet.
    pub(super) fn within(&self, patience: Duration) -> Option<bool> {
        if self.known.get().is_none() {
            self.known.set(match self.decided.recv_timeout(patience) {
                Ok(()) => Some(true),
                Err(RecvTimeoutError::Disconnected) => Some(false),
                Err(RecvTimeoutError::Timeout) => None,
            });
        }
        self.known.get()
    }

    /// Waits until it is known whether the turn comes.
    pub(super) fn comes(&self) -> bool {
        self.known.get().unwrap_or_else(|| self.decided.recv().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn a_turn_comes_when_the_bundle_before_is_decided_and_then_stays() {
        let (predecessor, turn) = Predecessor::of_next();
        assert_eq!(turn.within(SHORT), None);
        predecessor.decided();
        assert_eq!(turn.within(SHORT), Some(true));
        assert!(turn.comes() && turn.within(SHORT) == Some(true));
    }

    #[test]
    fn a_turn_never_comes_after_a_bundle_that_is_left_undecided() {
        let (predecessor, turn) = Predecessor::of_next();
        drop(predecessor);
        assert_eq!(turn.within(SHORT), Some(false));
        assert!(!turn.comes());
    }
}
