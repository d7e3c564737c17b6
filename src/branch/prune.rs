//! Which archived bundles of this branch head office is proven to have.

use postgres::GenericClient;

use super::node::Node;
use crate::archive::{Archive, Proof, Prunable, PruneOptions};
use crate::database::database_failure;
use crate::domain::{Failure, Sequence};

/// The archived bundles that receipts have proven, and that may go.
pub fn prunable_bundles(
    client: &mut impl GenericClient,
    node: &Node,
    archive: &Archive,
    options: PruneOptions,
) -> Result<Vec<Prunable>, Failure> {
    let sql = "SELECT coalesce(max(sequence), 0), coalesce(bool_or(is_last_part), false)
               FROM salesync.bundle WHERE epoch = $1 AND state = 'applied'";
    let row = client
        .query_one(sql, &[&node.epoch.0])
        .map_err(|error| database_failure("reading what head office has confirmed", &error))?;
    let applied_through = Sequence::from_bigint(row.get(0));
    archive.prunable(&node.name, &Proof { epoch: node.epoch, is_whole: row.get(1), applied_through }, options)
}
