//! Which branches have keys, and what head office takes as theirs.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use chrono::{DateTime, Utc};

use super::verdict::Postmark;
use crate::bundle::Bundle;
use crate::domain::{Distrust, KeyId, KeyRing, KeyStanding, NodeName, PublicKey};

/// The keys of the branches. One without keys is not enrolled: what comes in its name is taken as its own.
#[derive(Debug, Clone, Default)]
pub struct Enrolment {
    keys: BTreeMap<NodeName, KeyRing>,
    /// From when on a branch's bundles have to be encrypted, where that is so.
    encrypted_from: BTreeMap<NodeName, DateTime<Utc>>,
}

impl Enrolment {
    /// These keys.
    pub fn new(keys: BTreeMap<NodeName, KeyRing>) -> Self {
        Self { keys, encrypted_from: BTreeMap::new() }
    }

    /// The same; what is received of these branches from then on has to be encrypted.
    #[must_use]
    pub fn encrypted_from(self, encrypted_from: BTreeMap<NodeName, DateTime<Utc>>) -> Self {
        Self { encrypted_from, ..self }
    }

    /// The keys of a branch, if it has any.
    pub fn keys_of(&self, branch: &NodeName) -> Option<&KeyRing> {
        self.keys.get(branch).filter(|ring| !ring.is_empty())
    }

    /// How a key that the branch has shown stands at this moment.
    #[must_use]
    pub fn standing_of(&self, branch: &NodeName, key: &PublicKey, now: DateTime<Utc>) -> KeyStanding {
        self.keys.get(branch).map_or(KeyStanding::Waiting, |ring| ring.standing_of(key, now))
    }

    /// Whether the branch has sealed this bundle, which head office received at this time; if not, why that is
    /// not proven. The bundle remembers the key.
    pub(super) fn check_seal<R: Read + Seek>(
        &self,
        bundle: &mut Bundle<R>,
        received: DateTime<Utc>,
    ) -> Result<(), String> {
        let branch = bundle.manifest().branch.clone();
        let is_due = self.encrypted_from.get(&branch).is_some_and(|from| *from <= received);
        if is_due && !bundle.is_encrypted() {
            return Err(format!("it is not encrypted, and what comes of {branch} has to be by now"));
        }
        let Some(ring) = self.keys_of(&branch) else { return Ok(()) };
        bundle.check_signature(ring, received).map_err(|distrust| self.told(&branch, &distrust))
    }

    /// Whether the broker vouches that a message in the queue of a branch was published for it, and if it is enrolled,
    /// by it; if not, why that is not proven.
    pub(super) fn check_postmark(
        &self,
        branch: &NodeName,
        postmark: &Postmark,
        received: DateTime<Utc>,
    ) -> Result<(), String> {
        // Another branch may publish with its own key, and add this one in the headers: the broker lets it.
        if postmark.routing_key != branch.as_str() {
            return Err(format!("it was published as {:?}, and not as {branch}", postmark.routing_key));
        }
        let is_enrolled = self.keys_of(branch).is_some_and(|ring| ring.is_enrolled_at(received));
        match postmark.user.as_deref() {
            _ if !is_enrolled => Ok(()),
            Some(user) if user == branch.as_str() => Ok(()),
            Some(user) => Err(format!("the broker's user {user:?} has published it, and not {branch}")),
            None => {
                Err(format!("its message names no user (user_id), so {branch} may not have published it"))
            }
        }
    }

    fn told(&self, branch: &NodeName, distrust: &Distrust) -> String {
        match distrust {
            Distrust::UnknownKey(id) => match self.owner_of(*id) {
                Some(owner) => format!("it is signed with key {id}, which is {owner}'s and not {branch}'s"),
                None => format!("it is signed with key {id}, which is none of {branch}'s"),
            },
            other => other.to_string(),
        }
    }

    fn owner_of(&self, id: KeyId) -> Option<&NodeName> {
        let has = |ring: &KeyRing| ring.keys().iter().any(|trusted| trusted.key.id() == id);
        self.keys.iter().find(|(_, ring)| has(ring)).map(|(name, _)| name)
    }
}
