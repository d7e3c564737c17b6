//! A disk that is small, full or read-only: a tmpfs in a mount namespace of its own.
//!
//! A helper shell mounts it and holds it; others reach it by way of `/proc/PID/root`. It is gone with the shell, and that
//! ends with the test, however the test ends. Root may do that; an ordinary user where the system lets him have
//! a user namespace.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Named in full, a disk is remounted with these options only: `mount` would add the user ids that it reads, and they
/// mean nothing in another user namespace.
const HOLDER: &str = r#"
mount -t tmpfs -o "size=$1,mode=777" salesync-test "$2" || exit 1
echo mounted
while read -r options; do
    mount -t tmpfs -o "remount,$options" salesync-test "$2" && echo done || echo failed
done
"#;

/// It is unmounted when dropped.
pub struct SmallDisk {
    holder: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    owner: (u32, u32),
}

impl SmallDisk {
    /// Mounts a disk of `size` (`"256k"`) for the owner of the folder, which is what it hides. `None` where that is
    /// not allowed: a test says so, and tries another limit.
    pub fn mounted_on(folder: &Path, size: &str) -> Option<Self> {
        let metadata = fs::metadata(folder).unwrap();
        let owner = (metadata.uid(), metadata.gid());
        let mut command = Command::new("unshare");
        if owner.0 != 0 {
            command.args(["--user", "--map-root-user"]).uid(owner.0).gid(owner.1);
        }
        command.args(["--mount", "sh", "-c", HOLDER, "salesync-disk", size]).arg(folder).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().unwrap();
        let (orders, answers) = (holder.stdin.take(), BufReader::new(holder.stdout.take().unwrap()));
        let reached = format!("/proc/{}/root{}", holder.id(), folder.display());
        let mut disk = Self { holder, orders, answers, folder: reached.into(), owner };
        if disk.answer() == "mounted" {
            return Some(disk);
        }
        eprintln!("no small disk can be mounted here; another limit is tried");
        None
    }

    /// Where it is. A link to this folder is as good as the folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Mounts it with other options: `size=16m`, `ro`, `rw`.
    pub fn remount(&mut self, options: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{options}").unwrap();
        assert_eq!(self.answer(), "done", "remounting with {options}");
    }

    /// A shell that runs `script` in the disk's folder, as its owner.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        // The way to the folder leads through others that its owner may not list.
        let script = format!("cd \"$1\" && {script}");
        command.args(["-c", &script, "sh"]).arg(&self.folder).current_dir("/");
        command.uid(self.owner.0).gid(self.owner.1);
        command
    }

    /// Leaves no room at all; [`make_room`](Self::make_room) takes it back.
    pub fn fill(&self) {
        self.shell("dd if=/dev/zero of=filler bs=4096 2>/dev/null").status().unwrap();
        let room = self.shell("stat -f -c %a .").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&room.stdout).trim(), "0");
    }

    /// Removes what fills it.
    pub fn make_room(&self) {
        assert!(self.shell("rm filler").status().unwrap().success());
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.holder.wait();
    }
}
