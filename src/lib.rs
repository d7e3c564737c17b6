//! Store-and-forward replication for PostgreSQL over links that are up one hour a day.
//!
//! The modules are listed from the ground up; each imports only from those above it in this list.
//! `tests/integration/layers.rs` holds them to it.

/// L0. Values and their rules: names, sequences, manifests, totals, failures. No input or output.
pub mod domain;

/// L0. Where a test may stop the program, to kill it there. Empty in a release build.
pub mod halt;

/// L1. The bundle file: written and read over `Read` and `Write`.
pub mod bundle;
/// L1. TLS as a client: whom to believe, as whom to come, what a failed handshake means.
pub mod tls;

/// L2. Bundles in a folder.
pub mod archive;
/// L2. RabbitMQ: publish, fetch, acknowledge. The only place with `lapin`.
pub mod broker;
/// L2. PostgreSQL: connections, migrations, the catalog, errors, rows of bundles into tables.
pub mod database;

/// L3. The branch's side: capture, cut, publish, import.
pub mod branch;
/// L3. Head office's side: receive, apply, replay, remember.
pub mod head_office;

/// L4. Private PostgreSQL and RabbitMQ servers for the demo and the tests.
pub mod sandbox;

/// L4. The page: head office's monitor, a branch's place to work.
pub mod web;

/// L5. The command line.
pub mod cli;
