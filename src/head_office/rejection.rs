//! A bundle that will not be applied: it is kept, remembered and answered.

use std::path::PathBuf;

use postgres::{Client, GenericClient};
use serde_json::json;

use super::ledger::{Delivery, forget_held, record_incident, record_receipt};
use super::receive::{Arrival, Outcome, Verdict, verdict};
use crate::database::database_failure;
use crate::domain::{Digest, Failure, Manifest};

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
    pub(super) fn record(self, client: &mut Client) -> Result<Verdict, Failure> {
        let failed = |error: postgres::Error| database_failure("recording a rejected bundle", &error);
        let mut transaction = client.transaction().map_err(failed)?;
        self.write(&mut transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        let outcome = Outcome::Rejected { reason: self.reason, is_damaged: self.bundle.is_none() };
        Ok(match self.bundle {
            Some((manifest, _)) => verdict(manifest, outcome),
            None => Verdict {
                branch: self.arrival.branch.cloned(),
                identity: None,
                rows: 0,
                tombstones: 0,
                outcome,
            },
        })
    }

    fn write(&self, client: &mut impl GenericClient) -> Result<(), postgres::Error> {
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
        delivery.record(client)?;
        record_incident(client, branch, manifest, "rejected", &self.reason, Some(&self.kept))?;
        match self.bundle {
            Some((manifest, digest)) if branch == Some(&manifest.branch) => {
                let Manifest { branch, epoch, sequence, .. } = manifest;
                forget_held(client, branch, *epoch, *sequence, Some(digest))?;
                self.answer(client, manifest, digest)
            }
            _ => Ok(()),
        }
    }

    fn answer(
        &self,
        client: &mut impl GenericClient,
        manifest: &Manifest,
        digest: Digest,
    ) -> Result<(), postgres::Error> {
        let body = json!({
            "format": "salesync-receipt/1",
            "branch": manifest.branch,
            "epoch": manifest.epoch,
            "sequence": manifest.sequence,
            "bundle_id": manifest.bundle_id,
            "manifest_sha256": digest,
            "outcome": "rejected",
            "reason": self.reason,
        });
        record_receipt(client, manifest, "rejected", &body)
    }
}
