//! How the page is run, and what is too dangerous.

use std::net::SocketAddr;

use super::access::{Entrance, User};
use super::tls::Certificate;
use crate::domain::{Failure, Kind};

/// How the server is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may log in. If nobody is named, everybody who reaches the page may operate.
    pub users: Vec<User>,
    /// How connections are made secret.
    pub certificate: Option<Certificate>,
    /// A proxy on the way makes them secret, and tells whose they are.
    pub is_behind_proxy: bool,
    /// The names by which browsers call the page.
    pub hosts: Vec<String>,
}

impl Options {
    /// Nobody's sales lie open by mistake.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let refuse = |why: &str, hint: &str| {
            let doing = format!("opening the page on {}", self.listen);
            Err(Failure::new(Kind::Configuration, doing, why).hint(hint))
        };
        let is_local = self.listen.ip().is_loopback();
        if self.users.is_empty() && self.is_behind_proxy {
            return refuse(
                "a proxy brings people from elsewhere, and nobody would have to log in",
                "name who may in [[serve.users]] (docs/page.md, \"Users\")",
            );
        }
        if self.users.is_empty() && !is_local {
            return refuse(
                "other machines reach it there, and nobody would have to log in",
                "name who may in [[serve.users]] (docs/page.md, \"Users\"), or listen on 127.0.0.1",
            );
        }
        if !is_local && self.certificate.is_none() && !self.is_behind_proxy {
            return refuse(
                "other machines reach it there, and passwords would cross the network for everybody to read",
                "set serve.tls_certificate and serve.tls_key, or serve.behind_proxy if a proxy does that (docs/page.md)",
            );
        }
        if self.is_behind_proxy && self.hosts.is_empty() {
            return refuse(
                "behind a proxy it cannot know by which name browsers call it",
                "name it in serve.hosts, for example hosts = [\"sales.example\"]",
            );
        }
        Ok(())
    }

    pub(super) fn entrance(self) -> Entrance {
        Entrance {
            is_local: self.listen.ip().is_loopback(),
            is_secure: self.certificate.is_some() || self.is_behind_proxy,
            is_behind_proxy: self.is_behind_proxy,
            users: self.users,
            hosts: self.hosts,
        }
    }
}
