//! Whether anything has changed since somebody last looked.

use postgres::Client;

use crate::database::database_failure;
use crate::domain::Failure;

/// A text that is another whenever head office's state is another. Each part is one row of an index, or a table with a
/// row for each branch, or what is open just now; none grows with what was ever applied.
const MARK: &str = "
    SELECT concat_ws('/',
        (SELECT md5(string_agg(b::text, '/' ORDER BY name)) FROM salesync.branch b),
        (SELECT max(delivery_id) FROM salesync.delivery),
        (SELECT max(receipt_id) FROM salesync.receipt),
        (SELECT min(receipt_id) FROM salesync.receipt WHERE published_at IS NULL),
        (SELECT max(incident_id) FROM salesync.incident),
        (SELECT max(decision_id) FROM salesync.decision),
        (SELECT min(decision_id) FROM salesync.decision WHERE carried_out_at IS NULL),
        (SELECT count(*) FROM salesync.sales_backlog),
        (SELECT md5(string_agg(r::text, '/' ORDER BY request_id)) FROM salesync.request r WHERE answered_at IS NULL))";

/// What tells one state of head office from another.
pub fn head_office_mark(client: &mut Client) -> Result<String, Failure> {
    let row = client.query_one(MARK, &[]);
    row.map(|row| row.get(0))
        .map_err(|error| database_failure("looking whether anything has changed", &error))
}
