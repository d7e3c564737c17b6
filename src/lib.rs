//! Store-and-forward replication for `PostgreSQL` over links that are up one hour a day.
//!
//! The modules are listed from the ground up; each imports only from those above it in this list.
//! `tests/layers.rs` holds them to it.

/// L0. Values and their rules: names, sequences, manifests, totals, failures. No input or output.
pub mod domain;

/// L2. The message broker: publish, fetch, acknowledge. The only place with `lapin` and `tokio`.
pub mod broker;

/// L4. Private `PostgreSQL` and `RabbitMQ` servers for the demo and the tests.
pub mod sandbox;
