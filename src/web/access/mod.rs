//! Who is let in, and how they prove who they are.
//!
//! Without users only this machine reaches the page ([`Options::check`](super::server::Options)), and whoever does may
//! operate. With users everybody logs in.

mod attempts;
mod gate;
mod login;
mod origin;
mod password;
mod sessions;
mod users;

use std::sync::Once;

use super::crowd::Crowd;
use super::random;
use crate::domain::{Failure, NodeName};

pub(super) use self::gate::{Peer, gate};
pub(super) use self::login::{ask, log_in, log_out};
pub use self::password::{Password, hash_password};
pub use self::users::User;

use self::attempts::{Attempts, Who};
use self::sessions::Sessions;
use self::users::Users;

/// So many requests of one address, by those who have not logged in, at the same time: a form that comes slowly keeps its
/// connection for a while.
const STRANGERS_OF_ONE: usize = 32;
/// So many of all of them: the other half of the connections is for those who have.
const STRANGERS: usize = 200;

/// The entrance.
pub(super) struct Access {
    /// None if everybody who reaches the page may operate.
    users: Option<Users>,
    sessions: Sessions,
    attempts: Attempts,
    /// Those whose requests are being answered, and who have not logged in.
    strangers: Crowd<Who>,
    /// Done once it was said that nobody knows who asks.
    unknown: Once,
    /// The names by which the page may be called. None of them if any will do, because there is a login.
    hosts: Vec<String>,
    /// Whether the machine's own names will do as well.
    is_local: bool,
    /// Whether a proxy stands before the page, which tells who asks.
    is_behind_proxy: bool,
    /// Whether the browser's way to the page is encrypted.
    is_secure: bool,
    /// What forms have to send back where nobody logs in.
    csrf: String,
    /// The name of the cookie with the session.
    cookie: String,
}

/// How the page is reached.
pub(super) struct Entrance {
    pub(super) users: Vec<User>,
    pub(super) hosts: Vec<String>,
    pub(super) is_local: bool,
    pub(super) is_behind_proxy: bool,
    pub(super) is_secure: bool,
}

impl Access {
    /// The entrance to the page of `node`. Other pages on the same machine have other cookies.
    pub(super) fn new(entrance: Entrance, node: &NodeName) -> Result<Self, Failure> {
        // A cookie of this name is taken only from this very host, by https.
        let prefix = if entrance.is_secure { "__Host-" } else { "" };
        Ok(Self {
            users: Users::new(entrance.users),
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            strangers: Crowd::new(STRANGERS_OF_ONE, STRANGERS),
            unknown: Once::new(),
            hosts: entrance.hosts,
            is_local: entrance.is_local,
            is_behind_proxy: entrance.is_behind_proxy,
            is_secure: entrance.is_secure,
            csrf: random::token()?,
            cookie: format!("{prefix}salesync-{node}"),
        })
    }
}
