//! Whom a bundle's file is encrypted to, and who can read it: X25519 keys of age (age-encryption.org/v1).
//!
//! `bundles/README.md` says where they stand.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use age::secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Failure, Kind};

/// A public key that files are encrypted to, written `age1` and 58 more characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recipient(age::x25519::Recipient);

impl Recipient {
    /// The key as the library takes it.
    pub fn key(&self) -> &age::x25519::Recipient {
        &self.0
    }
}

/// Not the text of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAgeKey {
    /// No public key.
    #[error("a recipient is `age1` and 58 more characters, as `salesync keygen --encryption` prints it")]
    Recipient,
    /// No private key. What it is instead is nobody's business.
    #[error("it has no private key of age (a line AGE-SECRET-KEY-1…), or a line that is none")]
    Identity,
}

/// Points of small order, whatever their highest bit is: a secret shared with one of them is known to everybody.
const SMALL_ORDER: [[u8; 32]; 7] = [
    with_ends(0, 0, 0),
    with_ends(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];

const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

impl FromStr for Recipient {
    type Err = NotAnAgeKey;

    fn from_str(text: &str) -> Result<Self, NotAnAgeKey> {
        let key = text.parse().map_err(|_| NotAnAgeKey::Recipient)?;
        let (_, mut bytes) = bech32::decode(text).map_err(|_| NotAnAgeKey::Recipient)?;
        // The library would not encrypt to them either, and end the program instead.
        bytes.last_mut().ok_or(NotAnAgeKey::Recipient).map(|last| *last &= 0x7f)?;
        let is_weak = SMALL_ORDER.iter().any(|weak| *weak == bytes[..]);
        if is_weak { Err(NotAnAgeKey::Recipient) } else { Ok(Self(key)) }
    }
}

impl TryFrom<String> for Recipient {
    type Error = NotAnAgeKey;

    fn try_from(text: String) -> Result<Self, NotAnAgeKey> {
        text.parse()
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> Self {
        recipient.to_string()
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A private key that encrypted files are read with. It is wiped from memory when it is dropped, and nothing prints
/// it.
pub struct Identity(age::x25519::Identity);

impl Identity {
    /// A new one, of the system's randomness.
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// What others encrypt to, so that this one can read it.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.0.to_public())
    }

    /// The key as the library takes it.
    pub fn key(&self) -> &dyn age::Identity {
        &self.0
    }

    /// The keys in the text of an identity file of age, one in a line. Lines that begin with `#` are for people.
    pub fn all_in(text: &str) -> Result<Vec<Self>, NotAnAgeKey> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<_> =
            lines.map(|line| line.parse().map(Self)).collect::<Result<_, _>>().map_err(wrong)?;
        if keys.is_empty() { Err(NotAnAgeKey::Identity) } else { Ok(keys) }
    }

    /// The text of an identity file with this key, as `age-keygen` writes it.
    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = self.0.to_string();
        Zeroizing::new(format!("# public key: {}\n{}\n", self.recipient(), secret.expose_secret()))
    }
}

fn wrong(_: &str) -> NotAnAgeKey {
    NotAnAgeKey::Identity
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.recipient())
    }
}

/// The private keys that a node reads encrypted bundles with, or why it has none.
#[derive(Debug, Clone, Default)]
pub struct Identities(Option<Result<Arc<[Identity]>, Failure>>);

impl Identities {
    /// These keys; or why they cannot be had, which matters only where one is needed.
    pub fn new(keys: Result<Vec<Identity>, Failure>) -> Self {
        Self(Some(keys.map(Arc::from)))
    }

    /// The keys, where there is something to read.
    pub fn keys(&self) -> Result<&[Identity], Locked> {
        match &self.0 {
            None => Err(Locked::NoIdentity),
            Some(Ok(keys)) => Ok(keys),
            Some(Err(failure)) => Err(Locked::Unreadable(failure.clone())),
        }
    }
}

/// Why an encrypted bundle cannot be read here. There may be nothing wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// No private key is known.
    #[error("it is encrypted, and there is no private key here to read it with")]
    NoIdentity,
    /// The file with the private keys cannot be read.
    #[error("it is encrypted; {0}")]
    Unreadable(Failure),
    /// So many private keys are known, and none is one of those that it is encrypted to.
    #[error("it is encrypted, and to none of the {0} private keys that are known here")]
    NoneFits(usize),
}

impl Locked {
    /// The failure of whoever was `doing` something with it.
    pub fn failure(&self, doing: impl Into<String>) -> Failure {
        const NAMED: &str =
            "the private key belongs into the file that `identity` in the section [encryption] names";
        match self {
            Self::Unreadable(failure) => {
                let told = Failure::new(failure.kind(), doing, self);
                told.hint(failure.advice().unwrap_or(NAMED))
            }
            Self::NoIdentity => Failure::new(Kind::Permission, doing, self)
                .hint(format!("{NAMED}; `verify` and `inspect` also take it with --identity FILE")),
            Self::NoneFits(_) => Failure::new(Kind::Permission, doing, self).hint(format!(
                "{NAMED}, beside those that are there; or this node is not whom it is meant for"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use bech32::{Bech32, Hrp};

    use super::*;

    #[test]
    fn keys_survive_their_texts_and_nothing_else_is_one() {
        let ours = Identity::generate();
        let text = ours.to_text();
        let read = Identity::all_in(&text).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].recipient(), ours.recipient());
        assert_eq!(ours.recipient().to_string().parse(), Ok(ours.recipient()));
        let two = [text.as_str(), "\n# the next\n", &Identity::generate().to_text()].concat();
        assert_eq!(Identity::all_in(&two).unwrap().len(), 2);
        let secret = text.lines().nth(1).unwrap();
        for bad in ["", "# public key: none\n", &secret[1..], &two.replace("KEY-1", "KEY-2"), "ours\n"] {
            let error = Identity::all_in(bad).unwrap_err();
            assert_eq!(error, NotAnAgeKey::Identity);
            assert!(!error.to_string().contains(&secret[15..]), "the error shows it");
        }
        assert!(!format!("{ours:?}").contains(&secret[15..]), "it is shown");
        let recipient = ours.recipient().to_string();
        for bad in ["", "age1", &recipient[1..], &recipient.replace("age1", "age2"), secret] {
            assert_eq!(bad.parse::<Recipient>(), Err(NotAnAgeKey::Recipient), "{bad:?} was accepted");
        }
    }

    /// To encrypt to one would end the program.
    #[test]
    fn a_recipient_that_everybody_could_read_for_is_none() {
        for weak in SMALL_ORDER {
            for highest in [0, 0x80] {
                let mut bytes = weak;
                bytes[31] |= highest;
                let text = bech32::encode::<Bech32>(Hrp::parse("age").unwrap(), &bytes).unwrap();
                assert!(text.parse::<age::x25519::Recipient>().is_ok(), "{text} is not even a text of a key");
                assert_eq!(text.parse::<Recipient>(), Err(NotAnAgeKey::Recipient), "{text}");
            }
        }
    }
}
