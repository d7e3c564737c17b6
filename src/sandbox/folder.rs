//! The temporary folder of a sandbox, and the process that removes it.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::account::Account;
use crate::domain::{Failure, Kind};

/// Reads its standard input to the end, which comes when every holder of the pipe is gone, then
/// removes the folder. A process killed a moment ago may still finish creating one last file, so
/// `rm` gets a few tries.
const KEEPER: &str = r#"
cat >/dev/null
for try in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$1" && exit 0
    sleep 0.2
done
"#;

/// A private temporary folder with the servers in it.
///
/// It is removed, and its servers are ended, when the last of the `Sandbox` and its servers is dropped and
/// also when this process ends in any other way: by `exit`, `abort`, Ctrl-C, a panic or SIGKILL. No
/// signal handler is involved. Helper shells wait for the end of a pipe that only this process holds
/// open, and the system closes it whatever happens.
#[derive(Debug)]
pub struct Sandbox {
    folder: Arc<Folder>,
}

impl Sandbox {
    /// Makes an empty folder in the system's temporary folder (`TMPDIR`).
    pub fn new() -> Result<Self, Failure> {
        Self::new_in(&env::temp_dir())
    }

    /// Makes an empty folder in this one, which every account may enter.
    pub fn new_in(parent: &Path) -> Result<Self, Failure> {
        Ok(Self { folder: Arc::new(Folder::new_in(parent)?) })
    }

    /// The folder. Put anything into it that should go away with the servers.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// What a server keeps, so that the folder outlives it.
    pub(super) fn folder(&self) -> Arc<Folder> {
        Arc::clone(&self.folder)
    }
}

/// The folder itself. Its last owner waits until it is removed.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whose the servers' homes are; `None` if they are ours.
    account: Option<Account>,
    keeper: Child,
    /// Our end of the keeper's standard input; taken only when dropped.
    pipe: Option<OwnedFd>,
}

impl Folder {
    fn new_in(parent: &Path) -> Result<Self, Failure> {
        let doing = "making a temporary folder for private servers";
        let temporary = tempfile::Builder::new().prefix("salesync-").tempdir_in(parent);
        let temporary = temporary.map_err(|error| Failure::new(Kind::Failed, doing, error))?;
        let account = Account::for_servers_in(temporary.path())?;
        // The servers' account has to pass through; it need not see what else is there.
        let mode = Permissions::from_mode(if account.is_some() { 0o711 } else { 0o700 });
        fs::set_permissions(temporary.path(), mode)
            .map_err(|error| Failure::file("opening to the servers", temporary.path(), &error))?;
        let mut keeper = start_keeper(temporary.path())?;
        let pipe = keeper.stdin.take().map(OwnedFd::from);
        Ok(Self { path: temporary.keep(), account, keeper, pipe })
    }

    /// The account that runs the servers, if it is not ours.
    pub(super) fn account(&self) -> Option<Account> {
        self.account
    }

    /// Makes the home of the server called `name`: a folder in this one that belongs to it.
    pub(super) fn make_home(&self, name: &str) -> Result<PathBuf, Failure> {
        let home = self.path.join(name);
        let made = DirBuilder::new().mode(0o700).create(&home);
        made.map_err(|error| Failure::file("making", &home, &error))?;
        self.hand_over(&home)?;
        Ok(home)
    }

    /// Writes a file that a server reads.
    pub(super) fn write(&self, file: &Path, text: &str) -> Result<(), Failure> {
        fs::write(file, text).map_err(|error| Failure::file("writing", file, &error))?;
        self.hand_over(file)
    }

    /// A share in the pipe: the folder stays as long as a process has it open.
    pub(super) fn hold(&self) -> Result<Stdio, Failure> {
        let Some(pipe) = &self.pipe else { return Ok(Stdio::null()) };
        let share = pipe.try_clone();
        share.map(Stdio::from).map_err(|error| Failure::file("holding", &self.path, &error))
    }

    fn hand_over(&self, path: &Path) -> Result<(), Failure> {
        self.account.map_or(Ok(()), |account| account.own(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It removes the folder and cannot tell us more than a folder left behind would.
        let _ = self.keeper.wait();
    }
}

/// Starts the process that removes `folder`, in a process group of its own, out of Ctrl-C's reach.
fn start_keeper(folder: &Path) -> Result<Child, Failure> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", KEEPER, "salesync-keeper"]).arg(folder).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| Failure::new(Kind::Failed, "starting /bin/sh", error))
}
