//! Private `PostgreSQL` and `RabbitMQ` servers, for the demo and for the tests, and a browser for the tests.
//!
//! Everything lives in one temporary folder and listens on 127.0.0.1 only. Nothing outlives the
//! process that started it, however that process ends: see `Sandbox`.
//!
//! The servers are meant for throw-away data. `PostgreSQL` trusts every local connection and does not
//! `fsync`; the broker's password is in the source. Committed and confirmed data survive the death
//! of a server process (`PostgresServer::stop_immediately`, `BrokerServer::kill`), not a power cut.

mod account;
mod chromedriver;
mod definitions;
mod folder;
mod leash;
mod port;
mod postgres;
mod program;
mod rabbitmq;
mod service;
mod url;
mod wait;

pub use chromedriver::ChromeDriver;
pub use definitions::Definitions;
pub use folder::Sandbox;
pub use port::free_port;
pub use postgres::PostgresServer;
pub use program::find_postgres;
pub use rabbitmq::BrokerServer;
pub use service::Service;
pub use wait::wait_until;
