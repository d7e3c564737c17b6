//! A bundle that will not be applied: it is kept, remembered and answered.

use std::path::PathBuf;

use chrono::Utc;
use postgres::{Client, GenericClient};

use super::ledger::{Delivery, IncidentKind, forget_held, hold_of, record_incident};
use super::receipts::record_receipt;
use super::verdict::{Arrival, Outcome, Verdict};

use crate::database::database_failure;
use crate::domain::{Digest, Failure, Manifest, Receipt, ReceiptOutcome, legible};
use crate::halt::{self, Step};

/// Why a bundle is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grounds {
    /// For what it says, or for its place.
    Content(String),
    /// Nothing proves that its branch has sent it. What it says, of its own number too, counts for nothing.
    Origin(String),
}

impl Grounds {
    fn reason(&self) -> &str {
        match self {
            Self::Content(reason) | Self::Origin(reason) => reason,
        }
    }
}

/// A rejected bundle.
pub(super) struct Rejection<'a> {
    /// Its manifest; none if the file is so damaged that it has none.
    pub(super) bundle: Option<(&'a Manifest, Digest)>,
    /// How it came.
    pub(super) arrival: Arrival<'a>,
    /// Why it is rejected.
    pub(super) grounds: Grounds,
    /// Where it is kept for inspection.
    pub(super) kept: PathBuf,
}

impl Rejection<'_> {
    /// Records the delivery and the incident, and, if it is known whose the bundle is, the answer.
    pub(super) fn record(mut self, client: &mut Client) -> Result<Verdict, Failure> {
        // It may contain the bundle's own words.
        self.grounds = match self.grounds {
            Grounds::Content(reason) => Grounds::Content(legible(&reason)),
            Grounds::Origin(reason) => Grounds::Origin(legible(&reason)),
        };
        let failed = |error: postgres::Error| database_failure("recording a rejected bundle", &error);
        let mut transaction = client.transaction().map_err(failed)?;
        self.write(&mut transaction)?;
        halt::after(Step::RejectionRecorded);
        transaction.commit().map_err(failed)?;
        halt::after(Step::RejectionCommitted);
        let reason = self.grounds.reason().to_owned();
        let outcome = Outcome::Rejected { reason, is_damaged: self.bundle.is_none() };
        Ok(match self.bundle {
            Some((manifest, _)) => Verdict::on(manifest, outcome),
            None => Verdict {
                branch: self.arrival.branch.cloned(),
                identity: None,
                rows: 0,
                tombstones: 0,
                outcome,
            },
        })
    }

    fn write(&self, client: &mut impl GenericClient) -> Result<(), Failure> {
        let failed = |error: postgres::Error| database_failure("recording a rejected bundle", &error);
        let manifest = self.bundle.map(|(manifest, _)| manifest);
        let (reason, is_proven) = (self.grounds.reason(), matches!(self.grounds, Grounds::Content(_)));
        // Whoever can write to a queue is to blame for what comes in it, whatever name is inside.
        let branch = self.arrival.branch.or(manifest.map(|manifest| &manifest.branch));
        let delivery = Delivery {
            branch,
            manifest: self.bundle,
            source: self.arrival.source,
            outcome: "rejected",
            reason: Some(reason),
            is_proven,
        };
        delivery.record(client).map_err(failed)?;
        let kind = if is_proven { IncidentKind::Rejected } else { IncidentKind::Unproven };
        record_incident(client, branch, manifest, kind, reason, Some(&self.kept)).map_err(failed)?;
        match self.bundle {
            Some((manifest, digest)) if branch == Some(&manifest.branch) => {
                let is_held = hold_of(client, manifest, digest).map_err(failed)?.is_some();
                if is_held && !is_proven {
                    // The branch's own copy is here and waits; this one says nothing of it.
                    return Ok(());
                }
                let Manifest { branch, epoch, sequence, .. } = manifest;
                forget_held(client, branch, *epoch, *sequence, Some(digest)).map_err(failed)?;
                let receipt = Receipt::new(manifest, digest, Utc::now(), ReceiptOutcome::Rejected);
                record_receipt(client, &receipt.because(reason))
            }
            _ => Ok(()),
        }
    }
}
