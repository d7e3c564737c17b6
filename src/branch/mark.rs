//! Whether anything has changed since somebody last looked.

use postgres::Client;

use crate::database::database_failure;
use crate::domain::Failure;

/// What tells one state of the branch from another: which transactions have written. It is read from memory, however many
/// sales there are. It changes too when somebody writes who has nothing to do with salesync.
pub fn branch_mark(client: &mut Client) -> Result<String, Failure> {
    let row = client.query_one("SELECT pg_current_snapshot()::text", &[]);
    row.map(|row| row.get(0))
        .map_err(|error| database_failure("looking whether anything has changed", &error))
}
