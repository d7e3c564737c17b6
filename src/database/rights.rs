//! What the role that salesync runs as may do, and in whose name `init` works.
//!
//! Whatever is made in the schema `salesync` belongs to the schema's owner, whoever runs `init`. So the capture
//! functions have the rights of that role and no others, and `init` can be run by somebody who may do more.

use postgres::error::SqlState;
use postgres::{Client, GenericClient};

use super::failure::database_failure;
use crate::domain::{Failure, Kind, TableName, quote_identifier};

/// Makes the schema `salesync` if there is none.
pub(super) fn make_schema(client: &mut impl GenericClient) -> Result<(), Failure> {
    let doing = "making the schema salesync";
    let failed = |error: postgres::Error| database_failure(doing, &error);
    let sql = "SELECT to_regnamespace('salesync') IS NOT NULL, has_database_privilege(current_database(), 'CREATE'),
                      current_user::text, format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user)";
    let row = client.query_one(sql, &[]).map_err(failed)?;
    if row.get(0) {
        return Ok(());
    }
    if !row.get::<_, bool>(1) {
        let (role, grant): (&str, &str) = (row.get(2), row.get(3));
        return Err(Failure::new(Kind::Permission, doing, format!("the role {role} may not make one"))
            .hint(format!("as a superuser run migrations/roles.sql, which makes it, or {grant};")));
    }
    client.batch_execute("CREATE SCHEMA salesync").map_err(failed)
}

/// The owner of the schema `salesync`, as SQL, if this role may act as that one.
pub fn schema_owner(client: &mut impl GenericClient) -> Result<String, Failure> {
    let doing = "looking whose the schema salesync is";
    let sql =
        "SELECT quote_ident(o.rolname::text), pg_has_role(o.oid, 'MEMBER'), quote_ident(current_user::text)
               FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner WHERE n.nspname = 'salesync'";
    let row = client.query_one(sql, &[]).map_err(|error| database_failure(doing, &error))?;
    let (owner, may_act, role): (String, bool, &str) = (row.get(0), row.get(1), row.get(2));
    if may_act {
        return Ok(owner);
    }
    let why = format!("it belongs to {owner}, and {role} is no member of that role");
    Err(Failure::new(Kind::Permission, doing, why)
        .hint(format!("run the command as {owner}, or GRANT {owner} TO {role};")))
}

/// Does this as the owner of the schema `salesync`.
pub(super) fn as_schema_owner<T>(
    client: &mut Client,
    work: impl FnOnce(&mut Client) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let owner = schema_owner(client)?;
    let failed = |error: postgres::Error| database_failure(format!("acting as {owner}"), &error);
    client.batch_execute(&format!("SET ROLE {owner}")).map_err(failed)?;
    let done = work(client);
    let reset = client.batch_execute("RESET ROLE").map_err(failed);
    done.and_then(|done| reset.map(|()| done))
}

/// What a role lacks to read all of a table.
struct Unreadable {
    role: String,
    /// The statements that grant it; empty if nothing has to be granted.
    grants: String,
    /// Whether row-level security can hide rows from it.
    is_hidden: bool,
}

/// To read a table as it is captured takes the schemas of its key's types and collations, too. Row-level security spares superusers, roles that bypass it, and the table's owner unless it is forced on it.
const UNREADABLE: &str = "
    SELECT quote_ident(r.rolname::text),
           concat_ws('; ',
               (SELECT string_agg(format('GRANT USAGE ON SCHEMA %I TO %I', u.nspname, r.rolname), '; ' ORDER BY u.nspname)
                FROM pg_namespace u WHERE NOT has_schema_privilege(r.oid, u.oid, 'USAGE') AND u.oid IN (
                    SELECT n.oid
                    UNION ALL SELECT unnest(ARRAY[t.typnamespace, l.collnamespace])
                    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
                    WHERE i.indrelid = c.oid AND i.indisprimary)),
               CASE WHEN NOT has_table_privilege(r.oid, c.oid, 'SELECT')
                    THEN format('GRANT SELECT ON %I.%I TO %I', n.nspname, c.relname, r.rolname) END),
           c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls
           AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
    WHERE n.nspname = $1 AND c.relname = $2 AND quote_ident(r.rolname::text) = coalesce($3, quote_ident(current_user::text))";

/// None if the role may read it, or there is no such table: that is told by others. No role is this one.
fn unreadable(
    client: &mut impl GenericClient,
    table: &TableName,
    role: Option<&str>,
) -> Result<Option<Unreadable>, Failure> {
    let row = client
        .query_opt(UNREADABLE, &[&table.schema, &table.table, &role])
        .map_err(|error| database_failure(format!("looking who may read {table}"), &error))?;
    let found = row.map(|row| Unreadable { role: row.get(0), grants: row.get(1), is_hidden: row.get(2) });
    Ok(found.filter(|lacking| lacking.is_hidden || !lacking.grants.is_empty()))
}

impl Unreadable {
    fn failure(&self, table: &TableName) -> Failure {
        let Self { role, grants, is_hidden } = self;
        let doing = format!("making sure that all of {table} can be read");
        if *is_hidden && grants.is_empty() {
            let why = format!("row-level security can hide rows of it from the role {role}");
            return Failure::new(Kind::Permission, doing, why)
                .hint(format!("as a superuser: ALTER ROLE {role} BYPASSRLS;"));
        }
        Failure::new(Kind::Permission, doing, format!("the role {role} may not"))
            .hint(format!("as the owner of the table: {grants};"))
    }
}

/// Fails, naming the right and what grants it, unless this role may read all rows of the table.
pub fn check_readable(client: &mut impl GenericClient, table: &TableName) -> Result<(), Failure> {
    unreadable(client, table, None)?.map_or(Ok(()), |lacking| Err(lacking.failure(table)))
}

/// Grants `role`, which is SQL, what it needs to read the table, if it is not granted yet: somebody who owns the
/// table hands it over to be read.
pub fn make_readable(client: &mut impl GenericClient, table: &TableName, role: &str) -> Result<(), Failure> {
    let Some(lacking) = unreadable(client, table, Some(role))? else { return Ok(()) };
    // Whoever may grant nothing gets an error, or a mere warning.
    if client.batch_execute(&lacking.grants).is_err() {
        return Err(lacking.failure(table));
    }
    unreadable(client, table, Some(role))?.map_or(Ok(()), |lacking| Err(lacking.failure(table)))
}

/// What it means that this table could not be made or changed. If a right is missing it is told what grants it.
pub fn making_failure(
    client: &mut impl GenericClient,
    doing: &str,
    error: &postgres::Error,
    table: &TableName,
) -> Failure {
    const CURE: &str = "
        SELECT CASE WHEN n.oid IS NULL THEN
                   CASE WHEN NOT has_database_privilege(current_database(), 'CREATE')
                        THEN format('CREATE SCHEMA %I AUTHORIZATION %I', w.schema, current_user) END
               WHEN NOT (has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'))
               THEN format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', w.schema, current_user)
               WHEN NOT pg_has_role(c.relowner, 'USAGE')
               THEN format('ALTER TABLE %I.%I OWNER TO %I', w.schema, w.name, current_user) END
        FROM (VALUES ($1::text, $2::text)) AS w (schema, name)
        LEFT JOIN pg_namespace n ON n.nspname = w.schema
        LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name";
    let failure = database_failure(doing, error);
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return failure;
    }
    // If that cannot be asked either, the server's own words have to do.
    let row = client.query_one(CURE, &[&table.schema, &table.table]);
    match row.ok().and_then(|row| row.get::<_, Option<String>>(0)) {
        Some(cure) => failure.hint(format!("as the owner of the database: {cure}; then run this again")),
        None => failure,
    }
}

/// The statement that makes this schema; none if it is there. `IF NOT EXISTS` asks for the right to make schemas all the
/// same.
pub fn schema_statement(client: &mut impl GenericClient, schema: &str) -> Result<String, postgres::Error> {
    let is_there = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    if client.query_one(is_there, &[&schema])?.get(0) {
        return Ok(String::new());
    }
    Ok(format!("CREATE SCHEMA IF NOT EXISTS {}; ", quote_identifier(schema)))
}
