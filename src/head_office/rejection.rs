//! A bundle that will not be applied: it is kept, remembered and answered.

use std::path::PathBuf;

use chrono::Utc;
use postgres::{Client, GenericClient};

use super::ledger::{Delivery, forget_held, record_incident};
use super::receipts::record_receipt;
use super::verdict::{Arrival, Outcome, Verdict};

use crate::database::database_failure;
use crate::domain::{Digest, Failure, Manifest, Receipt, ReceiptOutcome, legible};
use crate::halt::{self, Step};

/// A rejected bundle.
pub(super) struct Rejection<'a> {
    /// Its manifest; none if the file is so damaged that it has none.
    pub(super) bundle: Option<(&'a Manifest, Digest)>,
    /// How it came.
    pub(super) arrival: Arrival<'a>,
    /// Why it is rejected.
    pub(super) reason: String,
    /// Where it is kept for inspection.
    pub(super) kept: PathBuf,
}

impl Rejection<'_> {
    /// Records the delivery and the incident, and, if it is known whose the bundle is, the answer.
    pub(super) fn record(mut self, client: &mut Client) -> Result<Verdict, Failure> {
        // It may contain the bundle's own words.
        self.reason = legible(&self.reason);
        let failed = |error: postgres::Error| database_failure("recording a rejected bundle", &error);
        let mut transaction = client.transaction().map_err(failed)?;
        self.write(&mut transaction)?;
        halt::after(Step::RejectionRecorded);
        transaction.commit().map_err(failed)?;
        halt::after(Step::RejectionCommitted);
        let outcome = Outcome::Rejected { reason: self.reason, is_damaged: self.bundle.is_none() };
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
        // Whoever can write to a queue is to blame for what comes in it, whatever name is inside.
        let branch = self.arrival.branch.or(manifest.map(|manifest| &manifest.branch));
        let delivery = Delivery {
            branch,
            manifest: self.bundle,
            source: self.arrival.source,
            outcome: "rejected",
            reason: Some(&self.reason),
        };
        delivery.record(client).map_err(failed)?;
        record_incident(client, branch, manifest, "rejected", &self.reason, Some(&self.kept))
            .map_err(failed)?;
        match self.bundle {
            Some((manifest, digest)) if branch == Some(&manifest.branch) => {
                let Manifest { branch, epoch, sequence, .. } = manifest;
                forget_held(client, branch, *epoch, *sequence, Some(digest)).map_err(failed)?;
                let receipt = Receipt::new(manifest, digest, Utc::now(), ReceiptOutcome::Rejected);
                record_receipt(client, &receipt.because(&self.reason))
            }
            _ => Ok(()),
        }
    }
}
