//! The connection to PostgreSQL, and what both roles need of it.

mod catalog;
mod condition;
mod connect;
mod day_totals;
mod encryption;
mod failure;
mod load;
mod lock;
mod merge;
mod migrate;
mod password;
mod rights;
mod statistics;
mod url;

pub use catalog::{KeyColumn, TableDescription, describe, key_order};
pub use condition::{
    look_at_clock, look_at_prepared, look_at_schema, look_at_server, look_at_time_zone, look_at_transactions,
    look_only,
};
pub use connect::{connect, is_alive};
pub use day_totals::{Days, day_expression, day_totals, is_day};
pub use failure::{copy_failure, database_failure, is_passing};
pub use load::{LoadError, Loader, Target};
pub use lock::{
    Lock, at_work, lock_decisions, lock_definitions, release_lock, session, share_work, take_lock,
};
pub use migrate::{Role, is_prepared, migrate};
pub use rights::{check_readable, make_readable, making_failure, schema_owner, schema_statement};
pub use statistics::gather_statistics;
pub use url::DatabaseUrl;
