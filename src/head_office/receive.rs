//! A bundle arrives: it is kept, checked, put in its place, and applied if its turn has come.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use postgres::Client;
use tempfile::NamedTempFile;

use super::apply::{Keep, apply, find_place};
use super::enrolment::Enrolment;
use super::hold::{Hold, HoldKind};
use super::ledger::{
    Delivery, IncidentKind, Incoming, Source, fate_of, first_received, hold_of, record_bundle,
    record_incident,
};
use super::place::Place;
use super::policy::Policy;
use super::receipts::{publish_receipts, record_receipt, repeat_receipt};
use super::refusal::{Refusal, judged};
use super::rejection::Grounds;
use super::requests::write_to_branches;
use super::verdict::{Arrival, Outcome, Verdict};
use crate::archive::Archive;
use crate::broker::Broker;
use crate::bundle::{Bundle, ReadError};
use crate::database::database_failure;
use crate::domain::{Digest, Failure, Locked, Manifest, Receipt, ReceiptOutcome, Sequence, legible};
use crate::halt::{self, Step};

/// How long a database that has just failed may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Receives bundles for head office. Whoever has one holds [`Lock::Apply`](crate::database::Lock::Apply), or
/// [shares the work](crate::database::share_work) of who does.
pub struct Receiver<'a> {
    pub(super) client: &'a mut Client,
    pub(super) archive: &'a Archive,
    pub(super) policy: Policy,
    pub(super) enrolment: &'a Enrolment,
    /// Whether what waits in the archive for a bundle is applied with it.
    takes_followers: bool,
    /// Asked before each bundle that waited in the archive: whether it may be its turn now.
    pub(super) may_go_on: Option<&'a dyn Fn() -> bool>,
    /// Whether it is told that a bundle from the archive still waits for the same.
    pub(super) tells_again: bool,
}

impl<'a> Receiver<'a> {
    /// Receives into this database and this archive.
    pub fn new(
        client: &'a mut Client,
        archive: &'a Archive,
        policy: Policy,
        enrolment: &'a Enrolment,
    ) -> Self {
        Self {
            client,
            archive,
            policy,
            enrolment,
            takes_followers: true,
            may_go_on: None,
            tells_again: false,
        }
    }

    /// The same for the one who holds the lock, before there is anybody to share the work: what a killed process
    /// left half-made is removed.
    pub fn alone(
        client: &'a mut Client,
        archive: &'a Archive,
        policy: Policy,
        enrolment: &'a Enrolment,
    ) -> Result<Self, Failure> {
        archive.remove_drafts()?;
        Ok(Self::new(client, archive, policy, enrolment))
    }

    /// The same for bundles that come in their order and up to a chosen one, as in a replay: what follows
    /// one in the archive is left for its own turn.
    #[must_use]
    pub fn one_by_one(mut self) -> Self {
        self.takes_followers = false;
        self
    }

    /// The same, asking before each bundle that waited in the archive whether it may be its turn. Those
    /// left over have it the next time.
    #[must_use]
    pub fn as_long_as(mut self, may_go_on: &'a dyn Fn() -> bool) -> Self {
        self.may_go_on = Some(may_go_on);
        self
    }

    /// Receives one bundle. The first verdict is its own; others follow for bundles that had been
    /// waiting for it. An error means that it could not be tried: it must come again.
    pub fn receive(&mut self, draft: NamedTempFile, arrival: Arrival<'_>) -> Result<Vec<Verdict>, Failure> {
        halt::after(Step::BundleReceived);
        let file = draft.reopen().map_err(|error| Failure::file("opening", draft.path(), &error))?;
        let mut bundle = match Bundle::open_with(file, self.archive.identities()) {
            Ok(bundle) => bundle,
            Err(ReadError::Io(error)) => return Err(Failure::file("reading", draft.path(), &error)),
            Err(ReadError::Defect(defect)) => {
                return self.reject_unread(draft, arrival, Grounds::Content(defect.to_string()));
            }
            // Nobody is at hand who could say which key is missing, and it must not stand in the way of others. It may be
            // readable one day, and what the broker says of it is not kept.
            Err(ReadError::Locked(locked @ Locked::NoneFits(_))) if arrival.source == Source::Queue => {
                let grounds = match self.check_postmark(arrival) {
                    Ok(()) => Grounds::Content(locked.to_string()),
                    Err(reason) => Grounds::Origin(reason),
                };
                return self.reject_unread(draft, arrival, grounds);
            }
            Err(ReadError::Locked(locked)) => return Err(locked.failure("receiving a bundle")),
        };
        let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
        if let Some(queue) = arrival.branch.filter(|branch| **branch != manifest.branch) {
            let reason = format!("it is a bundle of {}, but came in the queue of {queue}", manifest.branch);
            return Ok(vec![self.reject_draft(draft, &bundle, arrival, Grounds::Origin(reason))?]);
        }
        let mut place = self.find_place(&manifest, digest)?;
        let doubt = self.check_origin(&mut bundle, arrival)?.err();
        if let Some(reason) = &doubt
            && place != Place::Duplicate
        {
            let grounds = Grounds::Origin(reason.clone());
            return Ok(vec![self.reject_draft(draft, &bundle, arrival, grounds)?]);
        }
        let mut others = Vec::new();
        if let Place::Later(_) = place {
            others = self.fill_gap(&manifest.branch, Some(manifest.epoch), Some(manifest.sequence))?;
            place = self.find_place(&manifest, digest)?;
        }
        let own = match place {
            Place::Refused(reason) => {
                self.put_copy_aside(&manifest, digest)?;
                self.reject_draft(draft, &bundle, arrival, Grounds::Content(reason))?
            }
            Place::Duplicate => {
                // Whoever has sent it again: what it says is in the tables. Only the archive keeps none but the branch's own.
                if doubt.is_none() {
                    self.keep(draft, &bundle)?;
                }
                self.note_duplicate(&manifest, digest, arrival.source)?
            }
            Place::Later(expected) => {
                let path = self.keep(draft, &bundle)?;
                let hold = self.gap(&manifest, expected)?;
                self.decide(Err(Refusal::Held(hold)), &bundle, &path, arrival.source)?
            }
            Place::Next => {
                let path = self.keep(draft, &bundle)?;
                self.apply(&mut bundle, &path, arrival.source)?
            }
        };
        self.with_followers(own, others, &manifest)
    }

    /// The bundle's own verdict, those that came before it, and those on what had been waiting for it.
    pub(super) fn with_followers(
        &mut self,
        own: Verdict,
        mut others: Vec<Verdict>,
        manifest: &Manifest,
    ) -> Result<Vec<Verdict>, Failure> {
        if self.takes_followers && matches!(own.outcome, Outcome::Applied(_) | Outcome::Duplicate) {
            others.extend(self.catch_up(&manifest.branch, Some(manifest.epoch))?);
        }
        others.insert(0, own);
        Ok(others)
    }

    /// Whether it is proven that the branch has sent this bundle, as far as that has to be; if not, why. What has
    /// been recorded stays proven, also when its key is revoked later.
    pub(super) fn check_origin(
        &mut self,
        bundle: &mut Bundle<File>,
        arrival: Arrival<'_>,
    ) -> Result<Result<(), String>, Failure> {
        let first = first_received(self.client, bundle.manifest(), bundle.manifest_sha256())?;
        let received = first.map_or(arrival.received_at, |first| first.min(arrival.received_at));
        Ok(self.check_postmark(arrival).and_then(|()| self.enrolment.check_seal(bundle, received)))
    }

    /// Whether the broker vouches for it, if it came in a message; if not, why.
    fn check_postmark(&self, arrival: Arrival<'_>) -> Result<(), String> {
        let (Some(branch), Some(postmark)) = (arrival.branch, arrival.postmark) else { return Ok(()) };
        self.enrolment.check_postmark(branch, postmark, arrival.received_at)
    }

    /// Applies a bundle and rolls it back, to see whether it could be applied.
    pub fn rehearse(&mut self, mut bundle: Bundle<File>, arrival: Arrival<'_>) -> Result<Verdict, Failure> {
        let manifest = bundle.manifest().clone();
        let mut place = self.find_place(&manifest, bundle.manifest_sha256())?;
        if let Err(reason) = self.check_origin(&mut bundle, arrival)?
            && place != Place::Duplicate
        {
            place = Place::Refused(reason);
        }
        let outcome = match place {
            Place::Duplicate => Outcome::Duplicate,
            Place::Later(expected) => Outcome::Held(self.gap(&manifest, expected)?),
            Place::Refused(reason) => Outcome::Rejected { reason, is_damaged: false },
            Place::Next => match self.try_apply(&mut bundle, &manifest, Source::File, Keep::RollBack) {
                Ok(outcome) => outcome,
                Err(Refusal::Held(hold)) => Outcome::Held(hold),
                Err(Refusal::Rejected(reason)) => {
                    Outcome::Rejected { reason: legible(&reason), is_damaged: false }
                }
                Err(Refusal::Failed(failure)) => return Err(failure),
            },
        };
        Ok(Verdict::on(&manifest, outcome))
    }

    /// Whether the database answers.
    pub fn is_connected(&mut self) -> bool {
        self.client.is_valid(PATIENCE).is_ok()
    }

    /// Tells the branches what they should know: [`write_to_branches`](super::write_to_branches).
    pub fn write_to_branches(&mut self, broker: &mut Broker) -> Result<(), Failure> {
        write_to_branches(self.client, broker)
    }

    /// Publishes the receipts that no broker has confirmed yet.
    pub fn publish_receipts(&mut self, broker: &mut Broker) -> Result<u64, Failure> {
        publish_receipts(self.client, broker)
    }

    pub(super) fn find_place(&mut self, manifest: &Manifest, digest: Digest) -> Result<Place, Failure> {
        find_place(self.client, manifest, digest)
    }

    pub(super) fn apply(
        &mut self,
        bundle: &mut Bundle<File>,
        path: &Path,
        source: Source,
    ) -> Result<Verdict, Failure> {
        let manifest = bundle.manifest().clone();
        let applied = self.try_apply(bundle, &manifest, source, Keep::Commit);
        self.decide(applied, bundle, path, source)
    }

    fn try_apply(
        &mut self,
        bundle: &mut Bundle<File>,
        manifest: &Manifest,
        source: Source,
        keep: Keep,
    ) -> Result<Outcome, Refusal> {
        let incoming = incoming(bundle, manifest, source);
        apply(self.client, bundle, incoming, self.policy, keep).map(Outcome::Applied)
    }

    /// The verdict on a bundle that is kept at `path`, after what was `tried` with it.
    pub(super) fn decide(
        &mut self,
        tried: Result<Outcome, Refusal>,
        bundle: &Bundle<File>,
        path: &Path,
        source: Source,
    ) -> Result<Verdict, Failure> {
        let manifest = bundle.manifest();
        match tried {
            Ok(outcome) => Ok(Verdict::on(manifest, outcome)),
            Err(Refusal::Failed(failure)) => Err(failure),
            Err(Refusal::Held(hold)) => match self.record_held(bundle, path, source, &hold) {
                Ok(()) => Ok(Verdict::on(manifest, Outcome::Held(hold))),
                Err(refusal) => self.decide(Err(refusal), bundle, path, source),
            },
            Err(Refusal::Rejected(reason)) => {
                self.reject_archived(bundle, path, source, Grounds::Content(reason))
            }
        }
    }

    /// What a bundle waits for that comes before its turn.
    fn gap(&mut self, manifest: &Manifest, expected: Sequence) -> Result<Hold, Failure> {
        let fate = fate_of(self.client, &manifest.branch, manifest.epoch, expected)
            .map_err(|error| database_failure("looking up the bundle before it", &error))?;
        Ok(Hold::new(HoldKind::Gap, &format!("bundle {expected} of {} {fate}", manifest.branch)))
    }

    /// A bundle from the archive that still waits for the same has nothing new to tell.
    fn record_held(
        &mut self,
        bundle: &Bundle<File>,
        path: &Path,
        source: Source,
        hold: &Hold,
    ) -> Result<(), Refusal> {
        let judge = |error: postgres::Error| judged("recording a held bundle", &error);
        let manifest = bundle.manifest();
        let incoming = incoming(bundle, manifest, source);
        let mut transaction = self.client.transaction().map_err(judge)?;
        let is_known =
            hold_of(&mut transaction, manifest, incoming.digest).map_err(judge)?.as_ref() == Some(hold);
        if is_known && source == Source::Archive {
            return Ok(());
        }
        let received_at = record_bundle(&mut transaction, incoming, Some(hold)).map_err(judge)?;
        let digest = incoming.digest;
        delivery(manifest, digest, source, "held", Some(&hold.reason))
            .record(&mut transaction)
            .map_err(judge)?;
        if hold.kind.needs_person() && !is_known {
            let (branch, manifest) = (Some(&manifest.branch), Some(manifest));
            record_incident(&mut transaction, branch, manifest, IncidentKind::Held, &hold.reason, Some(path))
                .map_err(judge)?;
        }
        let receipt = Receipt::new(manifest, digest, received_at, ReceiptOutcome::Held);
        record_receipt(&mut transaction, &receipt.because(&hold.reason))?;
        halt::after(Step::HoldRecorded);
        transaction.commit().map_err(judge)?;
        halt::after(Step::HoldCommitted);
        Ok(())
    }

    fn note_duplicate(
        &mut self,
        manifest: &Manifest,
        digest: Digest,
        source: Source,
    ) -> Result<Verdict, Failure> {
        let failed = |error: postgres::Error| database_failure("recording a duplicate", &error);
        delivery(manifest, digest, source, "duplicate", None).record(self.client).map_err(failed)?;
        halt::after(Step::DuplicateRecorded);
        repeat_receipt(self.client, &manifest.branch, manifest.bundle_id).map_err(failed)?;
        Ok(Verdict::on(manifest, Outcome::Duplicate))
    }
}

fn delivery<'m>(
    manifest: &'m Manifest,
    digest: Digest,
    source: Source,
    outcome: &'m str,
    reason: Option<&'m str>,
) -> Delivery<'m> {
    let (branch, manifest) = (Some(&manifest.branch), Some((manifest, digest)));
    Delivery { branch, manifest, source, outcome, reason, is_proven: true }
}

pub(super) fn incoming<'m>(bundle: &Bundle<File>, manifest: &'m Manifest, source: Source) -> Incoming<'m> {
    let (digest, size, proven_by) = (bundle.manifest_sha256(), bundle.size(), bundle.proven_by());
    Incoming { manifest, digest, size, received_at: Utc::now(), source, proven_by }
}
