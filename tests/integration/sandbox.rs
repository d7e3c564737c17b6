//! The private servers: they serve, they survive being killed, and they leave nothing behind.

mod broker;
pub mod leftovers;
mod postgres;
