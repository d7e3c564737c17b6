//! What the planner has to know of a table that has just been filled.

use postgres::GenericClient;

/// Gathers statistics of a table, by its SQL name. The sample is a tenth of the usual one: it is enough to see that hardly a key comes
/// twice, and takes a few milliseconds. Whoever is at the table, or has no right to it, is not waited for and not asked.
pub fn gather_statistics(client: &mut impl GenericClient, table: &str) -> Result<(), postgres::Error> {
    client.batch_execute(&format!(
        "SET LOCAL default_statistics_target = 10;
         ANALYZE (SKIP_LOCKED) {table};
         SET LOCAL default_statistics_target TO DEFAULT"
    ))
}
