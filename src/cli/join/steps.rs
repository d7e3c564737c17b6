//! What is tried, one after the other, each told as soon as it is done.

use serde::Serialize;

use crate::cli::context::Context;
use crate::domain::Failure;

/// Something that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    name: &'static str,
    ok: bool,
    /// What was found, or why it has failed.
    told: String,
    /// What to do about it.
    cure: Option<String>,
}

/// Everything that was tried so far.
pub(super) struct Steps<'a> {
    context: &'a Context,
    done: Vec<Step>,
}

impl<'a> Steps<'a> {
    /// Nothing yet.
    pub(super) fn of(context: &'a Context) -> Self {
        Self { context, done: Vec::new() }
    }

    /// Does it, and tells what came of it.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(T, String), Failure>,
    ) -> Result<T, Failure> {
        let (outcome, told, cure) = match work() {
            Ok((value, told)) => (Ok(value), told, None),
            Err(failure) => {
                let (told, cure) = (failure.to_string(), failure.advice().map(str::to_owned));
                (Err(failure), told, cure)
            }
        };
        let mark = if outcome.is_ok() { "" } else { "FAILED: " };
        self.context.tell(&format!("{name}: {mark}{told}"))?;
        if let Some(cure) = &cure {
            self.context.tell(&format!("  cure: {cure}"))?;
        }
        self.done.push(Step { name, ok: outcome.is_ok(), told, cure });
        outcome.map_err(|failure| {
            let again = "mend that, and run `salesync join` again: it goes on where it stopped";
            Failure::new(failure.kind(), "joining", format!("{name} has failed")).hint(again)
        })
    }

    /// All that was tried.
    pub(super) fn done(self) -> Vec<Step> {
        self.done
    }
}
