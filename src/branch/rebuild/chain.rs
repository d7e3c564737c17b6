//! The bundles of the newest epoch, without a gap.

use std::fs::File;
use std::path::Path;

use chrono::Utc;

use super::DOING;
use crate::archive::{Archive, Filed, survey};
use crate::bundle::Bundle;
use crate::domain::{Distrust, Epoch, Failure, KeyId, KeyRing, Kind, NodeName, Sequence};

/// The bundles of an epoch from the first on, each following the one before it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) epoch: Epoch,
    /// Never empty.
    pub(super) bundles: Vec<Filed>,
}

impl Chain {
    /// The newest epoch of `branch` in `folder`, up to the bundle `to`.
    pub(super) fn find(
        archive: &Archive,
        folder: &Path,
        branch: &NodeName,
        to: Option<Sequence>,
    ) -> Result<Self, Failure> {
        // In an archive there may be many others; only this branch's bundles have to be looked at.
        let own_folder = Some(folder.join(branch.as_str())).filter(|own| own.is_dir());
        let (filed, damaged) = survey(own_folder.as_deref().unwrap_or(folder), archive.identities())?;
        let others: Vec<String> = filed.iter().map(|filed| filed.branch.to_string()).collect();
        let own: Vec<Filed> = filed.into_iter().filter(|filed| filed.branch == *branch).collect();
        let Some(epoch) = own.last().map(|newest| newest.epoch) else {
            return Err(Self::none(folder, branch, others, damaged));
        };
        let mut chain = Self { epoch, bundles: Vec::new() };
        for next in own.into_iter().filter(|filed| filed.epoch == epoch) {
            if to.is_none_or(|to| next.sequence <= to) {
                chain.push(next, &damaged)?;
            }
        }
        chain.check_end(to, &damaged)?;
        for failure in &damaged {
            tracing::warn!("{failure}; it was not needed");
        }
        Ok(chain)
    }

    fn push(&mut self, next: Filed, damaged: &[Failure]) -> Result<(), Failure> {
        let last = self.bundles.last();
        if let Some(last) = last.filter(|last| last.sequence == next.sequence) {
            if last.manifest_sha256 == next.manifest_sha256 {
                return Ok(());
            }
            let (one, other) = (last.path.display(), next.path.display());
            let why = format!("{one} and {other} are both bundle {} of this epoch", next.sequence);
            return Err(Failure::new(Kind::Damaged, DOING, why)
                .hint("move the one that head office does not have out of the folder"));
        }
        let expected = last.map_or(Sequence::FIRST, |last| last.sequence.next());
        if next.sequence != expected {
            return Err(self.missing(expected, damaged));
        }
        if next.previous != last.map(|last| last.manifest_sha256) {
            let why = format!("{} does not follow the bundle before it", next.path.display());
            return Err(Failure::new(Kind::Damaged, DOING, why)
                .hint("one of the two was exchanged; get both from head office's archive"));
        }
        self.bundles.push(next);
        Ok(())
    }

    /// The bundle that was asked for is there, and the first cut, in which all tables travel whole, is not
    /// only begun.
    fn check_end(&self, to: Option<Sequence>, damaged: &[Failure]) -> Result<(), Failure> {
        if let Some(to) = to.filter(|to| *to > self.last_sequence()) {
            return Err(self.missing(to, damaged));
        }
        if self.bundles.iter().any(|bundle| bundle.is_last_part) {
            return Ok(());
        }
        let why = format!(
            "bundle {} is not the last part of the epoch's first cut, so the tables are not whole",
            self.last_sequence()
        );
        Err(Failure::new(Kind::Failed, DOING, why).hint(format!(
            "add the bundles that follow, or move the folder of the epoch {} away to use the one before it",
            self.epoch
        )))
    }

    /// The key that has sealed the last bundle, which vouches for the one before it by its digest, and so for all of them:
    /// older ones may be signed with keys of their time, or not at all. None if no key is known and nothing is signed.
    pub(super) fn check_seal(&self, archive: &Archive, keys: &KeyRing) -> Result<Option<KeyId>, Failure> {
        let Some(last) = self.bundles.last() else { return Ok(None) };
        let mut bundle = open(archive, last)?;
        // Of a branch that signs, whose keys are not known here, nothing can be told.
        let unknown =
            bundle.signature().filter(|_| keys.is_empty()).map(|signed| Distrust::UnknownKey(signed.key()));
        let checked = unknown.map_or_else(|| bundle.check_signature(keys, Utc::now()), Err);
        checked.map_err(|distrust| {
            let why = format!("{}, the last bundle, is not proven to be the branch's: {distrust}", last.path.display());
            Failure::new(Kind::Damaged, DOING, why).hint(match distrust {
                Distrust::UnknownKey(id) => format!(
                    "if the branch has had key {id}, name its public key with --key: head office has it in its configuration, or in branches.d"
                ),
                Distrust::Unsigned => {
                    "get the files from head office's archive, or stop before it with --to; if the branch did not sign \
                     then, take `key` out of [signing] and `public_key` out of [head_office] for this one command"
                        .to_owned()
                }
                _ => "get the files from head office's archive, or stop before it with --to".to_owned(),
            })
        })?;
        Ok(bundle.proven_by())
    }

    /// Everything up to and with the last part of the last whole cut.
    pub(super) fn last_cut(&self) -> Option<Sequence> {
        self.bundles.iter().rfind(|bundle| bundle.is_last_part).map(|bundle| bundle.sequence)
    }

    pub(super) fn last_sequence(&self) -> Sequence {
        self.bundles.last().map_or(Sequence::FIRST, |last| last.sequence)
    }

    pub(super) fn is_at_cut(&self) -> bool {
        self.bundles.last().is_some_and(|last| last.is_last_part)
    }

    fn missing(&self, sequence: Sequence, damaged: &[Failure]) -> Failure {
        const HINT: &str = "get the file from head office's archive, or stop before it with --to";
        let why = format!("bundle {sequence} of the epoch {} is not there", self.epoch);
        match damaged.first() {
            None => Failure::new(Kind::Failed, DOING, why).hint(HINT),
            Some(damage) => Failure::new(damage.kind(), DOING, format!("{why}; {damage}"))
                .hint(damage.advice().filter(|_| damage.kind() != Kind::Damaged).unwrap_or(HINT)),
        }
    }

    fn none(folder: &Path, branch: &NodeName, mut others: Vec<String>, damaged: Vec<Failure>) -> Failure {
        others.dedup();
        let whose =
            if others.is_empty() { String::new() } else { format!(", only of {}", others.join(", ")) };
        let why = format!("there are no bundles of {branch} in {}{whose}", folder.display());
        match damaged.into_iter().next() {
            Some(damage) if others.is_empty() => damage,
            _ => Failure::new(Kind::Usage, DOING, why)
                .hint("name the branch's own archive or head office's, and correct `node` if it is wrong"),
        }
    }
}

/// The bundle that was found, and none that has come into its place since.
pub(super) fn open(archive: &Archive, filed: &Filed) -> Result<Bundle<File>, Failure> {
    let bundle = archive.open(&filed.path)?;
    if bundle.manifest_sha256() == filed.manifest_sha256 {
        return Ok(bundle);
    }
    Err(Failure::new(Kind::Failed, "opening it again", "it has been exchanged meanwhile"))
}
