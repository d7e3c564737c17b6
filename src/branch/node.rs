//! What the branch's database knows of itself, and whether it is still the one that wrote the last
//! bundle.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use postgres::{Client, GenericClient, Transaction};
use serde::{Deserialize, Serialize};

use super::tracking::tracked_tables;
use crate::archive::{Archive, Placed};
use crate::database::database_failure;
use crate::domain::{Digest, Epoch, Failure, Kind, NodeName, Sequence};
use crate::halt::{self, Step};

/// The branch, as its database knows it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// The incarnation of this database.
    pub epoch: Epoch,
    /// The last bundle that was recorded.
    pub last_sequence: Option<Sequence>,
    /// SHA-256 of its manifest.
    pub last_manifest: Option<Digest>,
    /// The snapshot of the last cut, as `pg_snapshot` prints it.
    pub watermark: Option<String>,
    /// The epoch that the marker named when this one was begun in its place.
    replaces: Option<Epoch>,
    /// The largest message the broker takes, in bytes, if it has refused a larger one.
    pub message_limit: Option<u64>,
}

const DOING: &str = "checking that this database wrote the last bundle";

impl Node {
    /// Reads what is known, and refuses a database that is not the one that was known: a copy, or one
    /// that has gone back in time. After it the marker names the last bundle, so that whatever is
    /// published is known outside the database.
    pub fn load(
        client: &mut impl GenericClient,
        name: &NodeName,
        archive: &Archive,
    ) -> Result<Self, Failure> {
        let node = Self::read(client, name)?;
        Marker::check(archive, &node)?;
        Ok(node)
    }

    /// The same for somebody who only looks: the marker is left as it is.
    pub(super) fn look(
        client: &mut impl GenericClient,
        name: &NodeName,
        archive: &Archive,
    ) -> Result<Self, Failure> {
        let node = Self::read(client, name)?;
        Marker::is_current(archive, &node).map(|_| node)
    }

    fn read(client: &mut impl GenericClient, name: &NodeName) -> Result<Self, Failure> {
        let row = client
            .query_opt(
                "SELECT n.name, n.epoch, n.last_sequence, n.last_manifest, n.watermark::text,
                        n.system_identifier = s.system_identifier AND n.database_oid = d.oid,
                        coalesce(pg_snapshot_xmax(n.watermark) <= pg_snapshot_xmax(pg_current_snapshot()), true),
                        n.replaces, n.message_limit
                 FROM salesync.node n, pg_control_system() s, pg_database d WHERE d.datname = current_database()",
                &[],
            )
            .map_err(|error| database_failure("reading what this branch is", &error))?;
        let row = row.ok_or_else(|| {
            Failure::new(Kind::Configuration, DOING, "no branch is set up in it").hint("run `salesync init`")
        })?;
        let found: &str = row.get(0);
        if found != name.as_str() {
            let why = format!("it belongs to the branch {found}, not to {name}");
            return Err(
                Failure::new(Kind::Configuration, DOING, why).hint("correct `node` or `database.url`")
            );
        }
        if !row.get::<_, bool>(5) {
            return Err(restored("it is a copy in another database or server than the one that did"));
        }
        if !row.get::<_, bool>(6) {
            return Err(restored("its transactions have gone back behind the last cut"));
        }
        let digest: Option<&str> = row.get(3);
        Ok(Self {
            name: name.clone(),
            epoch: Epoch(row.get(1)),
            last_sequence: Sequence::from_bigint(row.get(2)),
            last_manifest: digest.and_then(|text| text.parse().ok()),
            watermark: row.get(4),
            replaces: row.get::<_, Option<uuid::Uuid>>(7).map(Epoch),
            message_limit: row.get::<_, Option<i64>>(8).map(i64::cast_unsigned),
        })
    }

    /// Makes this database a new incarnation: a new epoch, in which every table travels whole again. What
    /// the marker says of the old one does not bind the new one; it stands until the new one is recorded.
    pub(super) fn begin_epoch(
        client: &mut Client,
        name: &NodeName,
        archive: &Archive,
    ) -> Result<(), Failure> {
        let failed = |error: postgres::Error| database_failure("beginning a new epoch", &error);
        let mut transaction = client.transaction().map_err(failed)?;
        Self::renew(&mut transaction, name, archive, None)?;
        transaction.commit().map_err(failed)?;
        halt::after(Step::EpochBegun);
        Self::note(client, name, archive).map(|_| ())
    }

    /// The same in a transaction; [`Node::note`] comes after it. The new epoch follows every one that is known:
    /// the database's, which may have been set back, the marker's, and `known`.
    pub(super) fn renew(
        transaction: &mut Transaction<'_>,
        name: &NodeName,
        archive: &Archive,
        known: Option<Epoch>,
    ) -> Result<(), Failure> {
        let failed = |error: postgres::Error| database_failure("beginning a new epoch", &error);
        let row = transaction.query_one("SELECT epoch FROM salesync.node FOR UPDATE", &[]).map_err(failed)?;
        // One that cannot be read is no reason not to begin anew.
        let marked = Marker::read(archive, name).ok().flatten().map(|marker| marker.epoch);
        let last = [marked, known].into_iter().flatten().fold(Epoch(row.get(0)), Epoch::max);
        transaction
            .execute(
                "UPDATE salesync.node SET epoch = $1, last_sequence = 0, last_manifest = NULL, watermark = NULL,
                        pruned_through = 0, system_identifier = s.system_identifier, database_oid = d.oid, replaces = $2
                 FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()",
                &[&last.following().0, &marked.map(|epoch| epoch.0)],
            )
            .map_err(failed)?;
        let sql = "UPDATE salesync.tracked_table SET is_complete = false";
        transaction.execute(sql, &[]).map_err(failed)?;
        // What is logged by now will be in the tables when they travel whole. On a younger server the old numbers
        // of transactions would come up again and again.
        for table in tracked_tables(transaction)? {
            transaction.execute(&format!("DELETE FROM salesync.log_{}", table.id), &[]).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes down outside the database where it stands, whatever stood there.
    pub(super) fn note(
        client: &mut impl GenericClient,
        name: &NodeName,
        archive: &Archive,
    ) -> Result<Self, Failure> {
        let node = Self::read(client, name)?;
        Marker::write(archive, &node)?;
        Ok(node)
    }
}

/// This database is not, or not any more, the one that wrote the last bundle.
pub(super) fn restored(why: &str) -> Failure {
    Failure::new(Kind::NeedsPerson, DOING, why).hint(
        "if it was restored from a backup, rows that head office has may be missing here, and its bundles would \
         contradict those already sent; mend that first, then run `salesync bundle --since all`, which begins a new \
         epoch and makes head office equal to this database",
    )
}

/// The archive has no marker, though there have been bundles: it is another folder, or another machine.
fn lost(archive: &Archive) -> Failure {
    let root = archive.root().display();
    if !archive.root().is_dir() {
        return Failure::new(Kind::Failed, DOING, format!("the archive {root} is not there"))
            .hint("mount it or put it back; archive.dir must name the folder with this branch's bundles");
    }
    let why = format!("the archive {root} knows of no bundle, but the database does");
    Failure::new(Kind::NeedsPerson, DOING, why).hint(
        "if archive.dir names the wrong folder or its disk is not mounted, mend that; if this is a copy of the branch on \
         another machine, only one of the two may go on; if the archive is lost, run `salesync bundle --since all`, which \
         begins a new epoch and makes head office equal to this database",
    )
}

/// What stands outside the database about its last bundle, which is none where an epoch has only begun.
/// A restored database disagrees with it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    epoch: Epoch,
    sequence: Option<Sequence>,
    manifest_sha256: Option<Digest>,
}

impl Marker {
    fn path(archive: &Archive, branch: &NodeName) -> PathBuf {
        archive.root().join(branch.as_str()).join("last-recorded.json")
    }

    /// What was written down last; none if nothing was.
    fn read(archive: &Archive, branch: &NodeName) -> Result<Option<Self>, Failure> {
        let path = Self::path(archive, branch);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| Failure::file("reading", &path, &error))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::new(Kind::Failed, format!("reading {}", path.display()), error).hint(
                "the file is damaged; if no other sign says that the database was restored, begin a new epoch with \
                 `salesync bundle --since all`",
            )
        })
    }

    /// Refuses a database that knows less than the marker. If it knows more, the marker was only not
    /// written any more, and is now, before anything can be published.
    fn check(archive: &Archive, node: &Node) -> Result<(), Failure> {
        if Self::is_current(archive, node)? { Ok(()) } else { Self::write(archive, node) }
    }

    /// Refuses a database that knows less than the marker. False if it knows more: then the marker is to be written.
    fn is_current(archive: &Archive, node: &Node) -> Result<bool, Failure> {
        let path = Self::path(archive, &node.name);
        let Some(marker) = Self::read(archive, &node.name)? else {
            // The first cut begins with writing it.
            return if node.last_sequence.is_none() { Ok(false) } else { Err(lost(archive)) };
        };
        if (node.epoch, node.last_sequence, node.last_manifest)
            == (marker.epoch, marker.sequence, marker.manifest_sha256)
        {
            return Ok(true);
        }
        let is_behind = node.epoch == marker.epoch && node.last_sequence > marker.sequence;
        let was_replaced = node.last_sequence.is_none() && node.replaces == Some(marker.epoch);
        if is_behind || was_replaced {
            return Ok(false);
        }
        let named = marker
            .sequence
            .map_or_else(|| format!("the epoch {}", marker.epoch), |sequence| format!("bundle {sequence}"));
        let why = format!("{} names {named}, which it does not know", path.display());
        Err(restored(&why))
    }

    /// Writes down the last recorded bundle. It comes after the commit and before the first publish,
    /// so that nothing has ever been sent that the marker does not know of.
    fn write(archive: &Archive, node: &Node) -> Result<(), Failure> {
        let path = Self::path(archive, &node.name);
        let (sequence, manifest_sha256) = (node.last_sequence, node.last_manifest);
        let marker = Self { epoch: node.epoch, sequence, manifest_sha256 };
        let text = serde_json::to_string(&marker)
            .map_err(|error| Failure::new(Kind::Failed, "writing the marker", error))?;
        let mut draft = archive.draft()?;
        draft.write_all(text.as_bytes()).map_err(|error| Failure::file("writing", &path, &error))?;
        archive.replace(draft, &path)
    }
}

/// The bundle file that was sealed is one that was not there before.
pub(super) fn expect_new(placed: Placed, path: &std::path::Path) -> Result<(), Failure> {
    if placed == Placed::New {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Failed,
        format!("storing {}", path.display()),
        "there is another file of that name",
    )
    .hint("two branches must not share an archive folder; move the file away if it is not salesync's"))
}
