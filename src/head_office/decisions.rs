//! What a person decides on bundles that are held or rejected. Every decision is recorded with who made it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::{Client, GenericClient, Row};

use super::branches::{BranchState, branch_states};
use super::hold::{Hold, HoldKind};
use super::ledger::{Source, hold_of};
use super::place::Place;
use super::receive::Receiver;
use super::refusal::Refusal;
use super::verdict::{Arrival, Verdict};
use crate::archive::{Archive, arrived_at, open_bundle};
use crate::bundle::Bundle;
use crate::database::database_failure;
use crate::domain::{Epoch, Failure, Kind, Manifest, NodeName, Sequence};
use crate::halt::{self, Step};

/// Who decides, and why.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    /// The operator's login.
    pub name: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// What this bundle, which waits for a person, is held for may pass, with all parts of its cut.
    Approve(Sequence),
    /// This bundle, which is held, is rejected. The branch is told, and has to begin a new epoch.
    Reject(Sequence),
    /// What was held or rejected and comes next is tried again, and what waits for it.
    Retry,
    /// The branch is asked for something.
    Request,
}

impl Ruling {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Reject(_) => "reject",
            Self::Retry => "retry",
            Self::Request => "request",
        }
    }
}

/// The channel on which those who apply hear of decisions.
const CHANNEL: &str = "salesync_decision";

/// A look that waits for nothing at all would not even read from the connection.
const GLANCE: Duration = Duration::from_millis(1);

/// Records a decision, if there is something to decide. Whoever applies carries it out:
/// [`Receiver::carry_out_decisions`].
pub fn decide(
    client: &mut Client,
    archive: &Archive,
    branch: &NodeName,
    ruling: Ruling,
    by: Decider<'_>,
) -> Result<(), Failure> {
    let state = branch_state(client, branch)?;
    let (mut bundle, mut cut) = (None, None);
    if let Ruling::Approve(sequence) | Ruling::Reject(sequence) = ruling {
        let doing = format!("deciding on bundle {sequence} of {branch}");
        let (epoch, hold) = held(&doing, &state, sequence)?;
        if ruling == Ruling::Approve(sequence) && !hold.kind.needs_person() {
            return Err(Failure::new(Kind::Usage, doing, format!("nothing is to be decided: {hold}"))
                .hint("`salesync status` shows what is missing; `salesync request` asks the branch for it"));
        }
        let file = open_bundle(&archive.file(branch, epoch, sequence))?;
        cut = Some((file.manifest().cut.watermark.clone(), hold.kind));
        bundle = Some((epoch, sequence));
    }
    record(client, branch, ruling, bundle, cut.as_ref(), by)?;
    halt::after(Step::DecisionRecorded);
    Ok(())
}

/// The branch as it stands; it is a mistake to name one that is not known.
pub(super) fn branch_state(client: &mut Client, branch: &NodeName) -> Result<BranchState, Failure> {
    branch_states(client)?.into_iter().find(|state| state.name == *branch).ok_or_else(|| {
        let why = format!("head office does not know a branch {branch}");
        Failure::new(Kind::Usage, "deciding", why).hint("`salesync status` lists the branches")
    })
}

/// The epoch of a bundle that is held, and what it waits for.
fn held(doing: &str, state: &BranchState, sequence: Sequence) -> Result<(Epoch, Hold), Failure> {
    let found = state.held.iter().find(|held| held.sequence == sequence.as_bigint());
    if let (Some(epoch), Some(found)) = (state.held_epoch, found) {
        return Ok((epoch, found.hold.clone()));
    }
    let numbers: Vec<String> = state.held.iter().map(|held| held.sequence.to_string()).collect();
    let why = if numbers.is_empty() {
        "no bundle of this branch is held".to_owned()
    } else {
        format!("it is not held; held: {}", numbers.join(", "))
    };
    Err(Failure::new(Kind::Usage, doing, why)
        .hint("`salesync status` shows what is held; `salesync retry` tries again what was rejected"))
}

pub(super) fn record(
    client: &mut impl GenericClient,
    branch: &NodeName,
    ruling: Ruling,
    bundle: Option<(Epoch, Sequence)>,
    cut: Option<&(String, HoldKind)>,
    by: Decider<'_>,
) -> Result<(), Failure> {
    client
        .execute(
            "WITH decision AS (
                 INSERT INTO salesync.decision (branch, verdict, epoch, sequence, watermark, reason, decided_by, carried_out_at,
                                                  hold)
                 VALUES ($1, $2, $3, $4, $5, $6, $7 || ' as ' || session_user,
                         CASE $2 WHEN 'request' THEN clock_timestamp() END, $9))
             SELECT pg_notify($8, '')",
            &[
                &branch.as_str(),
                &ruling.as_str(),
                &bundle.map(|(epoch, _)| epoch.0),
                &bundle.map(|(_, sequence)| sequence.as_bigint()),
                &cut.map(|(watermark, _)| watermark),
                &by.reason,
                &by.name,
                &CHANNEL,
                &cut.map(|(_, hold)| hold.as_str()),
            ],
        )
        .map(|_| ())
        .map_err(|error| database_failure("recording the decision", &error))
}

/// True if a person has approved the cut that this bundle is a part of, seeing that it was held for this, and nobody
/// has rejected a part of it since.
pub(super) fn approved(
    client: &mut impl GenericClient,
    manifest: &Manifest,
    hold: HoldKind,
) -> Result<bool, Failure> {
    let sql = "SELECT coalesce((SELECT verdict = 'approve' FROM salesync.decision
                                WHERE branch = $1 AND epoch = $2 AND watermark = $3 AND (hold = $4 OR verdict = 'reject')
                                ORDER BY decision_id DESC LIMIT 1), false)";
    let Manifest { branch, epoch, cut, .. } = manifest;
    let row = client
        .query_one(sql, &[&branch.as_str(), &epoch.0, &cut.watermark, &hold.as_str()])
        .map_err(|error| database_failure("looking up what was approved", &error))?;
    Ok(row.get(0))
}

/// A decision that has not been carried out.
struct Open {
    id: i64,
    branch: NodeName,
    ruling: Ruling,
    epoch: Option<Epoch>,
    words: String,
}

impl Open {
    /// None if it is of a kind that this program does not know.
    fn of(row: &Row) -> Result<Option<Self>, Failure> {
        let sequence = row.get::<_, Option<i64>>(4).and_then(Sequence::from_bigint);
        let ruling = match (row.get(2), sequence) {
            ("approve", Some(sequence)) => Ruling::Approve(sequence),
            ("reject", Some(sequence)) => Ruling::Reject(sequence),
            ("retry", _) => Ruling::Retry,
            _ => return Ok(None),
        };
        let (by, reason): (&str, Option<&str>) = (row.get(5), row.get(6));
        let words = format!("{by} has rejected it: {}", reason.unwrap_or("no reason given"));
        let epoch = row.get::<_, Option<uuid::Uuid>>(3).map(Epoch);
        Ok(Some(Self { id: row.get(0), branch: row.get::<_, &str>(1).parse()?, ruling, epoch, words }))
    }
}

impl Receiver<'_> {
    /// Asks to be told of decisions.
    pub fn listen_for_decisions(&mut self) -> Result<(), Failure> {
        let listening = self.client.batch_execute(&format!("LISTEN {CHANNEL}"));
        listening.map_err(|error| database_failure("listening for decisions", &error))
    }

    /// True if there was a decision since the last call.
    pub fn hears_of_decision(&mut self) -> Result<bool, Failure> {
        let heard = self.client.notifications().timeout_iter(GLANCE).count();
        heard.map(|heard| heard > 0).map_err(|error| database_failure("listening for decisions", &error))
    }

    /// Carries out what people have decided on the branches that are `meant`, in their order. What cannot be
    /// carried out is told once.
    pub fn carry_out_decisions(
        &mut self,
        meant: impl Fn(&NodeName) -> bool,
    ) -> Result<Vec<Verdict>, Failure> {
        let failed = |error: postgres::Error| database_failure("reading what was decided", &error);
        let sql =
            "SELECT decision_id, branch, verdict, epoch, sequence, decided_by, reason FROM salesync.decision
                   WHERE carried_out_at IS NULL ORDER BY decision_id";
        let mut verdicts = Vec::new();
        for row in self.client.query(sql, &[]).map_err(failed)? {
            let Some(decision) = Open::of(&row)?.filter(|open| meant(&open.branch)) else { continue };
            self.tells_again = true;
            let carried_out = self.carry_out(&decision);
            self.tells_again = false;
            let trouble = match carried_out {
                Ok(found) => {
                    verdicts.extend(found);
                    None
                }
                Err(failure) if failure.kind() == Kind::Unreachable => return Err(failure),
                Err(failure) => {
                    tracing::warn!("what was decided could not be done: {failure}");
                    Some(failure.to_string())
                }
            };
            halt::after(Step::DecisionCarriedOut);
            let done = "UPDATE salesync.decision SET carried_out_at = clock_timestamp(), trouble = $2
                        WHERE decision_id = $1";
            self.client.execute(done, &[&decision.id, &trouble]).map_err(failed)?;
        }
        Ok(verdicts)
    }

    fn carry_out(&mut self, decision: &Open) -> Result<Vec<Verdict>, Failure> {
        let branch = &decision.branch;
        match (decision.ruling, decision.epoch) {
            (Ruling::Reject(sequence), Some(epoch)) => self.reject(branch, epoch, sequence, &decision.words),
            (Ruling::Approve(_), epoch) => self.catch_up(branch, epoch),
            _ => self.retry(branch),
        }
    }

    /// A bundle may have been applied, or decided on, between a decision and its turn.
    fn expect_held(&mut self, bundle: &Bundle<File>) -> Result<(), Failure> {
        let manifest = bundle.manifest();
        let doing = format!("deciding on bundle {} of {}", manifest.sequence, manifest.branch);
        match hold_of(self.client, manifest, bundle.manifest_sha256()) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Failure::new(Kind::NeedsPerson, doing, "it is not held any more")),
            Err(error) => Err(database_failure(doing, &error)),
        }
    }

    /// A run that was killed meanwhile may have put the file aside, and may have recorded that.
    fn reject(
        &mut self,
        branch: &NodeName,
        epoch: Epoch,
        sequence: Sequence,
        words: &str,
    ) -> Result<Vec<Verdict>, Failure> {
        let refusal = || Err(Refusal::Rejected(words.to_owned()));
        let path = self.archive.file(branch, epoch, sequence);
        if path.exists() {
            let bundle = open_bundle(&path)?;
            self.expect_held(&bundle)?;
            return Ok(vec![self.decide(refusal(), &bundle, &path, Source::Archive)?]);
        }
        let mut is_aside = false;
        for aside in self.archive.rejected_files(branch)? {
            let Ok(bundle) = open_bundle(&aside) else { continue };
            let manifest = bundle.manifest();
            if (&manifest.branch, manifest.epoch, manifest.sequence) == (branch, epoch, sequence) {
                if self.expect_held(&bundle).is_ok() {
                    return Ok(vec![self.decide(refusal(), &bundle, &aside, Source::Archive)?]);
                }
                is_aside = true;
            }
        }
        if is_aside { Ok(Vec::new()) } else { open_bundle(&path).map(|_| Vec::new()) }
    }

    fn retry(&mut self, branch: &NodeName) -> Result<Vec<Verdict>, Failure> {
        let state = branch_state(self.client, branch)?;
        let mut verdicts = self.catch_up(branch, state.held_epoch)?;
        // A bundle that is applied lets the next one be tried, a rejected one ends it.
        while let Some(path) = self.next_rejected(branch)? {
            let mut draft = self.archive.draft()?;
            File::open(&path)
                .and_then(|mut file| std::io::copy(&mut file, draft.as_file_mut()))
                .map_err(|error| Failure::file("copying the bundle", &path, &error))?;
            let arrival = Arrival::by_archive(branch, arrived_at(&path)?);
            let tried = self.receive(draft, arrival)?;
            let goes_on = tried.first().is_some_and(|own| own.outcome.is_applied());
            verdicts.extend(tried);
            if !goes_on {
                break;
            }
        }
        Ok(verdicts)
    }

    /// The newest rejected file whose turn it would be.
    fn next_rejected(&mut self, branch: &NodeName) -> Result<Option<PathBuf>, Failure> {
        let sql = "SELECT max(i.incident_id), i.file, i.sequence
                   FROM salesync.incident i JOIN salesync.branch b ON b.name = i.branch
                   WHERE i.branch = $1 AND i.kind = 'rejected' AND i.resolved_at IS NULL AND i.file IS NOT NULL
                     AND (b.epoch IS NULL OR i.epoch > b.epoch OR i.epoch = b.epoch AND i.sequence > b.last_sequence)
                   GROUP BY i.epoch, i.sequence, i.file ORDER BY 1 DESC";
        let rows = self
            .client
            .query(sql, &[&branch.as_str()])
            .map_err(|error| database_failure("looking for rejected bundles", &error))?;
        for row in rows {
            let (file, sequence): (String, i64) = (row.get(1), row.get(2));
            let mut bundle = match open_bundle(Path::new(&file)) {
                Ok(bundle) => bundle,
                Err(failure) => {
                    let again = format!("`salesync request {branch} --resend {sequence}` brings it again");
                    tracing::warn!("{failure}; {again}");
                    continue;
                }
            };
            let arrival = Arrival::by_archive(branch, arrived_at(Path::new(&file))?);
            if let Err(reason) = self.check_origin(&mut bundle, arrival)? {
                tracing::warn!("{file} is not tried again: {reason}");
                continue;
            }
            let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
            if manifest.branch == *branch && self.find_place(&manifest, digest)? == Place::Next {
                return Ok(Some(PathBuf::from(file)));
            }
        }
        Ok(None)
    }
}
