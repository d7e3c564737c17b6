//! What PostgreSQL's catalog says of a table.

use std::collections::BTreeMap;

use postgres::GenericClient;

use super::failure::database_failure;
use crate::domain::{Column, Failure, TableName, orders_as_text, quote_identifier};

/// A table as it is in this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescription {
    /// Its oid, to be passed to the catalog again.
    pub oid: u32,
    /// Its columns in their order, with the types under which they travel.
    pub columns: Vec<Column>,
    /// Its primary key in key order; empty if it has none.
    pub key: Vec<KeyColumn>,
    /// One text per column that tells it from every other the table has had: name, type, number.
    pub shape: Vec<String>,
    /// Why its changes cannot be captured, if so: what it is.
    pub uncapturable: Option<String>,
    /// True if its rows are in partitions.
    pub is_partitioned: bool,
    /// True if it is a partition of another table.
    pub is_partition: bool,
}

/// A column of the primary key, as it is in this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// The type under which it travels.
    pub type_name: String,
    /// Its own type, qualified, ready for SQL.
    pub own_type: String,
    /// ` COLLATE "schema"."name"` if it has a collation, else nothing. Ready for SQL.
    pub collate: String,
    /// Whether somebody's own function makes text of it, or it of text.
    pub has_cast: bool,
}

/// The expression by which keys are grouped, ordered and compared, so that every database does it
/// alike: text in the "C" collation where the type's own order depends on a collation.
pub fn key_order(expression: &str, type_name: &str) -> String {
    if orders_as_text(type_name) {
        format!("({expression})::text COLLATE \"C\"")
    } else {
        expression.to_owned()
    }
}

impl KeyColumn {
    /// [`key_order`] of this column of the row called `row`.
    pub fn order_of(&self, row: &str) -> String {
        key_order(&format!("{row}.{}", quote_identifier(&self.name)), &self.type_name)
    }
}

/// A table, a row for each of its columns. A domain counts as its base type. What travels is a type that every
/// PostgreSQL has and whose text means the same everywhere; any other travels as text.
const TABLE: &str = r"
WITH RECURSIVE relation AS (
    SELECT c.oid, c.relkind = 'p' AS is_partitioned, c.relispartition AS is_partition,
           CASE WHEN c.relkind = 'p' THEN 'a partitioned table'
                WHEN c.relispartition THEN 'a partition'
                WHEN c.relkind <> 'r' THEN 'not an ordinary table'
                WHEN c.relpersistence <> 'p' THEN 'an unlogged or temporary table'
                WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid OR inhrelid = c.oid)
                THEN 'a table with inheritance'
                WHEN EXISTS (SELECT FROM pg_subscription_rel WHERE srrelid = c.oid)
                THEN 'a table that a subscription writes to' END AS uncapturable
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), resolved AS (
    SELECT attrelid, attnum, attname, attcollation, format_type(atttypid, atttypmod) AS own_type, atttypid AS type,
           atttypmod AS modifier
    FROM relation JOIN pg_attribute ON attrelid = oid WHERE attnum > 0 AND NOT attisdropped
  UNION ALL
    SELECT attrelid, attnum, attname, attcollation, own_type, typbasetype,
           CASE WHEN modifier = -1 THEN typtypmod ELSE modifier END
    FROM resolved JOIN pg_type ON pg_type.oid = type WHERE typtype = 'd'
), typed AS (
    SELECT attrelid, attnum, attname, attcollation, own_type, type, modifier,
           typcategory = 'A' AND typelem <> 0 AS is_array,
           CASE WHEN typcategory = 'A' AND typelem <> 0 THEN typelem ELSE type END AS element
    FROM resolved JOIN pg_type ON pg_type.oid = type WHERE typtype <> 'd'
), described AS (
    SELECT attrelid, attnum, attname::text AS name,
           CASE WHEN e.typnamespace = 'pg_catalog'::regnamespace AND e.typtype IN ('b', 'r', 'm')
                     AND e.typname !~ '^(reg|pg_(node|nd|dep|mcv|brin|ddl)|aclitem|gtsvector)'
                THEN format_type(type, modifier)
                WHEN is_array AND e.typdelim = ',' THEN 'text[]' ELSE 'text' END AS type_name,
           (SELECT place FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
            WHERE i.indrelid = attrelid AND i.indisprimary AND k.number = attnum) AS place,
           format('%s/%s/%s', to_json(attname::text), format_type(type, modifier), attnum) AS shape, own_type,
           coalesce((SELECT format(' COLLATE %I.%I', n.nspname, c.collname)
                     FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
                     WHERE c.oid = attcollation), '') AS collate_clause,
           e.typnamespace <> 'pg_catalog'::regnamespace
           AND EXISTS (SELECT FROM pg_cast WHERE castmethod = 'f' AND type IN (castsource, casttarget)
                       AND 'text'::regtype IN (castsource, casttarget)) AS has_cast
    FROM typed JOIN pg_type e ON e.oid = element
)
SELECT oid, uncapturable, is_partitioned, is_partition, name, type_name, place, shape, own_type, collate_clause,
       has_cast
FROM relation LEFT JOIN described ON attrelid = oid ORDER BY attnum";

/// Describes a table; none if there is no such table. The connection is one of
/// [`connect`](fn@super::connect): types are qualified because its search path has no user schema.
pub fn describe(
    client: &mut impl GenericClient,
    name: &TableName,
) -> Result<Option<TableDescription>, Failure> {
    let rows = client
        .query(TABLE, &[&name.schema, &name.table])
        .map_err(|error| database_failure(format!("looking at table {name}"), &error))?;
    let Some(relation) = rows.first() else { return Ok(None) };
    let mut table = TableDescription {
        oid: relation.get(0),
        columns: Vec::new(),
        key: Vec::new(),
        shape: Vec::new(),
        uncapturable: relation.get(1),
        is_partitioned: relation.get(2),
        is_partition: relation.get(3),
    };
    let mut key = BTreeMap::new();
    for row in &rows {
        // A table without columns has one row, without any.
        let Some(name) = row.get::<_, Option<String>>(4) else { continue };
        let (type_name, place): (String, Option<i64>) = (row.get(5), row.get(6));
        if let Some(place) = place {
            let (own_type, collate, has_cast) = (row.get(8), row.get(9), row.get(10));
            let (name, type_name) = (name.clone(), type_name.clone());
            key.insert(place, KeyColumn { name, type_name, own_type, collate, has_cast });
        }
        let place = place.and_then(|place| u16::try_from(place).ok());
        table.columns.push(Column { name, type_name, key: place });
        table.shape.push(row.get(7));
    }
    table.key = key.into_values().collect();
    Ok(Some(table))
}
