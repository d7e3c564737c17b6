//! What tells one bundle from every other: id, epoch, sequence, digest.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::{NoContext, Timestamp, Uuid};

use super::hex::{parse_hex, write_hex};

/// The identity of one bundle, a `UUIDv7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BundleId(pub Uuid);

impl BundleId {
    /// A new identity.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One incarnation of a branch's database. Sequences start again at 1 with each. A `UUIDv7`, so that
/// folders of epochs sort in the order in which they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub Uuid);

impl FromStr for Epoch {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl Epoch {
    /// A new epoch.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// A new epoch that sorts after this one, also if the clock has been set back since.
    #[must_use]
    pub fn following(self) -> Self {
        let next = Self::generate();
        if next > self {
            return next;
        }
        let (seconds, nanoseconds) = self.0.get_timestamp().map_or((0, 0), |time| time.to_unix());
        let later = Timestamp::from_unix(NoContext, seconds + 1, nanoseconds);
        Self(Uuid::new_v7(later))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The dense number of a bundle within its branch and epoch, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Sequence(NonZeroU64);

impl Sequence {
    /// The first bundle of an epoch.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The sequence with this number; zero, and what a database's bigint cannot hold, is none.
    pub fn new(number: u64) -> Option<Self> {
        i64::try_from(number).ok()?;
        NonZeroU64::new(number).map(Self)
    }

    /// The number, from 1.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The number as a bigint column holds it.
    pub fn as_bigint(self) -> i64 {
        i64::try_from(self.get()).unwrap_or(i64::MAX)
    }

    /// The sequence that a bigint column holds.
    pub fn from_bigint(number: i64) -> Option<Self> {
        Self::new(u64::try_from(number).ok()?)
    }

    /// The one that follows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that counts no bundle.
#[derive(Debug, thiserror::Error)]
#[error("a sequence is a number from 1 that fits a bigint")]
pub struct NotASequence;

impl TryFrom<u64> for Sequence {
    type Error = NotASequence;

    fn try_from(number: u64) -> Result<Self, NotASequence> {
        Self::new(number).ok_or(NotASequence)
    }
}

impl From<Sequence> for u64 {
    fn from(sequence: Sequence) -> Self {
        sequence.get()
    }
}

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The result of a running hash.
    pub fn from_hasher(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a SHA-256 is 64 lower-case hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        parse_hex(text).map(Self).ok_or(NotADigest)
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_its_text_and_nothing_else_is_one() {
        let digest = Digest::of(b"salesync");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        for bad in ["", "00", &digest.to_string().to_uppercase(), &format!("{digest}0")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_epoch_follows_the_one_before_it_whatever_the_clock_says() {
        let in_the_future = Timestamp::from_unix(NoContext, 4_000_000_000, 0);
        for before in [Epoch::generate(), Epoch(Uuid::new_v7(in_the_future)), Epoch(Uuid::nil())] {
            assert!(before.following() > before);
        }
    }

    #[test]
    fn a_sequence_is_never_zero_and_always_fits_a_bigint() {
        assert_eq!(Sequence::new(0), None);
        assert_eq!(Sequence::new(u64::MAX), None);
        assert_eq!(Sequence::FIRST.next().get(), 2);
        assert_eq!(serde_json::from_str::<Sequence>("7").unwrap().get(), 7);
        for bad in ["0", "-1", "9223372036854775808", "1.0", "\"1\""] {
            assert!(serde_json::from_str::<Sequence>(bad).is_err(), "{bad} was accepted");
        }
    }
}
