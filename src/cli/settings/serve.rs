//! The section [serve]: who may see the page, and from where.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::{Failure, Kind};
use crate::web::{Certificate, Options, User};

/// Nobody but this machine reaches it there.
const USUAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);
const LONGEST_NAME: usize = 64;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServeSection {
    listen: Option<SocketAddr>,
    #[serde(default)]
    users: Vec<UserSection>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    #[serde(default)]
    behind_proxy: bool,
    #[serde(default)]
    hosts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserSection {
    name: String,
    password: String,
    role: Part,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    View,
    Operate,
}

impl ServeSection {
    /// What it says, checked. Relative paths are meant from the folder `base`.
    pub(super) fn into_options(self, base: &Path) -> Result<Options, Failure> {
        let certificate = match (self.tls_certificate, self.tls_key) {
            (None, None) => None,
            (Some(chain), Some(key)) => Some(Certificate { chain: base.join(chain), key: base.join(key) }),
            _ => {
                return Err(wrong("tls_certificate and tls_key belong together", "name both files, or none"));
            }
        };
        let mut names = BTreeSet::new();
        let users = self.users.into_iter().map(UserSection::into_user).collect::<Result<Vec<_>, _>>()?;
        if let Some(user) = users.iter().find(|user| !names.insert(user.name.as_str())) {
            return Err(wrong(
                &format!("two users are called {:?}", user.name),
                "give each a name of their own",
            ));
        }
        let is_name = |host: &str| !host.is_empty() && !host.contains([':', '/', '*']);
        if let Some(host) = self.hosts.iter().find(|host| !is_name(host)) {
            let why = format!("{host:?} in hosts is no name of a machine");
            return Err(wrong(&why, "write it without https:// and without a port: \"sales.example\""));
        }
        Ok(Options {
            listen: self.listen.unwrap_or(USUAL_LISTEN),
            users,
            certificate,
            is_behind_proxy: self.behind_proxy,
            hosts: self.hosts,
        })
    }
}

impl UserSection {
    fn into_user(self) -> Result<User, Failure> {
        let is_name = |name: &str| {
            // Programs send name and password with a colon between them.
            !name.trim().is_empty()
                && name.len() <= LONGEST_NAME
                && !name.contains(|c: char| c.is_control() || c == ':')
        };
        if !is_name(&self.name) {
            let why = "a user's name must have from 1 to 64 bytes, and no colon";
            return Err(wrong(why, "take the name by which they are known in the company"));
        }
        let password = self.password.parse().map_err(|failure: Failure| {
            let hint = failure.advice().unwrap_or_default().to_owned();
            wrong(&format!("the password of {:?}: {failure}", self.name), &hint)
        })?;
        Ok(User { name: self.name, password, may_operate: self.role == Part::Operate })
    }
}

fn wrong(why: &str, hint: &str) -> Failure {
    Failure::new(Kind::Configuration, "reading [serve]", why).hint(hint)
}
