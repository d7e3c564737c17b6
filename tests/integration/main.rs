//! The tests that need servers: one binary, so that they share what is slow to start.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod sandbox;
