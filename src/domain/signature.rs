//! Who has said something: Ed25519 keys, and what they sign.
//!
//! `bundles/README.md` is the authority on the bytes; this is that text in code.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{SIGNATURE_LENGTH, Signer as _, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::hex::{parse_hex, write_hex};
use super::{ANSWER_FORMAT, BUNDLE_FORMAT, Failure, Kind, PROBE_FORMAT, RECEIPT_FORMAT, REQUEST_FORMAT};

/// What can be signed. A signature of one is none of another, whatever the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signable {
    /// A bundle's `manifest.json`, and with it the bundle.
    Manifest,
    /// Head office's answer to a bundle.
    Receipt,
    /// What head office asks of a branch.
    Request,
    /// A branch's question whether it is heard.
    Probe,
    /// Head office's answer to that.
    Answer,
}

impl Signable {
    /// The bytes that are signed: the format in a line of its own, and then the text itself.
    fn message(self, text: &[u8]) -> Vec<u8> {
        let format = match self {
            Self::Manifest => BUNDLE_FORMAT,
            Self::Receipt => RECEIPT_FORMAT,
            Self::Request => REQUEST_FORMAT,
            Self::Probe => PROBE_FORMAT,
            Self::Answer => ANSWER_FORMAT,
        };
        [format.as_bytes(), b"\n", text].concat()
    }
}

/// Which key: the first 8 bytes of the SHA-256 of the public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key, written `ed25519:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

const PREFIX: &str = "ed25519:";

impl PublicKey {
    /// Which one it is.
    pub fn id(&self) -> KeyId {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    /// Whether the owner of this key has signed just this.
    pub fn has_signed(&self, what: Signable, text: &[u8], signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        signature.key == self.id() && self.0.verify_strict(&what.message(text), &bytes).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        write_hex(f, self.0.as_bytes())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not the text of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// No public key.
    #[error(
        "a public key is `ed25519:` and 64 lower-case hexadecimal digits, as `salesync keygen` prints it"
    )]
    Public,
    /// No private key. What it is instead is nobody's business.
    #[error("it is no Ed25519 private key in PKCS#8 PEM form")]
    Private,
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let bytes = text.strip_prefix(PREFIX).and_then(parse_hex).ok_or(NotAKey::Public)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NotAKey::Public)?;
        // Anybody can sign for a key of small order, and the same point has several texts.
        let is_sound = !key.is_weak() && key.to_edwards().compress().to_bytes() == bytes;
        if is_sound { Ok(Self(key)) } else { Err(NotAKey::Public) }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A signature, and whose it claims to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    key: KeyId,
    bytes: [u8; SIGNATURE_LENGTH],
}

impl Signature {
    /// Its size: the key's id, and 64 bytes of Ed25519.
    pub const SIZE: usize = 8 + SIGNATURE_LENGTH;

    /// Whose it claims to be.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// As it stands in `manifest.sig`.
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut whole = [0; Self::SIZE];
        whole[..8].copy_from_slice(&self.key.0);
        whole[8..].copy_from_slice(&self.bytes);
        whole
    }

    /// As it stands in `manifest.sig`. Whether it is one, only [`PublicKey::has_signed`] can tell.
    pub fn from_bytes(whole: &[u8; Self::SIZE]) -> Self {
        let (mut key, mut bytes) = ([0; 8], [0; SIGNATURE_LENGTH]);
        key.copy_from_slice(&whole[..8]);
        bytes.copy_from_slice(&whole[8..]);
        Self { key: KeyId(key), bytes }
    }

    /// As it stands in a message's header: the same in hexadecimal digits.
    pub fn from_text(text: &str) -> Option<Self> {
        parse_hex(text).map(|whole| Self::from_bytes(&whole))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.to_bytes())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A private key. It is wiped from memory when it is dropped, and nothing prints it.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new one, of the system's randomness.
    pub fn generate() -> Result<Self, Failure> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice())
            .map_err(|error| Failure::new(Kind::Failed, "making a key", error))?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// The key that others know this one by.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs. The same key signs the same always alike.
    pub fn sign(&self, what: Signable, text: &[u8]) -> Signature {
        let bytes = self.0.sign(&what.message(text)).to_bytes();
        Signature { key: self.public().id(), bytes }
    }

    /// Reads PKCS#8 in PEM form, as [`to_pem`](Self::to_pem) and OpenSSL write it.
    pub fn from_pem(text: &str) -> Result<Self, NotAKey> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(text).map(Self).map_err(|_| NotAKey::Private)
    }

    /// PKCS#8 in PEM form, version 1: without the public key, which OpenSSL 3 would not read.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Failure> {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = pair.to_pkcs8_pem(LineEnding::LF);
        pem.map_err(|error| Failure::new(Kind::Failed, "writing a key", error))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key whose 32 secret bytes are all this.
    fn key(byte: u8) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&[byte; 32]))
    }

    #[test]
    fn a_signature_is_good_for_these_bytes_this_key_and_this_kind_of_text_only() {
        let (ours, theirs) = (key(1), key(2));
        let text = br#"{"format":"salesync-bundle/1"}"#;
        let signature = ours.sign(Signable::Manifest, text);
        assert!(ours.public().has_signed(Signable::Manifest, text, &signature));
        assert!(!theirs.public().has_signed(Signable::Manifest, text, &signature));
        for other in [Signable::Receipt, Signable::Request, Signable::Probe, Signable::Answer] {
            assert!(!ours.public().has_signed(other, text, &signature), "{other:?}");
        }
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = *text;
                changed[at] ^= 1 << bit;
                assert!(!ours.public().has_signed(Signable::Manifest, &changed, &signature), "{at}.{bit}");
            }
        }
        assert!(!ours.public().has_signed(Signable::Manifest, &text[1..], &signature));
    }

    #[test]
    fn every_bit_of_a_signature_and_of_its_key_id_counts() {
        let ours = key(1);
        let whole = ours.sign(Signable::Receipt, b"{}").to_bytes();
        for at in 0..Signature::SIZE {
            for bit in 0..8 {
                let mut changed = whole;
                changed[at] ^= 1 << bit;
                let signature = Signature::from_bytes(&changed);
                assert!(!ours.public().has_signed(Signable::Receipt, b"{}", &signature), "{at}.{bit}");
            }
        }
    }

    /// The known values were made by OpenSSL.
    #[test]
    fn the_signed_bytes_are_the_format_in_a_line_and_the_text() {
        assert_eq!(Signable::Manifest.message(b"{}"), b"salesync-bundle/1\n{}");
        assert_eq!(Signable::Receipt.message(b"{}"), b"salesync-receipt/1\n{}");
        assert_eq!(Signable::Request.message(b"{}"), b"salesync-request/1\n{}");
        assert_eq!(key(1).public().to_string(), KNOWN_KEY);
        assert_eq!(key(1).sign(Signable::Manifest, b"{}").to_string(), KNOWN_SIGNATURE);
    }

    const KNOWN_KEY: &str = "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    const KNOWN_SIGNATURE: &str = concat!(
        "34750f98bd59fcfc",
        "63b85512dc6659eaccef4ec51a5be14ef2bd3ca26e903f33c4bfd4ecebc4ed6363eccd48508ef1ac20339394f733e107f5caf63553cef88365e4ab550741c90a"
    );

    #[test]
    fn keys_and_signatures_survive_their_texts_and_nothing_else_is_one() {
        let ours = key(7);
        let text = ours.public().to_string();
        assert_eq!(text.parse::<PublicKey>().unwrap(), ours.public());
        let signature = ours.sign(Signable::Request, b"x");
        assert_eq!(Signature::from_text(&signature.to_string()), Some(signature));
        assert_eq!(Signature::from_bytes(&signature.to_bytes()), signature);
        let digits = &text[PREFIX.len()..];
        for bad in ["", digits, &text.to_uppercase(), &format!("{text}0"), &format!(" {text}")] {
            assert_eq!(bad.parse::<PublicKey>(), Err(NotAKey::Public), "{bad:?} was accepted");
        }
        // The neutral element, a point of order 8, no point at all, and a second text of the neutral element.
        for bad in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "0200000000000000000000000000000000000000000000000000000000000000",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert_eq!(format!("{PREFIX}{bad}").parse::<PublicKey>(), Err(NotAKey::Public), "{bad}");
        }
    }

    #[test]
    fn a_private_key_survives_its_file_and_is_shown_nowhere() {
        let ours = SigningKey::generate().unwrap();
        let pem = ours.to_pem().unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "another form");
        assert_eq!(SigningKey::from_pem(&pem).unwrap().public(), ours.public());
        assert_ne!(SigningKey::generate().unwrap().public(), ours.public());
        let shown = format!("{ours:?}");
        assert_eq!(shown, format!("SigningKey({})", ours.public().id()));
        let body = pem.lines().nth(1).unwrap();
        for bad in ["", body, &pem[..pem.len() / 2], &pem.replace("PRIVATE", "PUBLIC")] {
            let error = SigningKey::from_pem(bad).unwrap_err();
            assert_eq!(error, NotAKey::Private);
            assert!(!error.to_string().contains(&body[..8]));
        }
    }
}
