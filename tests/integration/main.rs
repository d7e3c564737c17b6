//! The tests that need servers: one binary, so that they share what is slow to start.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

// What the tests stand on.
mod certificates;
mod company;
mod enrolled;
mod forge;
mod halted;
mod line;
mod looking;
mod rights;
mod running;
mod servers;
mod small_disk;
mod whole;

// The tests.
mod bombs;
mod broker;
mod broker_away;
mod broker_faults;
mod changes;
mod compare;
mod concurrency;
mod contested;
mod contract;
mod crash;
mod crash_points;
mod cuts;
mod database_tls;
mod days;
mod decisions;
mod delivery;
mod demo;
mod disks;
mod doctor;
mod documents;
mod encrypted;
mod enrolment;
mod golden;
mod hostile;
mod import;
mod init;
mod json;
mod keys;
mod layers;
mod manual;
mod operations;
mod overlap;
mod page;
mod partitions;
mod protocol;
mod prune;
mod random_days;
mod rebuild;
mod receipts;
mod replay;
mod requests;
mod restored;
mod roles;
mod round_trip;
mod sandbox;
mod secrets;
mod signatures;
mod split;
mod types;
mod windows;
mod workers;
