//! Asking head office whether everything on the way to it works, and which key it believes.

use crate::broker::Broker;
use crate::domain::{Failure, Kind, NodeName, Probe, Signable, SigningKey};

/// Publishes a probe, signed with the branch's key. Head office answers it with the receipts:
/// [`Settled::answers`](super::Settled::answers).
pub fn send_probe(broker: &mut Broker, branch: &NodeName, key: &SigningKey) -> Result<Probe, Failure> {
    let probe = Probe::new(branch.clone(), key.public());
    let body =
        serde_json::to_vec(&probe).map_err(|error| Failure::new(Kind::Failed, "writing a probe", error))?;
    let signature = key.sign(Signable::Probe, &body);
    broker.publish_probe(branch.as_str(), &probe.nonce.to_string(), &body, &signature)?;
    Ok(probe)
}
