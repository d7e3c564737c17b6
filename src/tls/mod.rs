//! TLS as a client: whom to believe, as whom to come, what a failed handshake means.
//!
//! One implementation, rustls by ring, for the database and the broker alike. Each says in its own `Settings` by which
//! names a user knows what is wrong.

mod alert;
mod authority;
mod client;
mod failure;
mod files;
mod place;

pub use alert::{late_alert, secured};
pub use authority::{PEM_BEGIN, check_authority, export_authority};
pub use client::{TlsFiles, Verification, client_config};
pub use failure::{Settings, handshake_error, tls_failure};
pub use files::{Identity, read_certificates, read_private_key};
pub use place::is_this_machine;
/// What the TLS library says went wrong.
pub use tokio_rustls::rustls::Error;
