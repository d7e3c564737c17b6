//! The unprivileged account under which the servers run when we are root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::domain::{Failure, Kind};

const PASSWD: &str = "/etc/passwd";

/// In order of preference. `PostgreSQL` refuses to run as root, so there must be one.
const NAMES: [&str; 2] = ["postgres", "nobody"];

/// User and group ids from the password file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account for servers in `folder`, which this process has just made: `None` for an ordinary
    /// user, who runs them as himself, another than root for root.
    pub(super) fn for_servers_in(folder: &Path) -> Result<Option<Self>, Failure> {
        let owner = fs::metadata(folder).map_err(|error| Failure::file("reading", folder, &error))?;
        if owner.uid() != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string(PASSWD)
            .map_err(|error| Failure::file("reading", Path::new(PASSWD), &error))?;
        NAMES.iter().find_map(|name| Self::listed(&passwd, name)).map(Some).ok_or_else(|| {
            let why = format!("{PASSWD} has none of the accounts {}", NAMES.join(", "));
            Failure::new(Kind::Configuration, "choosing an account for the private servers", why)
                .hint("run the command as an ordinary user instead of root")
        })
    }

    /// The account called `name` in the text of a password file.
    fn listed(passwd: &str, name: &str) -> Option<Self> {
        let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let mut named = fields.filter(|fields| fields.first() == Some(&name));
        let fields = named.next()?;
        Some(Self { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    }

    /// Makes this account the owner of `path`.
    pub(super) fn own(self, path: &Path) -> Result<(), Failure> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|error| Failure::file("handing over", path, &error))
    }

    /// Lets `command` run under this account, without root's other groups.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\npostgres:x:101:104:,,,:/:/bin/sh\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(Account::listed(PASSWD, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::listed(PASSWD, "postgre"), None);
        assert_eq!(Account::listed(PASSWD, "broken"), None);
    }
}
