//! A partition for each branch: its rows have an index of their business days and a key index to themselves, and
//! loading or rebuilding one branch is nothing to the others.

use postgres::Transaction;

use super::refusal::{Refusal, judged};
use crate::database::gather_statistics;
use crate::domain::{Digest, Manifest, TableName, quote_identifier, quote_literal};

/// How a table that head office makes is divided.
pub(super) const BY_BRANCH: &str = "PARTITION BY LIST (branch)";
/// What PostgreSQL keeps of a name, in bytes.
const LONGEST_NAME: usize = 63;
/// A partition of so many bytes is not read whole for the sake of a few rows.
const LARGE: i64 = 1 << 20;
/// Digits that tell names apart which would be the same.
const DIGITS: usize = 8;

/// The statements that make the partition of the bundle's branch.
///
/// Made first and attached then: `CREATE TABLE ... PARTITION OF` would keep everybody from reading and writing the
/// whole table until the bundle is committed. The table's indexes, keys and triggers come with the attaching.
pub(super) fn create_partition(table: &TableName, partition: &TableName, manifest: &Manifest) -> String {
    let (table, partition, branch) = (table.sql(), partition.sql(), quote_literal(manifest.branch.as_str()));
    format!(
        "CREATE TABLE {partition} (LIKE {table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS \
         INCLUDING STORAGE INCLUDING COMPRESSION); \
         ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES IN ({branch})"
    )
}

/// The partition that has the rows of this branch, all of them and no others, if there is one.
pub(super) fn own_partition(
    transaction: &mut Transaction<'_>,
    table: &TableName,
    branch: &str,
) -> Result<Option<TableName>, Refusal> {
    let sql = "SELECT m.nspname::text, c.relname::text
               FROM pg_namespace n JOIN pg_class t ON t.relnamespace = n.oid
               JOIN pg_partitioned_table p ON p.partrelid = t.oid
               JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = p.partattrs[0]
               JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class c ON c.oid = i.inhrelid
               JOIN pg_namespace m ON m.oid = c.relnamespace
               WHERE n.nspname = $1 AND t.relname = $2 AND p.partstrat = 'l' AND p.partnatts = 1 AND a.attname = 'branch'
                 AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (%L)', $3::text)";
    let row = transaction
        .query_opt(sql, &[&table.schema, &table.table, &branch])
        .map_err(|error| judged("looking for the branch's partition", &error))?;
    Ok(row.map(|row| TableName { schema: row.get(0), table: row.get(1) }))
}

/// Gathers statistics of a branch's partition that has grown without any, before single rows are looked up in it. The
/// planner takes the rows of one branch for few as long as it knows nothing, and would read all of them.
pub(super) fn analyze_once(transaction: &mut Transaction<'_>, partition: &TableName) -> Result<(), Refusal> {
    let doing = format!("gathering statistics of {partition}");
    let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r' AND c.reltuples < 0
                                AND pg_relation_size(c.oid) >= $3)";
    let row = transaction.query_one(sql, &[&partition.schema, &partition.table, &LARGE]);
    if row.map_err(|error| judged(&doing, &error))?.get(0) {
        gather_statistics(transaction, &partition.sql()).map_err(|error| judged(&doing, &error))?;
    }
    Ok(())
}

/// A name for the partition that nothing else has, nor any table of the bundle. The error is a sentence.
pub(super) fn partition_name(
    transaction: &mut Transaction<'_>,
    table: &TableName,
    manifest: &Manifest,
) -> Result<Result<TableName, String>, Refusal> {
    let is_in_bundle = |name: &str| {
        manifest.tables.iter().any(|other| other.name.schema == table.schema && other.name.table == name)
    };
    let names = names(table, manifest.branch.as_str());
    let candidates: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_in_bundle(name)).collect();
    // A table is a type, too.
    let sql = "SELECT c.name FROM unnest($1::text[]) WITH ORDINALITY AS c (name, place)
               WHERE NOT EXISTS (SELECT FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace
                                 WHERE n.nspname = $2 AND r.relname = c.name)
                 AND NOT EXISTS (SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                                 WHERE n.nspname = $2 AND t.typname = c.name)
               ORDER BY c.place LIMIT 1";
    let row = transaction
        .query_opt(sql, &[&candidates, &table.schema])
        .map_err(|error| judged("looking for the name of a partition", &error))?;
    Ok(match row {
        Some(row) => Ok(TableName { schema: table.schema.clone(), table: row.get(0) }),
        None => Err(format!(
            "table {table}: the names for the partition of {} are taken: {}",
            manifest.branch,
            names.map(|name| quote_identifier(&name)).join(", ")
        )),
    })
}

/// `sales_east`. If that is too long or taken: what fits of it, and digits that depend on table and branch.
fn names(table: &TableName, branch: &str) -> [String; 2] {
    let TableName { schema, table } = table;
    let readable = format!("{table}_{branch}");
    let digest = Digest::of(format!("{schema}.{table}/{branch}").as_bytes()).to_string();
    let end = readable.floor_char_boundary(LONGEST_NAME - DIGITS - 1);
    let certain = format!("{}_{}", &readable[..end], &digest[..DIGITS]);
    let readable = if readable.len() > LONGEST_NAME { certain.clone() } else { readable };
    [readable, certain]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(table: &str, branch: &str) -> [String; 2] {
        names(&TableName { schema: "public".to_owned(), table: table.to_owned() }, branch)
    }

    #[test]
    fn a_partition_is_called_after_table_and_branch() {
        assert_eq!(of("sales", "east")[0], "sales_east");
        assert_eq!(of("My Sales", "east-2")[0], "My Sales_east-2");
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let (long, branch) = ("\u{e9}".repeat(31), "b".repeat(63));
        let names = [of(&long, "east"), of(&long, "west"), of(&long, &branch), of(&branch, "east")];
        let mut all: Vec<String> = names.into_iter().flatten().collect();
        assert!(all.iter().all(|name| name.len() <= 63), "{all:?}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "the names of one branch's partition: {all:?}");
    }
}
