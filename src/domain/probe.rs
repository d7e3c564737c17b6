//! A branch's question whether everything between it and head office works, and head office's answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Distrust, KeyId, KeyRing, NodeName, PublicKey, Signable, Signature};

/// The format of probes: the one that this program writes, and the only one it reads.
pub const PROBE_FORMAT: &str = "salesync-probe/1";
/// The same of answers.
pub const ANSWER_FORMAT: &str = "salesync-answer/1";

/// More than any probe or answer needs, in bytes.
const LONGEST: usize = 4096;

/// A branch asks whether it is heard, and shows its key. It goes the way of the bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// [`PROBE_FORMAT`].
    pub format: String,
    /// The branch.
    pub branch: NodeName,
    /// Its identity, which the answer repeats.
    pub nonce: Uuid,
    /// The key that the branch signs with, this too.
    pub public_key: PublicKey,
    /// The branch's clock when it was made.
    pub sent_at: DateTime<Utc>,
}

/// Head office's answer to a probe. It comes with the receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeAnswer {
    /// [`ANSWER_FORMAT`].
    pub format: String,
    /// The branch it is for.
    pub branch: NodeName,
    /// The probe's.
    pub nonce: Uuid,
    /// How head office holds the key that was shown.
    pub standing: KeyStanding,
    /// Head office's clock when it answered.
    pub answered_at: DateTime<Utc>,
}

/// How a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStanding {
    /// It counts.
    Confirmed,
    /// Nobody has confirmed it yet.
    Waiting,
    /// It has been revoked.
    Revoked,
}

impl KeyStanding {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Waiting => "waiting",
            Self::Revoked => "revoked",
        }
    }
}

impl Probe {
    /// A probe made now.
    pub fn new(branch: NodeName, public_key: PublicKey) -> Self {
        let format = PROBE_FORMAT.to_owned();
        Self { format, branch, nonce: Uuid::now_v7(), public_key, sent_at: Utc::now() }
    }

    /// Reads a probe of this branch, which the broker's user `sender` has published, and proves that whoever
    /// made it has the key that it shows.
    pub fn prove(
        bytes: &[u8],
        signature: Option<&Signature>,
        branch: &NodeName,
        sender: Option<&str>,
    ) -> Result<Self, String> {
        let probe: Self = read(bytes, PROBE_FORMAT, |probe: &Self| &probe.format)?;
        if probe.branch != *branch {
            return Err(format!("it is a probe of {}, but came in the queue of {branch}", probe.branch));
        }
        if sender != Some(branch.as_str()) {
            let user = sender.map_or_else(|| "nobody".to_owned(), |user| format!("the user {user:?}"));
            return Err(format!("the broker says that {user} has published it, and not {branch}"));
        }
        let Some(signature) = signature else { return Err(Distrust::Unsigned.to_string()) };
        if !probe.public_key.has_signed(Signable::Probe, bytes, signature) {
            return Err(Distrust::Forged(signature.key()).to_string());
        }
        Ok(probe)
    }

    /// Which key it shows.
    pub fn key_id(&self) -> KeyId {
        self.public_key.id()
    }
}

impl ProbeAnswer {
    /// The answer, made now.
    pub fn new(probe: &Probe, standing: KeyStanding) -> Self {
        let (branch, nonce) = (probe.branch.clone(), probe.nonce);
        Self { format: ANSWER_FORMAT.to_owned(), branch, nonce, standing, answered_at: Utc::now() }
    }

    /// Reads an answer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        read(bytes, ANSWER_FORMAT, |answer: &Self| &answer.format)
    }
}

impl KeyRing {
    /// How a key stands at this moment.
    pub fn standing_of(&self, key: &PublicKey, now: DateTime<Utc>) -> KeyStanding {
        match self.keys().iter().find(|trusted| trusted.key == *key) {
            Some(trusted) if trusted.revoked_at.is_some_and(|end| end <= now) => KeyStanding::Revoked,
            Some(_) => KeyStanding::Confirmed,
            None => KeyStanding::Waiting,
        }
    }
}

fn read<'b, T: Deserialize<'b>>(
    bytes: &'b [u8],
    known: &str,
    format: impl Fn(&T) -> &String,
) -> Result<T, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it has {} bytes, and none has more than {LONGEST}", bytes.len()));
    }
    let text: T = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if format(&text) != known {
        return Err(format!("its format is {:?}, this program reads {known}", format(&text)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SigningKey;

    #[test]
    fn a_probe_proves_its_key_for_its_own_branch_and_broker_user_only() {
        let (ours, theirs) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let [east, west]: [NodeName; 2] = ["east", "west"].map(|name| name.parse().unwrap());
        let probe = Probe::new(east.clone(), ours.public());
        let bytes = serde_json::to_vec(&probe).unwrap();
        let signature = ours.sign(Signable::Probe, &bytes);
        assert_eq!(Probe::prove(&bytes, Some(&signature), &east, Some("east")), Ok(probe));
        let refused =
            |bytes: &[u8], signature: Option<&Signature>, queue: &NodeName, sender: Option<&str>| {
                Probe::prove(bytes, signature, queue, sender).unwrap_err()
            };
        assert!(refused(&bytes, Some(&signature), &west, Some("west")).contains("queue of west"));
        assert!(refused(&bytes, Some(&signature), &east, Some("west")).contains("\"west\" has published it"));
        assert!(refused(&bytes, Some(&signature), &east, None).contains("nobody has published it"));
        assert!(refused(&bytes, None, &east, Some("east")).contains("not signed"));
        for wrong in [theirs.sign(Signable::Probe, &bytes), ours.sign(Signable::Answer, &bytes)] {
            assert!(refused(&bytes, Some(&wrong), &east, Some("east")).contains("is wrong"));
        }
        let long = vec![b' '; LONGEST + 1];
        assert!(refused(&long, Some(&signature), &east, Some("east")).contains("4097 bytes"));
        assert!(refused(b"{}", Some(&signature), &east, Some("east")).contains("missing field"));
    }
}
