//! What people have decided is carried out: by whoever applies, or by the one who has decided.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::{Client, Row};

use super::decisions::{CHANNEL, Ruling, branch_state};
use super::enrolment::Enrolment;
use super::ledger::{Source, hold_of};
use super::place::Place;
use super::policy::Policy;
use super::receive::Receiver;
use super::refusal::Refusal;
use super::verdict::{Arrival, Verdict};
use crate::archive::{Archive, arrived_at};
use crate::bundle::Bundle;
use crate::database::{Lock, database_failure, release_lock, take_lock};
use crate::domain::{Epoch, Failure, Kind, NodeName, Sequence, legible};
use crate::halt::{self, Step};

/// A look that waits for nothing at all would not even read from the connection.
const GLANCE: Duration = Duration::from_millis(1);
const READING: &str = "reading what was decided";

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

/// Every decision that has not been carried out, in their order.
fn open_decisions(client: &mut Client) -> Result<Vec<Open>, Failure> {
    let sql =
        "SELECT decision_id, branch, verdict, epoch, sequence, decided_by, reason FROM salesync.decision
               WHERE carried_out_at IS NULL ORDER BY decision_id";
    let rows = client.query(sql, &[]).map_err(|error| database_failure(READING, &error))?;
    rows.iter().filter_map(|row| Open::of(row).transpose()).collect()
}

/// What has become of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarriedOut {
    /// They are carried out: what became of which bundle.
    Here(Vec<Verdict>),
    /// Another one is at work, who, and carries them out.
    LeftTo(String),
}

impl fmt::Display for CarriedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => write!(f, "carried out"),
            // It carries out no decisions.
            Self::LeftTo(who) if who.starts_with("salesync replay") => {
                write!(f, "recorded; {who}, and the next `salesync apply` carries it out")
            }
            Self::LeftTo(_) => write!(f, "recorded; the running apply carries it out"),
        }
    }
}

/// Carries out what was decided, unless another one is at work who does, or has done so with `decision`. What is
/// decided meanwhile is carried out too: whoever decides that finds this one at work.
pub fn carry_out(
    client: &mut Client,
    archive: &Archive,
    policy: Policy,
    enrolment: &Enrolment,
    decision: Option<i64>,
) -> Result<CarriedOut, Failure> {
    let mut verdicts = Vec::new();
    let mut is_done = decision.is_none();
    loop {
        let open = open_decisions(client)?;
        if open.is_empty() {
            let by_another = || CarriedOut::LeftTo("another one was at work".to_owned());
            return Ok(if is_done { CarriedOut::Here(verdicts) } else { by_another() });
        }
        match take_lock(client, Lock::Apply) {
            Ok(()) => {}
            Err(failure) if failure.kind() != Kind::Postponed => return Err(failure),
            Err(_) if is_done && decision.is_some() => return Ok(CarriedOut::Here(verdicts)),
            Err(failure) => return Ok(CarriedOut::LeftTo(failure.why().to_owned())),
        }
        let carried_out = Receiver::alone(client, archive, policy, enrolment)
            .and_then(|mut receiver| receiver.carry_out_open(|_| true));
        let (numbers, found) = match (carried_out, release_lock(client, Lock::Apply)) {
            (Ok(done), Ok(())) => done,
            (Err(failure), _) | (_, Err(failure)) => return Err(failure),
        };
        is_done |= decision.is_some_and(|decision| numbers.contains(&decision));
        verdicts.extend(found);
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
        self.carry_out_open(meant).map(|(_, verdicts)| verdicts)
    }

    /// The same, with the numbers of the decisions.
    fn carry_out_open(
        &mut self,
        meant: impl Fn(&NodeName) -> bool,
    ) -> Result<(Vec<i64>, Vec<Verdict>), Failure> {
        let (mut numbers, mut verdicts) = (Vec::new(), Vec::new());
        for decision in open_decisions(self.client)?.into_iter().filter(|open| meant(&open.branch)) {
            self.tells_again = true;
            let carried_out = self.carry_out(&decision);
            self.tells_again = false;
            let trouble = match carried_out {
                Ok(found) => {
                    verdicts.extend(found);
                    None
                }
                // Somebody else may, or it may later.
                Err(failure) if matches!(failure.kind(), Kind::Unreachable | Kind::Permission) => {
                    return Err(failure);
                }
                Err(failure) => {
                    tracing::warn!("what was decided could not be done: {failure}");
                    Some(legible(&failure.to_string()))
                }
            };
            halt::after(Step::DecisionCarriedOut);
            let done = "UPDATE salesync.decision SET carried_out_at = clock_timestamp(), trouble = $2
                        WHERE decision_id = $1";
            self.client
                .execute(done, &[&decision.id, &trouble])
                .map_err(|error| database_failure("noting that a decision is carried out", &error))?;
            numbers.push(decision.id);
        }
        Ok((numbers, verdicts))
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
            let bundle = self.archive.open(&path)?;
            self.expect_held(&bundle)?;
            return Ok(vec![self.decide(refusal(), &bundle, &path, Source::Archive)?]);
        }
        let mut is_aside = false;
        for aside in self.archive.rejected_files(branch)? {
            let Ok(bundle) = self.archive.open(&aside) else { continue };
            let manifest = bundle.manifest();
            if (&manifest.branch, manifest.epoch, manifest.sequence) == (branch, epoch, sequence) {
                if self.expect_held(&bundle).is_ok() {
                    return Ok(vec![self.decide(refusal(), &bundle, &aside, Source::Archive)?]);
                }
                is_aside = true;
            }
        }
        if is_aside { Ok(Vec::new()) } else { self.archive.open(&path).map(|_| Vec::new()) }
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

    /// The newest rejected file whose turn it would be. What could not be read when it came comes last: for want of a key
    /// that is known by now, perhaps.
    fn next_rejected(&mut self, branch: &NodeName) -> Result<Option<PathBuf>, Failure> {
        let sql = "SELECT max(i.incident_id), i.file, i.sequence, bool_and(i.is_unproven)
                   FROM salesync.incident i JOIN salesync.branch b ON b.name = i.branch
                   WHERE i.branch = $1 AND i.kind = 'rejected' AND i.resolved_at IS NULL AND i.file IS NOT NULL
                     AND (i.sequence IS NULL OR b.epoch IS NULL OR i.epoch > b.epoch
                          OR i.epoch = b.epoch AND i.sequence > b.last_sequence)
                   GROUP BY i.epoch, i.sequence, i.file ORDER BY i.sequence IS NULL, 1 DESC";
        let rows = self
            .client
            .query(sql, &[&branch.as_str()])
            .map_err(|error| database_failure("looking for rejected bundles", &error))?;
        for row in rows {
            let (file, sequence, is_unproven): (String, Option<i64>, bool) =
                (row.get(1), row.get(2), row.get(3));
            let mut bundle = match (self.archive.open(Path::new(&file)), sequence) {
                (Ok(bundle), _) => bundle,
                // It was damaged when it came, and still is.
                (Err(failure), None) if failure.kind() == Kind::Damaged => continue,
                (Err(failure), sequence) => {
                    let again = sequence.map(|sequence| {
                        format!("; `salesync request {branch} --resend {sequence}` brings it again")
                    });
                    tracing::warn!("{failure}{}", again.unwrap_or_default());
                    continue;
                }
            };
            let arrival = Arrival::by_archive(branch, arrived_at(Path::new(&file))?);
            let mut doubt = self.check_origin(&mut bundle, arrival)?.err();
            // What the broker has said against it is not known any more; a signature needs no broker.
            if is_unproven && bundle.proven_by().is_none() {
                doubt = doubt.or_else(|| Some(format!("nothing proves that {branch} has sent it")));
            }
            if let Some(reason) = doubt {
                tracing::warn!("{file} is not tried again: {reason}");
                continue;
            }
            let (manifest, digest) = (bundle.manifest().clone(), bundle.manifest_sha256());
            match self.find_place(&manifest, digest)? {
                Place::Next if manifest.branch == *branch => return Ok(Some(PathBuf::from(file))),
                Place::Duplicate if sequence.is_none() => self.resolve_unread(&file)?,
                _ => {}
            }
        }
        Ok(None)
    }

    /// What could not be read when it came is applied by now.
    fn resolve_unread(&mut self, file: &str) -> Result<(), Failure> {
        let sql = "UPDATE salesync.incident SET resolved_at = clock_timestamp()
                   WHERE file = $1 AND kind = 'rejected' AND sequence IS NULL AND resolved_at IS NULL";
        let resolved = self.client.execute(sql, &[&file]);
        resolved
            .map(drop)
            .map_err(|error| database_failure("noting that a rejected bundle is applied", &error))
    }
}
