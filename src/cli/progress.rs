//! How far it is, for somebody who looks on: a bar on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::Count;

const BUNDLES: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const COUNT: &str = "{spinner} {msg}";

/// A bar on stderr, if that is a terminal.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// None yet; none at all if `is_quiet`, or where nobody looks on.
    pub(super) fn new(is_quiet: bool) -> Self {
        let is_seen = !is_quiet && io::stderr().is_terminal();
        Self(is_seen.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())))
    }

    /// So many of all bundles, and of all bytes, are over.
    pub(super) fn of_bundles(&self, ((sent, count), (done, total)): ((usize, usize), (u64, u64))) {
        if let Some(bar) = self.0.as_ref().filter(|_| sent < count) {
            if bar.length() != Some(total) {
                self.show(BUNDLES);
                bar.set_length(total);
                bar.reset_eta();
            }
            bar.set_message(format!("bundle {} of {count}", sent + 1));
            bar.set_position(done);
        }
    }

    /// So many bundles are applied, of nobody knows how many.
    pub(super) fn of_count(&self, applied: usize) {
        if let Some(bar) = &self.0 {
            if bar.message().is_empty() {
                self.show(COUNT);
            }
            bar.set_message(format!("{} applied", Count(applied as u64, "bundle")));
        }
    }

    /// Takes the bar away, before something else is said.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.disable_steady_tick();
            bar.set_length(0);
            bar.set_message("");
            bar.finish_and_clear();
        }
    }

    fn show(&self, template: &str) {
        if let (Some(bar), Ok(style)) = (&self.0, ProgressStyle::with_template(template)) {
            bar.reset();
            bar.set_style(style);
            // While a large bundle is on its way nothing else moves.
            bar.enable_steady_tick(Duration::from_millis(500));
        }
    }
}
