//! Sends sealed bundles, oldest first, exactly the bytes that are in the archive.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use postgres::{Client, GenericClient, Row};

use super::node::Node;
use crate::archive::{Archive, digest_of, open_bundle};
use crate::broker::{Broker, OutgoingBundle};
use crate::database::database_failure;
use crate::domain::{BundleId, Epoch, Failure, Identities, Kind, NodeName, Sequence};
use crate::halt::{self, Step};

/// A recorded bundle.
#[derive(Debug, Clone)]
pub struct RecordedBundle {
    /// The branch.
    pub branch: NodeName,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its number.
    pub sequence: Sequence,
    /// Its identity.
    pub bundle_id: BundleId,
    /// SHA-256 of its manifest, as recorded.
    pub manifest_sha256: String,
    /// SHA-256 of its file, if that is encrypted.
    file_sha256: Option<String>,
    /// Inserts and updates in it.
    pub rows: i64,
    /// Tombstones in it.
    pub tombstones: i64,
    /// Size of the file.
    pub bytes: i64,
    /// `sealed`, `published`, `applied`, `held` or `rejected`.
    pub state: String,
    /// The file.
    pub path: PathBuf,
    /// The largest message the broker takes, if that is known to be less than this bundle.
    exceeded_limit: Option<u64>,
}

const BUNDLES: &str =
    "SELECT epoch, sequence, bundle_id, manifest_sha256, row_count, tombstone_count, byte_count, state, file_sha256
                       FROM salesync.bundle WHERE epoch = $1";

/// The bundles of the current epoch that no broker has confirmed yet, oldest first. One that was recorded after
/// `node` was loaded is not among them: the marker does not know of it.
pub fn pending_bundles(
    client: &mut impl GenericClient,
    node: &Node,
    archive: &Archive,
) -> Result<Vec<RecordedBundle>, Failure> {
    let rows = client
        .query(
            &format!("{BUNDLES} AND sequence <= $2 AND state = 'sealed' ORDER BY sequence"),
            &[&node.epoch.0, &node.last_sequence.map_or(0, Sequence::as_bigint)],
        )
        .map_err(|error| database_failure("reading the pending bundles", &error))?;
    let with_limit = |bundle: RecordedBundle| RecordedBundle {
        exceeded_limit: node.message_limit.filter(|limit| *limit < bundle.bytes.cast_unsigned()),
        ..bundle
    };
    Ok(rows.iter().filter_map(|row| recorded(row, node, archive)).map(with_limit).collect())
}

/// The bundles with these numbers. It is an error if one is not recorded. Whoever asks for them means them to be
/// sent, also if the broker has refused one as too large before.
pub fn numbered_bundles(
    client: &mut impl GenericClient,
    node: &Node,
    archive: &Archive,
    first: Sequence,
    last: Sequence,
) -> Result<Vec<RecordedBundle>, Failure> {
    let doing = if first == last {
        format!("looking for bundle {first}")
    } else {
        format!("looking for the bundles {first} to {last}")
    };
    let rows = client
        .query(
            &format!("{BUNDLES} AND sequence BETWEEN $2 AND $3 ORDER BY sequence"),
            &[&node.epoch.0, &first.as_bigint(), &last.as_bigint()],
        )
        .map_err(|error| database_failure(doing.clone(), &error))?;
    let wanted = (last.get() + 1).saturating_sub(first.get());
    if rows.len() as u64 == wanted {
        return Ok(rows.iter().filter_map(|row| recorded(row, node, archive)).collect());
    }
    let why = match (wanted, rows.len()) {
        (1, _) => "it is not recorded in the current epoch".to_owned(),
        (_, found) => format!("only {found} of these {wanted} are recorded in the current epoch"),
    };
    Err(Failure::new(Kind::Usage, doing, why).hint("`salesync status` shows the last one"))
}

fn recorded(row: &Row, node: &Node, archive: &Archive) -> Option<RecordedBundle> {
    let sequence = Sequence::from_bigint(row.get(1))?;
    Some(RecordedBundle {
        branch: node.name.clone(),
        epoch: Epoch(row.get(0)),
        sequence,
        bundle_id: BundleId(row.get(2)),
        manifest_sha256: row.get(3),
        rows: row.get(4),
        tombstones: row.get(5),
        bytes: row.get(6),
        state: row.get(7),
        file_sha256: row.get(8),
        path: archive.file(&node.name, node.epoch, sequence),
        exceeded_limit: None,
    })
}

/// Publishes one bundle and, once the broker has confirmed it, notes that. One that the broker is known to refuse
/// is not sent: it would be refused only after it was uploaded.
pub fn publish(client: &mut Client, broker: &mut Broker, bundle: &mut RecordedBundle) -> Result<(), Failure> {
    if let Some(limit) = bundle.exceeded_limit {
        let doing = format!("publishing bundle {} of {}", bundle.sequence, bundle.branch);
        let why = format!("the broker takes at most {limit} bytes, the bundle has {}", bundle.bytes);
        return Err(too_large(Failure::new(Kind::Configuration, doing, why), bundle));
    }
    let begun = Instant::now();
    send(client, broker, bundle)?;
    halt::after(Step::BundleConfirmed);
    let sql = "UPDATE salesync.bundle
               SET published_at = clock_timestamp() - make_interval(secs => $3), confirmed_at = clock_timestamp(),
                   is_told = false, state = CASE state WHEN 'sealed' THEN 'published' ELSE state END
               WHERE epoch = $1 AND sequence = $2";
    client
        .execute(sql, &[&bundle.epoch.0, &bundle.sequence.as_bigint(), &begun.elapsed().as_secs_f64()])
        .map_err(|error| database_failure("noting that the bundle is published", &error))?;
    halt::after(Step::BundlePublished);
    if bundle.state == "sealed" {
        "published".clone_into(&mut bundle.state);
    }
    Ok(())
}

/// Sends the file, and notes what that says about the largest message the broker takes: the next run does not
/// upload in vain, and the next cut makes bundles that pass.
fn send(client: &mut Client, broker: &mut Broker, bundle: &RecordedBundle) -> Result<(), Failure> {
    let payload = read_verified(bundle)?;
    let confirmed = broker.publish_bundle(&OutgoingBundle {
        branch: bundle.branch.as_str(),
        bundle_id: &bundle.bundle_id.to_string(),
        epoch: &bundle.epoch.to_string(),
        sequence: bundle.sequence.get(),
        manifest_sha256: &bundle.manifest_sha256,
        payload: &payload,
    });
    let exceeded = broker.message_limit().filter(|limit| *limit < bundle.bytes.cast_unsigned());
    let (sql, bytes) = match (&confirmed, exceeded) {
        (Ok(()), _) => {
            ("UPDATE salesync.node SET message_limit = NULL WHERE message_limit < $1", bundle.bytes)
        }
        (Err(_), Some(limit)) => ("UPDATE salesync.node SET message_limit = $1", limit.cast_signed()),
        (Err(_), None) => return confirmed,
    };
    client
        .execute(sql, &[&bytes])
        .map_err(|error| database_failure("noting what the broker takes", &error))?;
    confirmed.map_err(|failure| too_large(failure, bundle))
}

fn too_large(failure: Failure, bundle: &RecordedBundle) -> Failure {
    failure.hint(format!(
        "raise max_message_size in the broker's rabbitmq.conf and run `salesync resend {}`; or set bundle.max_bytes \
         below this limit and run `salesync bundle --since all`, which begins a new epoch and sends everything in \
         smaller bundles",
        bundle.sequence
    ))
}

/// Brings the bundle's state up to what head office has answered by now.
pub fn renew_state(client: &mut Client, bundle: &mut RecordedBundle) -> Result<(), Failure> {
    let sql = "SELECT state FROM salesync.bundle WHERE bundle_id = $1";
    let row = client
        .query_one(sql, &[&bundle.bundle_id.0])
        .map_err(|error| database_failure("looking at what became of the bundle", &error))?;
    bundle.state = row.get(0);
    Ok(())
}

/// What lay on a disk for a while is looked at again before it is sent.
fn read_verified(bundle: &RecordedBundle) -> Result<Vec<u8>, Failure> {
    check_file(bundle)?;
    fs::read(&bundle.path).map_err(|error| Failure::file("reading", &bundle.path, &error))
}

/// The file is whole, and the one that was recorded. An encrypted one the branch need not be able to read: the hash of
/// all its bytes says the same.
pub(super) fn check_file(bundle: &RecordedBundle) -> Result<(), Failure> {
    const MEND: &str = "put the right file back from a copy, or run `salesync bundle --since all`, which begins a \
                        new epoch and sends everything";
    let (found, recorded) = match &bundle.file_sha256 {
        Some(recorded) => (digest_of(&bundle.path), recorded),
        None => (
            open_bundle(&bundle.path, &Identities::default()).map(|bundle| bundle.manifest_sha256()),
            &bundle.manifest_sha256,
        ),
    };
    if found.map_err(|failure| failure.hint(MEND))?.to_string() != *recorded {
        let doing = format!("checking {}", bundle.path.display());
        let why = "it is not the bundle that was recorded under this number";
        return Err(Failure::new(Kind::Damaged, doing, why).hint(MEND));
    }
    Ok(())
}
