//! Whose signatures are believed, and when.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{KeyId, PublicKey, Signable, Signature};

/// A key that is believed, for a time or for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// What was received before this is not believed for its sake.
    pub not_before: Option<DateTime<Utc>>,
    /// Nor what was received from then on.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// The keys of one node, as another node knows them. Without any the node is not enrolled, and has to sign
/// nothing, unless it is said from when on it has to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRing {
    keys: Vec<TrustedKey>,
    /// From then on nothing is believed that no key has signed, also while there is none.
    signs_from: Option<DateTime<Utc>>,
}

/// Why a text is not believed to be the node's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// There is no signature.
    #[error("it is not signed")]
    Unsigned,
    /// The signature is another's.
    #[error("it is signed with key {0}, which is none of those that are known")]
    UnknownKey(KeyId),
    /// The signature is none of this text.
    #[error("its signature with key {0} is wrong: it was changed, or somebody else has made it")]
    Forged(KeyId),
    /// It came too early for its key.
    #[error("it is signed with key {0}, which is valid from {at} on only", at = time(.1))]
    NotYet(KeyId, DateTime<Utc>),
    /// It came too late for its key.
    #[error("it is signed with key {0}, which was revoked at {at}, and came after that", at = time(.1))]
    Revoked(KeyId, DateTime<Utc>),
}

impl KeyRing {
    /// These keys.
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self { keys, signs_from: None }
    }

    /// The same; from this moment on everything has to be signed, whether there is a key yet or not.
    #[must_use]
    pub fn signing_from(self, moment: Option<DateTime<Utc>>) -> Self {
        Self { signs_from: moment, ..self }
    }

    /// Keys that are believed for ever.
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let forever = |key| TrustedKey { key, not_before: None, revoked_at: None };
        Self::new(keys.into_iter().map(forever).collect())
    }

    /// The keys, as they are configured.
    pub fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    /// Whether nothing has ever to be signed.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.signs_from.is_none()
    }

    /// Whether the node has to sign what is received at this time: whether it has a key by then, revoked or not.
    pub fn is_enrolled_at(&self, received: DateTime<Utc>) -> bool {
        self.signs_from.is_some_and(|from| from <= received)
            || self.keys.iter().any(|trusted| trusted.not_before.is_none_or(|from| from <= received))
    }

    /// Whether this text, which was `received` at this time by the clock of the one who asks, is the node's. The
    /// key that proves it; none if the node was not enrolled then.
    pub fn check(
        &self,
        what: Signable,
        text: &[u8],
        signature: Option<&Signature>,
        received: DateTime<Utc>,
    ) -> Result<Option<KeyId>, Distrust> {
        if !self.is_enrolled_at(received) {
            return Ok(None);
        }
        let signature = signature.ok_or(Distrust::Unsigned)?;
        let id = signature.key();
        let trusted =
            self.keys.iter().find(|trusted| trusted.key.id() == id).ok_or(Distrust::UnknownKey(id))?;
        if !trusted.key.has_signed(what, text, signature) {
            return Err(Distrust::Forged(id));
        }
        match (trusted.not_before, trusted.revoked_at) {
            (Some(from), _) if received < from => Err(Distrust::NotYet(id, from)),
            (_, Some(end)) if received >= end => Err(Distrust::Revoked(id, end)),
            _ => Ok(Some(id)),
        }
    }
}

fn time(moment: &DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SigningKey;

    fn moment(hour: u32) -> DateTime<Utc> {
        format!("2026-11-21T{hour:02}:00:00Z").parse().unwrap()
    }

    /// What a ring says of a text, signed or not, that was received at this hour.
    fn said(ring: &KeyRing, by: Option<&SigningKey>, hour: u32) -> Result<Option<KeyId>, Distrust> {
        let signature = by.map(|key| key.sign(Signable::Receipt, b"{}"));
        ring.check(Signable::Receipt, b"{}", signature.as_ref(), moment(hour))
    }

    #[test]
    fn without_a_key_everything_is_taken_and_nothing_is_proven() {
        let anybody = SigningKey::generate().unwrap();
        assert_eq!(said(&KeyRing::default(), None, 1), Ok(None));
        assert_eq!(said(&KeyRing::default(), Some(&anybody), 1), Ok(None));
    }

    #[test]
    fn with_a_key_only_its_signature_of_just_this_text_is_taken() {
        let (ours, theirs) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let (id, other) = (ours.public().id(), theirs.public().id());
        let ring = KeyRing::of([ours.public()]);
        assert_eq!(said(&ring, Some(&ours), 1), Ok(Some(id)));
        assert_eq!(said(&ring, None, 1), Err(Distrust::Unsigned));
        assert_eq!(said(&ring, Some(&theirs), 1), Err(Distrust::UnknownKey(other)));
        let signature = ours.sign(Signable::Receipt, b"{}");
        for (what, text) in [(Signable::Receipt, &b"{ }"[..]), (Signable::Request, b"{}")] {
            let found = ring.check(what, text, Some(&signature), moment(1));
            assert_eq!(found, Err(Distrust::Forged(id)), "{what:?}");
        }
    }

    #[test]
    fn who_has_to_sign_and_has_no_key_yet_is_not_believed() {
        let anybody = SigningKey::generate().unwrap();
        let ring = KeyRing::default().signing_from(Some(moment(5)));
        assert!(!ring.is_empty() && KeyRing::default().is_empty());
        assert_eq!(said(&ring, None, 4), Ok(None));
        assert_eq!(said(&ring, None, 5), Err(Distrust::Unsigned));
        assert_eq!(said(&ring, Some(&anybody), 5), Err(Distrust::UnknownKey(anybody.public().id())));
    }

    #[test]
    fn keys_take_turns_and_overlap_as_their_dates_say() {
        let [first, second, third] = [0, 1, 2].map(|_| SigningKey::generate().unwrap());
        let trusted = |key: &SigningKey, from: Option<u32>, end: Option<u32>| TrustedKey {
            key: key.public(),
            not_before: from.map(moment),
            revoked_at: end.map(moment),
        };
        let ring =
            KeyRing::new(vec![trusted(&first, Some(5), Some(12)), trusted(&second, Some(10), Some(20))]);
        let [one, two] = [&first, &second].map(|key| key.public().id());
        // Before the first key there was nothing to sign with.
        assert_eq!(said(&ring, None, 4), Ok(None));
        assert_eq!(said(&ring, Some(&third), 4), Ok(None));
        assert_eq!(said(&ring, None, 5), Err(Distrust::Unsigned));
        assert_eq!(said(&ring, Some(&first), 5), Ok(Some(one)));
        assert_eq!(said(&ring, Some(&second), 9), Err(Distrust::NotYet(two, moment(10))));
        for key in [&first, &second] {
            assert_eq!(said(&ring, Some(key), 11), Ok(Some(key.public().id())));
        }
        assert_eq!(said(&ring, Some(&first), 12), Err(Distrust::Revoked(one, moment(12))));
        assert_eq!(said(&ring, Some(&second), 19), Ok(Some(two)));
        // When all are revoked nothing is taken any more, and not everything.
        for by in [None, Some(&first), Some(&second)] {
            assert!(said(&ring, by, 21).is_err());
        }
    }
}
