//! How far it is, for somebody who looks on: a bar on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::{Count, Extent, Stage};

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

    /// A branch's exchange with head office stands there.
    pub(super) fn of_exchange(&self, stage: &Stage) {
        match stage {
            Stage::Sending(extent) => self.of_bundles(extent),
            Stage::SendingEnded => self.clear(),
            // Over soon, or not in sight.
            Stage::AwaitingTurn(_) | Stage::Cutting | Stage::AwaitingAnswers(_) => {}
        }
    }

    fn of_bundles(&self, extent: &Extent) {
        if let Some(bar) = self.0.as_ref().filter(|_| extent.sent < extent.bundles) {
            if bar.length() != Some(extent.bytes) {
                self.show(BUNDLES);
                bar.set_length(extent.bytes);
                bar.reset_eta();
            }
            bar.set_message(format!("bundle {} of {}", extent.sent + 1, extent.bundles));
            bar.set_position(extent.sent_bytes);
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
