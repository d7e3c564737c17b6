//! The private servers: they serve, they survive being killed, and they leave nothing behind.

mod broker;
mod leftovers;
mod postgres;
