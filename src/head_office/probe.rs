//! A branch asks whether it is heard, and shows its key: head office remembers the key, and answers.

use chrono::{DateTime, Utc};
use postgres::GenericClient;

use super::receive::Receiver;
use crate::broker::{Broker, Delivery};
use crate::database::database_failure;
use crate::domain::{Failure, KeyStanding, Kind, NodeName, Probe, ProbeAnswer, PublicKey};

/// As many keys of a branch are remembered, the newest: whoever has its broker password can show any number.
const MOST_KEYS: i64 = 20;

/// A key that a branch has shown.
#[derive(Debug, Clone)]
pub struct PresentedKey {
    /// The branch.
    pub branch: NodeName,
    /// The key.
    pub key: PublicKey,
    /// When it did last.
    pub presented_at: DateTime<Utc>,
}

impl Receiver<'_> {
    /// Answers a probe that came in this branch's queue. Without an answer of its own it is refused, for the reason
    /// that is returned: nothing proves whose it is.
    pub fn answer_probe(
        &mut self,
        broker: &mut Broker,
        branch: &NodeName,
        delivery: &Delivery,
    ) -> Result<Result<Probe, String>, Failure> {
        let (signature, sender) = (delivery.headers.signature, delivery.user_id.as_deref());
        let probe = match Probe::prove(&delivery.payload, signature.as_ref(), branch, sender) {
            Ok(probe) => probe,
            Err(reason) => return Ok(Err(reason)),
        };
        let doing = format!("answering a probe of {branch}");
        let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
        remember(self.client, &probe).map_err(failed)?;
        let standing = self.enrolment.standing_of(branch, &probe.public_key, Utc::now());
        let answer = serde_json::to_vec(&ProbeAnswer::new(&probe, standing))
            .map_err(|error| Failure::new(Kind::Failed, doing.clone(), error))?;
        broker.publish_answer(branch.as_str(), &probe.nonce.to_string(), &answer)?;
        if standing == KeyStanding::Waiting {
            tracing::warn!(
                "{branch} has shown key {} and waits for it to be confirmed: compare the id by telephone, then \
                 `salesync enroll {branch} --confirm {}`",
                probe.key_id(),
                probe.public_key
            );
        }
        Ok(Ok(probe))
    }
}

fn remember(client: &mut impl GenericClient, probe: &Probe) -> Result<(), postgres::Error> {
    let (branch, key) = (probe.branch.as_str(), probe.public_key.to_string());
    client.execute(
        "INSERT INTO salesync.presented_key (branch, public_key, key_id) VALUES ($1, $2, $3)
         ON CONFLICT (branch, public_key) DO UPDATE SET presented_at = clock_timestamp()",
        &[&branch, &key, &probe.key_id().to_string()],
    )?;
    client.execute(
        "DELETE FROM salesync.presented_key WHERE branch = $1 AND public_key NOT IN (
             SELECT public_key FROM salesync.presented_key WHERE branch = $1 ORDER BY presented_at DESC LIMIT $2)",
        &[&branch, &MOST_KEYS],
    )?;
    Ok(())
}

/// The keys that the branches have shown, the newest first.
pub fn presented_keys(client: &mut impl GenericClient) -> Result<Vec<PresentedKey>, Failure> {
    let sql =
        "SELECT branch, public_key, presented_at FROM salesync.presented_key ORDER BY presented_at DESC";
    let rows = client
        .query(sql, &[])
        .map_err(|error| database_failure("reading the keys that were shown", &error))?;
    let presented = |row: &postgres::Row| {
        let (branch, key) = (row.get::<_, &str>(0).parse().ok()?, row.get::<_, &str>(1).parse().ok()?);
        Some(PresentedKey { branch, key, presented_at: row.get(2) })
    };
    Ok(rows.iter().filter_map(presented).collect())
}
