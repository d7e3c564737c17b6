//! What a person decides on bundles that are held or rejected. Every decision is recorded with who made it.

use std::fs::File;
use std::path::{Path, PathBuf};

use postgres::GenericClient;

use super::branches::{BranchState, branch_states};
use super::ledger::Source;
use super::place::Place;
use super::receive::Receiver;
use super::refusal::Refusal;
use super::verdict::{Arrival, Outcome, Verdict};
use crate::archive::open_bundle;
use crate::bundle::Bundle;
use crate::database::database_failure;
use crate::domain::{Epoch, Failure, Kind, Manifest, NodeName, Sequence};

/// Who decides, and why.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    /// The operator's login and machine.
    pub name: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
}

/// What was decided, for the record.
struct Decision<'a> {
    branch: &'a NodeName,
    verdict: &'static str,
    bundle: Option<(Epoch, Sequence)>,
    watermark: Option<&'a str>,
}

impl Decision<'_> {
    fn record(&self, client: &mut impl GenericClient, by: Decider<'_>) -> Result<(), Failure> {
        client
            .execute(
                "INSERT INTO salesync.decision (branch, verdict, epoch, sequence, watermark, reason, decided_by)
                 VALUES ($1, $2, $3, $4, $5, $6, $7 || ' as ' || session_user)",
                &[
                    &self.branch.as_str(),
                    &self.verdict,
                    &self.bundle.map(|(epoch, _)| epoch.0),
                    &self.bundle.map(|(_, sequence)| sequence.as_bigint()),
                    &self.watermark,
                    &by.reason,
                    &by.name,
                ],
            )
            .map(|_| ())
            .map_err(|error| database_failure("recording the decision", &error))
    }
}

/// True if a person has approved the cut that this bundle is a part of.
pub(super) fn approved(client: &mut impl GenericClient, manifest: &Manifest) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT FROM salesync.decision
                              WHERE verdict = 'approve' AND branch = $1 AND epoch = $2 AND watermark = $3)";
    let parameters: [&(dyn postgres::types::ToSql + Sync); 3] =
        [&manifest.branch.as_str(), &manifest.epoch.0, &manifest.cut.watermark];
    let row = client
        .query_one(sql, &parameters)
        .map_err(|error| database_failure("looking up what was approved", &error))?;
    Ok(row.get(0))
}

/// Records that an operator has asked a branch for something.
pub(super) fn record_request_decision(
    client: &mut impl GenericClient,
    branch: &NodeName,
    by: Decider<'_>,
) -> Result<(), Failure> {
    Decision { branch, verdict: "request", bundle: None, watermark: None }.record(client, by)
}

impl Receiver<'_> {
    /// Lets a bundle pass that waits for a person, and with it all parts of its cut. Applies it and what
    /// waits for it.
    pub fn approve(
        &mut self,
        branch: &NodeName,
        sequence: Sequence,
        by: Decider<'_>,
    ) -> Result<Vec<Verdict>, Failure> {
        let doing = format!("approving bundle {sequence} of {branch}");
        let (epoch, hold) = self.held(&doing, branch, sequence)?;
        if !hold.kind.needs_person() {
            return Err(Failure::new(Kind::Usage, doing, format!("nothing is to be decided: {hold}"))
                .hint("`salesync status` shows what is missing; `salesync request` asks the branch for it"));
        }
        let (_, bundle) = self.archived(branch, epoch, sequence)?;
        let watermark = Some(bundle.manifest().cut.watermark.as_str());
        let decision = Decision { branch, verdict: "approve", bundle: Some((epoch, sequence)), watermark };
        decision.record(self.client, by)?;
        self.catch_up(branch, Some(epoch))
    }

    /// Rejects a bundle that is held. The branch is told, and has to begin a new epoch.
    pub fn reject(
        &mut self,
        branch: &NodeName,
        sequence: Sequence,
        by: Decider<'_>,
    ) -> Result<Vec<Verdict>, Failure> {
        let doing = format!("rejecting bundle {sequence} of {branch}");
        let (epoch, _) = self.held(&doing, branch, sequence)?;
        let (path, bundle) = self.archived(branch, epoch, sequence)?;
        let decision =
            Decision { branch, verdict: "reject", bundle: Some((epoch, sequence)), watermark: None };
        decision.record(self.client, by)?;
        let reason = format!("{} has rejected it: {}", by.name, by.reason.unwrap_or("no reason given"));
        let verdict = self.decide(Err(Refusal::Rejected(reason)), &bundle, &path, Source::Archive)?;
        Ok(vec![verdict])
    }

    /// Tries again what was held or rejected and comes next, and what waits for it.
    pub fn retry(&mut self, branch: &NodeName, by: Decider<'_>) -> Result<Vec<Verdict>, Failure> {
        let state = self.state("retrying", branch)?;
        Decision { branch, verdict: "retry", bundle: None, watermark: None }.record(self.client, by)?;
        let mut verdicts = self.catch_up(branch, state.held_epoch)?;
        // A bundle that is applied lets the next one be tried, a rejected one ends it.
        while let Some(path) = self.next_rejected(branch)? {
            let mut draft = self.archive.draft()?;
            File::open(&path)
                .and_then(|mut file| std::io::copy(&mut file, draft.as_file_mut()))
                .map_err(|error| Failure::file("copying the bundle", &path, &error))?;
            let arrival = Arrival { branch: Some(branch), source: Source::Archive };
            let tried = self.receive(draft, arrival)?;
            let goes_on = tried.first().is_some_and(|own| own.outcome == Outcome::Applied);
            verdicts.extend(tried);
            if !goes_on {
                break;
            }
        }
        Ok(verdicts)
    }

    fn state(&mut self, doing: &str, branch: &NodeName) -> Result<BranchState, Failure> {
        let states = branch_states(self.client)?;
        states.into_iter().find(|state| state.name == *branch).ok_or_else(|| {
            Failure::new(Kind::Usage, doing, format!("head office does not know a branch {branch}"))
                .hint("`salesync status` lists the branches")
        })
    }

    /// The hold of a bundle that is held, and its epoch.
    fn held(
        &mut self,
        doing: &str,
        branch: &NodeName,
        sequence: Sequence,
    ) -> Result<(Epoch, super::hold::Hold), Failure> {
        let state = self.state(doing, branch)?;
        let numbers: Vec<String> = state.held.iter().map(|held| held.sequence.to_string()).collect();
        let found = state.held.into_iter().find(|held| held.sequence == sequence.as_bigint());
        if let (Some(epoch), Some(found)) = (state.held_epoch, found) {
            return Ok((epoch, found.hold));
        }
        let why = if numbers.is_empty() {
            "no bundle of this branch is held".to_owned()
        } else {
            format!("it is not held; held: {}", numbers.join(", "))
        };
        Err(Failure::new(Kind::Usage, doing, why)
            .hint("`salesync status` shows what is held; `salesync retry` tries again what was rejected"))
    }

    fn archived(
        &self,
        branch: &NodeName,
        epoch: Epoch,
        sequence: Sequence,
    ) -> Result<(PathBuf, Bundle<File>), Failure> {
        let path = self.archive.file(branch, epoch, sequence);
        let bundle = open_bundle(&path)?;
        Ok((path, bundle))
    }

    /// The newest rejected file whose turn it would be.
    fn next_rejected(&mut self, branch: &NodeName) -> Result<Option<PathBuf>, Failure> {
        let sql = "SELECT DISTINCT ON (epoch, sequence, file) file, incident_id FROM salesync.incident
                   WHERE branch = $1 AND kind = 'rejected' AND resolved_at IS NULL
                     AND file IS NOT NULL AND sequence IS NOT NULL
                   ORDER BY epoch, sequence, file, incident_id DESC";
        let rows = self
            .client
            .query(sql, &[&branch.as_str()])
            .map_err(|error| database_failure("looking for rejected bundles", &error))?;
        let mut files: Vec<(i64, String)> = rows.iter().map(|row| (row.get(1), row.get(0))).collect();
        files.sort_unstable_by(|one, other| other.cmp(one));
        for (_, file) in files {
            // A file that is gone or damaged cannot be tried; the branch has to send it again.
            let Ok(bundle) = open_bundle(Path::new(&file)) else { continue };
            let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
            if manifest.branch == *branch && self.find_place(&manifest, digest)? == Place::Next {
                return Ok(Some(PathBuf::from(file)));
            }
        }
        Ok(None)
    }
}
