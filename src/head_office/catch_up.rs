//! Bundles that wait in head office's own archive have their turn.

use std::fs::File;
use std::path::Path;

use super::branches::position;
use super::decisions::approved;
use super::hold::HoldKind;
use super::ledger::{Source, forget_held, hold_of};
use super::place::Place;
use super::receive::Receiver;
use super::refusal::Refusal;
use super::rejection::Grounds;
use super::verdict::{Arrival, Outcome, Verdict};
use crate::archive::arrived_at;
use crate::bundle::Bundle;
use crate::database::database_failure;
use crate::domain::{Epoch, Failure, Kind, Manifest, NodeName, Sequence};
use crate::halt::{self, Step};

impl Receiver<'_> {
    /// Applies what waits in the archive for its turn, as far as it goes without a gap, in this epoch or,
    /// if none is named, in the branch's current one and those after it: a database that was restored to an
    /// older state may know nothing of them.
    pub fn catch_up(&mut self, branch: &NodeName, epoch: Option<Epoch>) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = self.fill_gap(branch, epoch, None)?;
        if epoch.is_none() {
            for later in self.archive.epochs(branch)? {
                if position(self.client, branch)?.and_then(|at| at.epoch) < Some(later) {
                    verdicts.extend(self.fill_gap(branch, Some(later), None)?);
                }
            }
        }
        Ok(verdicts)
    }

    /// The same for what comes before the bundle `end`.
    pub(super) fn fill_gap(
        &mut self,
        branch: &NodeName,
        epoch: Option<Epoch>,
        end: Option<Sequence>,
    ) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = Vec::new();
        while let Some(mut bundle) = self.next_archived(branch, epoch)? {
            let Manifest { epoch, sequence, .. } = *bundle.manifest();
            if end.is_some_and(|end| end <= sequence) || self.may_go_on.is_some_and(|may_go_on| !may_go_on())
            {
                break;
            }
            let path = self.archive.file(branch, epoch, sequence);
            let arrival = Arrival::by_archive(branch, arrived_at(&path)?);
            if let Err(reason) = self.check_origin(&mut bundle, arrival)? {
                verdicts.push(self.reject_exchanged(&bundle, &path, reason)?);
                break;
            }
            match self.find_place(bundle.manifest(), bundle.manifest_sha256())? {
                Place::Next => {
                    let verdict = self.apply_waiting(&mut bundle, &path)?;
                    let is_applied = verdict.as_ref().is_some_and(|it| it.outcome.is_applied());
                    verdicts.extend(verdict);
                    if !is_applied {
                        break;
                    }
                }
                Place::Refused(reason) => {
                    verdicts.push(self.decide(
                        Err(Refusal::Rejected(reason)),
                        &bundle,
                        &path,
                        Source::Archive,
                    )?);
                }
                Place::Duplicate | Place::Later(_) => break,
            }
        }
        Ok(verdicts)
    }

    /// Somebody has exchanged a file in the archive, or its key was believed and is not any more. The number is
    /// missing again.
    fn reject_exchanged(
        &mut self,
        bundle: &Bundle<File>,
        path: &Path,
        reason: String,
    ) -> Result<Verdict, Failure> {
        let Manifest { branch, epoch, sequence, .. } = bundle.manifest();
        forget_held(self.client, branch, *epoch, *sequence, None)
            .map_err(|error| database_failure("noting that a held bundle is lost", &error))?;
        self.reject_archived(bundle, path, Source::Archive, Grounds::Origin(reason))
    }

    /// What waits for a person's word is not tried without it; what waits for head office's table is.
    fn apply_waiting(&mut self, bundle: &mut Bundle<File>, path: &Path) -> Result<Option<Verdict>, Failure> {
        let manifest = bundle.manifest();
        let waited_for = hold_of(self.client, manifest, bundle.manifest_sha256())
            .map_err(|error| database_failure("looking up why the bundle is held", &error))?;
        let needs_word = waited_for.as_ref().is_some_and(|hold| hold.kind == HoldKind::Deletion);
        if needs_word && !approved(self.client, manifest, HoldKind::Deletion)? {
            let told_again = waited_for.filter(|_| self.tells_again).map(Outcome::Held);
            return Ok(told_again.map(|held| Verdict::on(manifest, held)));
        }
        let verdict = self.apply(bundle, path, Source::Archive)?;
        let is_news = self.tells_again || waited_for.map(Outcome::Held).as_ref() != Some(&verdict.outcome);
        Ok(is_news.then_some(verdict))
    }

    /// The bundle whose turn it is, if it is in the archive and sound. One that is not sound is not there:
    /// the next good copy takes its place.
    fn next_archived(
        &mut self,
        branch: &NodeName,
        epoch: Option<Epoch>,
    ) -> Result<Option<Bundle<File>>, Failure> {
        let at = position(self.client, branch)?;
        let current = at.and_then(|at| Some((at.epoch?, at.next_sequence())));
        let (epoch, sequence) = match (epoch, current) {
            (Some(epoch), Some((known, next))) if known == epoch => (epoch, next),
            (Some(epoch), _) => (epoch, Sequence::FIRST),
            (None, Some(current)) => current,
            (None, None) => return Ok(None),
        };
        let path = self.archive.file(branch, epoch, sequence);
        let unsound = match self.archive.open(&path) {
            _ if !path.exists() => format!("{} is gone", path.display()),
            Ok(bundle) => {
                let Manifest { branch: whose, epoch: of, sequence: number, .. } = bundle.manifest();
                if (whose, *of, *number) == (branch, epoch, sequence) {
                    return Ok(Some(bundle));
                }
                format!("{} is bundle {number} of {whose}", path.display())
            }
            Err(failure) if failure.kind() == Kind::Damaged => failure.to_string(),
            Err(failure) => return Err(failure),
        };
        let forgotten = forget_held(self.client, branch, epoch, sequence, None)
            .map_err(|error| database_failure("noting that a held bundle is lost", &error))?;
        if forgotten > 0 {
            halt::after(Step::HoldForgotten);
        }
        if forgotten > 0 || path.exists() {
            tracing::warn!("{unsound}; bundle {sequence} of {branch} has to come again");
        }
        Ok(None)
    }
}
