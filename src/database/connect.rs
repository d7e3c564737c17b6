//! Opens connections that print and read every value the same way on every server.

use std::time::Duration;

use postgres::{Client, Config};

use super::encryption::open;
use super::failure::database_failure;
use super::password::{Login, find};
use super::url::DatabaseUrl;
use crate::domain::{Failure, Kind};

/// Both sides must print and read a value alike, whatever the server's or the role's defaults are.
const TEXT_FORM: &str = "
    SET client_encoding = 'UTF8'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
    SET timezone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
    SET lc_monetary = 'C'; SET xmloption = 'content'; SET array_nulls = on;
    SET standard_conforming_strings = on; SET quote_all_identifiers = off;
    SET search_path = pg_catalog, pg_temp;
    SET row_security = off; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0;
    SET statement_timeout = 0; SET default_transaction_read_only = off; SET synchronous_commit = on;
    SET client_min_messages = warning";

/// What would end a session that waits for a slow line. Not every server knows all of them.
const NO_TIMEOUTS: &str = "
    SELECT set_config(name, '0', false) FROM (VALUES ('idle_session_timeout'), ('transaction_timeout')) AS v (name)
    WHERE current_setting(name, true) IS NOT NULL";

/// To compile a statement takes longer than most of ours run, and how much it has to do is seldom known
/// to the planner.
const NO_COMPILING: &str = "SET jit = off";

const OLDEST_SERVER: &str = "140000";

/// Connects, as the program named `application` in the server's list of sessions.
pub fn connect(url: &DatabaseUrl, application: &str) -> Result<Client, Failure> {
    let doing = format!("connecting to {url}");
    url.check_privacy(&doing)?;
    let mut client = open(&with_password(url, application), url, &doing)?;
    client
        .batch_execute(&[TEXT_FORM, NO_TIMEOUTS, NO_COMPILING].join(";"))
        .map_err(|error| database_failure(doing, &error))?;
    check_version(&mut client)?;
    Ok(client)
}

fn with_password(url: &DatabaseUrl, application: &str) -> Config {
    let mut config = url.config();
    if config.get_password().is_none() {
        let (host, user) = (url.host(), config.get_user().unwrap_or_default().to_owned());
        let login = Login { host: &host, port: url.port(), database: url.database(), user: &user };
        if let Some(password) = find(&login) {
            config.password(password);
        }
    }
    config.application_name(application).connect_timeout(Duration::from_secs(10));
    config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(Duration::from_mins(1));
    config
}

/// The server answers.
pub fn is_alive(client: &mut Client) -> Result<(), Failure> {
    client
        .batch_execute("SELECT 1")
        .map_err(|error| database_failure("asking whether the database is there", &error))
}

fn check_version(client: &mut Client) -> Result<(), Failure> {
    let doing = "asking for the server's version";
    let sql = format!(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int >= {OLDEST_SERVER}"
    );
    let row = client.query_one(&sql, &[]).map_err(|error| database_failure(doing, &error))?;
    let (version, is_new_enough): (&str, bool) = (row.get(0), row.get(1));
    if is_new_enough {
        return Ok(());
    }
    Err(Failure::new(Kind::Configuration, doing, format!("PostgreSQL {version} is too old"))
        .hint("salesync needs PostgreSQL 14 or later"))
}
