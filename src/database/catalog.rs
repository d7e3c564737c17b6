//! What PostgreSQL's catalog says of a table.

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

/// Columns with their types. A domain counts as its base type. What travels is a type that every
/// PostgreSQL has and whose text means the same everywhere; any other travels as text.
const COLUMNS: &str = r"
WITH RECURSIVE resolved AS (
    SELECT attnum, attname, atttypid AS type, atttypmod AS modifier
    FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped
  UNION ALL
    SELECT attnum, attname, typbasetype, CASE WHEN modifier = -1 THEN typtypmod ELSE modifier END
    FROM resolved JOIN pg_type ON pg_type.oid = type WHERE typtype = 'd'
), typed AS (
    SELECT attnum, attname, type, modifier, typcategory = 'A' AND typelem <> 0 AS is_array,
           CASE WHEN typcategory = 'A' AND typelem <> 0 THEN typelem ELSE type END AS element
    FROM resolved JOIN pg_type ON pg_type.oid = type WHERE typtype <> 'd'
)
SELECT attname::text,
       CASE WHEN e.typnamespace = 'pg_catalog'::regnamespace AND e.typtype IN ('b', 'r', 'm')
                 AND e.typname !~ '^(reg|pg_(node|nd|dep|mcv|brin|ddl)|aclitem|gtsvector)'
            THEN format_type(type, modifier)
            WHEN is_array AND e.typdelim = ',' THEN 'text[]' ELSE 'text' END,
       (SELECT place FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
        WHERE i.indrelid = $1 AND i.indisprimary AND k.number = attnum),
       format('%s/%s/%s', to_json(attname::text), format_type(type, modifier), attnum)
FROM typed JOIN pg_type e ON e.oid = element ORDER BY attnum";

const KEY: &str = r"
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attcollation = 0 THEN '' ELSE format(' COLLATE %I.%I', n.nspname, c.collname) END
FROM pg_index i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
LEFT JOIN pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE i.indrelid = $1 AND i.indisprimary ORDER BY k.place";

const RELATION: &str = "
SELECT c.oid,
       CASE WHEN c.relkind = 'p' THEN 'a partitioned table'
            WHEN c.relispartition THEN 'a partition'
            WHEN c.relkind <> 'r' THEN 'not an ordinary table'
            WHEN c.relpersistence <> 'p' THEN 'an unlogged or temporary table'
            WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid OR inhrelid = c.oid)
            THEN 'a table with inheritance' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

/// Describes a table; none if there is no such table. The connection is one of
/// [`connect`](fn@super::connect): types are qualified because its search path has no user schema.
pub fn describe(
    client: &mut impl GenericClient,
    name: &TableName,
) -> Result<Option<TableDescription>, Failure> {
    let failed = |error: postgres::Error| database_failure(format!("looking at table {name}"), &error);
    let Some(relation) = client.query_opt(RELATION, &[&name.schema, &name.table]).map_err(failed)? else {
        return Ok(None);
    };
    let oid: u32 = relation.get(0);
    let rows = client.query(COLUMNS, &[&oid]).map_err(failed)?;
    let columns: Vec<Column> = rows
        .iter()
        .map(|row| {
            let place: Option<i64> = row.get(2);
            Column {
                name: row.get(0),
                type_name: row.get(1),
                key: place.and_then(|place| u16::try_from(place).ok()),
            }
        })
        .collect();
    let travels_as = |name: &str| {
        let column = columns.iter().find(|column| column.name == name);
        column.map(|column| column.type_name.clone()).unwrap_or_default()
    };
    let key = client
        .query(KEY, &[&oid])
        .map_err(failed)?
        .iter()
        .map(|row| KeyColumn {
            name: row.get(0),
            type_name: travels_as(row.get(0)),
            own_type: row.get(1),
            collate: row.get(2),
        })
        .collect();
    let shape = rows.iter().map(|row| row.get(3)).collect();
    Ok(Some(TableDescription { oid, columns, key, shape, uncapturable: relation.get(1) }))
}
