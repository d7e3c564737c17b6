//! What `bundle`, `resend` and `sync` report: the bundles they had to do with.

use std::fmt;

use serde::Serialize;

use super::Exchange;
use super::outgoing::Outgoing;
use crate::branch::{RecordedBundle, Unapplied, unapplied_bundles};
use crate::cli::exit::Exit;
use crate::domain::{Count, Failure, Kind};

/// What was sealed, published and answered.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Report {
    bundles: Vec<Line>,
    pending: usize,
    pending_rows: u64,
    pending_bytes: u64,
    pending_seconds: Option<u64>,
    receipts: u64,
    refused: u64,
    unapplied: Vec<Unapplied>,
    /// True if head office has asked for something that takes a person.
    #[serde(skip)]
    is_owing: bool,
    /// True if what has changed could not be cut.
    #[serde(skip)]
    lacks_cut: bool,
    /// How many of the bundles are proven to be applied; `sync` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    proven: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Line {
    branch: String,
    sequence: u64,
    bundle_id: String,
    file: String,
    manifest_sha256: String,
    rows: i64,
    tombstones: i64,
    bytes: i64,
    state: String,
}

impl Report {
    /// Of a run that did not ask what head office makes of it.
    pub(in crate::cli) fn new(outgoing: &Outgoing) -> Self {
        let left = outgoing.left();
        Self {
            bundles: outgoing.bundles().iter().map(Line::from).collect(),
            pending: left.bundles,
            pending_rows: left.rows,
            pending_bytes: left.bytes,
            pending_seconds: left.time.map(|time| time.as_secs()),
            receipts: outgoing.receipts,
            refused: outgoing.refused,
            unapplied: Vec::new(),
            is_owing: outgoing.is_owing,
            lacks_cut: outgoing.lacks_cut,
            proven: None,
        }
    }

    /// The same with what head office holds or has rejected, by its last answers.
    pub(in crate::cli) fn with_answers(mut self, exchange: &mut Exchange<'_>) -> Result<Self, Failure> {
        self.unapplied = unapplied_bundles(&mut exchange.client)?;
        Ok(self)
    }

    /// The same with how many of the bundles are proven to be applied.
    pub(in crate::cli) fn with_proof(mut self) -> Self {
        self.proven = Some(self.bundles.iter().filter(|line| line.state == "applied").count());
        self
    }

    /// The exit status of a run that has sent everything.
    pub(in crate::cli) fn exit(&self) -> Exit {
        let is_well = self.unapplied.is_empty() && !self.is_owing && self.refused == 0;
        if is_well { Exit::Done } else { Exit::NeedsPerson }
    }
}

/// With the bundles safely sealed, a broker that is away is no failure but a wait.
pub(in crate::cli) fn with_work_left(failure: Failure, left: usize) -> Failure {
    if failure.kind() != Kind::Unreachable {
        return failure;
    }
    let advice = failure.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
    let hint = format!(
        "{} safe in the archive; the next `salesync bundle` publishes what is left{advice}",
        Count(left, "sealed bundle")
    );
    failure.as_kind(Kind::Postponed).hint(hint)
}

impl From<&RecordedBundle> for Line {
    fn from(bundle: &RecordedBundle) -> Self {
        Self {
            branch: bundle.branch.to_string(),
            sequence: bundle.sequence.get(),
            bundle_id: bundle.bundle_id.to_string(),
            file: bundle.path.display().to_string(),
            manifest_sha256: bundle.manifest_sha256.clone(),
            rows: bundle.rows,
            tombstones: bundle.tombstones,
            bytes: bundle.bytes,
            state: bundle.state.clone(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bundles.is_empty() {
            writeln!(
                f,
                "{}nothing is pending",
                if self.lacks_cut { "" } else { "nothing has changed, and " }
            )?;
        }
        for Line { branch, sequence, rows, tombstones, bytes, state, .. } in &self.bundles {
            let (rows, tombstones) = (Count(*rows, "row"), Count(*tombstones, "tombstone"));
            writeln!(f, "{branch} {sequence}: {rows}, {tombstones}, {bytes} bytes, {state}")?;
        }
        for Unapplied { sequence, state, reason } in &self.unapplied {
            writeln!(f, "head office has {state} bundle {sequence}: {reason}")?;
        }
        if let Some(proven) = self.proven.filter(|_| !self.bundles.is_empty()) {
            writeln!(
                f,
                "{proven} of {} proven to be at head office",
                Count(self.bundles.len() as u64, "bundle")
            )?;
        }
        Ok(())
    }
}
