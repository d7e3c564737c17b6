//! The archives of a branch and of head office.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{assert_goes_on, assert_told};
use crate::company::{Company, Node, Run};
use crate::running::Running;
use crate::servers::server_account;
use crate::small_disk::SmallDisk;

const FREE_SPACE: &str = "free some space";

/// A real limit to what the archive takes.
enum Full {
    /// The disk that the archive is on.
    Disk(Box<SmallDisk>),
    /// No file may have more than 8 KiB.
    FileSize,
}

impl Full {
    /// Both, or the second only where no disk can be mounted.
    fn both(node: &Node) -> Vec<Self> {
        let disk = archive_on_disk(node, "256k").map(|disk| Self::Disk(Box::new(disk)));
        disk.into_iter().chain([Self::FileSize]).collect()
    }

    fn run(&self, node: &Node, command: &str) -> Run {
        let mut full = match self {
            Self::Disk(_) => node.command(&[command]),
            Self::FileSize => {
                let mut shell = Command::new("bash");
                let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$1\"";
                shell
                    .args(["-c", limited, env!("CARGO_BIN_EXE_salesync"), command])
                    .current_dir(&node.folder);
                shell.env_clear();
                shell
            }
        };
        // Nothing of salesync's work is in the system's temporary folder.
        Running::of(full.env("TMPDIR", "/proc/nowhere")).ends()
    }
}

/// Moves the node's archive to a disk with little room.
pub fn archive_on_disk(node: &Node, size: &str) -> Option<SmallDisk> {
    let (archive, aside) = (node.folder.join("bundles"), node.folder.join("on-disk"));
    fs::create_dir(&aside).unwrap();
    let disk = SmallDisk::mounted_on(&aside, size)?;
    let copied = Command::new("cp").arg("-a").arg(archive.join(".")).arg(disk.path()).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(&archive).unwrap();
    symlink(disk.path(), &archive).unwrap();
    Some(disk)
}

/// What is in the node's archive, files in the making included.
fn files(node: &Node) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(node.folder.join("bundles/")).sort_by_file_name();
    let entries = walk.into_iter().map(|entry| entry.unwrap());
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

fn company() -> Company {
    let company = Company::of_sales(&["east"]);
    company.branch().sell("Ink");
    company.sync();
    company
}

#[test]
fn a_full_disk_at_the_branch_leaves_the_log_as_it_is_and_nothing_half_made() {
    let company = company();
    let east = company.branch();
    let unsynced = || east.run(&["status", "--json"]).ok().json()["unsynced"].clone();
    for mut full in Full::both(east) {
        east.sell_much();
        let (before, waiting) = (files(east), unsynced());
        for _ in 0..2 {
            assert_told(full.run(east, "bundle"), 1, "writing", FREE_SPACE);
            assert_eq!((files(east), unsynced()), (before.clone(), waiting.clone()));
        }
        if let Full::Disk(disk) = &mut full {
            disk.remount("size=16m");
        }
        assert_goes_on(&company);
        // The link leads nowhere without its disk.
        put_archive_back(east, &full);
    }
}

#[test]
fn a_full_disk_at_head_office_leaves_the_message_in_the_queue_and_nothing_half_made() {
    let company = company();
    let (east, head) = (company.branch(), &company.head_office);
    for mut full in Full::both(head) {
        east.sell_much();
        east.run(&["bundle"]).ok();
        let before = files(head);
        for _ in 0..2 {
            assert_told(full.run(head, "apply"), 1, "writing", FREE_SPACE);
            assert_eq!(files(head), before);
            assert_eq!(company.broker().queue_depth("east").unwrap(), Some(1));
        }
        if let Full::Disk(disk) = &mut full {
            disk.remount("size=16m");
        }
        assert_goes_on(&company);
        put_archive_back(head, &full);
    }
}

fn put_archive_back(node: &Node, full: &Full) {
    let Full::Disk(disk) = full else { return };
    let archive = node.folder.join("bundles");
    fs::remove_file(&archive).unwrap();
    let copied = Command::new("cp").arg("-a").arg(disk.path()).arg(&archive).status().unwrap();
    assert!(copied.success());
}

#[test]
fn an_archive_on_a_read_only_disk_is_told() {
    let company = company();
    let (east, head) = (company.branch(), &company.head_office);
    east.sell_much();
    east.run(&["bundle"]).ok();
    east.sell("Paper");
    let mut disks: Vec<Option<SmallDisk>> = [east, head].map(|node| archive_on_disk(node, "16m")).into();
    for (node, disk) in [east, head].into_iter().zip(&mut disks) {
        match disk {
            Some(disk) => disk.remount("ro"),
            // Nobody, root neither, writes there.
            None => replace_archive(node, Path::new("/proc/nowhere")),
        }
    }
    assert_told(Running::start(east, &["bundle"]).ends(), 1, "", "archive.dir");
    assert_told(Running::start(head, &["apply"]).ends(), 1, "", "archive.dir");
    assert_eq!(east.value("SELECT count(*) FROM salesync.bundle"), "2");
    assert_eq!(head.value("SELECT last_sequence FROM salesync.branch"), "1");
    for (node, disk) in [east, head].into_iter().zip(&mut disks) {
        match disk {
            Some(disk) => disk.remount("rw"),
            None => put_back(node),
        }
    }
    assert_goes_on(&company);
}

fn replace_archive(node: &Node, target: &Path) {
    fs::rename(node.folder.join("bundles"), node.folder.join("aside")).unwrap();
    symlink(target, node.folder.join("bundles")).unwrap();
}

fn put_back(node: &Node) {
    fs::remove_file(node.folder.join("bundles")).unwrap();
    fs::rename(node.folder.join("aside"), node.folder.join("bundles")).unwrap();
}

#[test]
fn an_archive_that_belongs_to_another_is_a_matter_of_permission() {
    let company = company();
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Paper");
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    let folder = east.folder.parent().unwrap();
    let program = folder.join("salesync");
    fs::copy(env!("CARGO_BIN_EXE_salesync"), &program).unwrap();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(folder, 0o755);
    // For root, permissions are no obstacle; so an ordinary account runs the program.
    let (uid, gid) = server_account();
    let run = |node: &Node, command: &[&str]| {
        let mut forbidden = Command::new(&program);
        forbidden.args(command).current_dir(&node.folder).env_clear().uid(uid).gid(gid);
        Running::of(&mut forbidden).ends()
    };
    for (node, command) in [(east, "bundle"), (head, "apply")] {
        let archive = node.folder.join("bundles");
        mode(&node.folder, 0o755);
        let (before, usual) = (files(node), fs::metadata(&archive).unwrap().mode());
        mode(&archive, 0o000);
        let told = [run(node, &[command]), run(node, &["verify", "bundles"])];
        mode(&archive, usual);
        for told in told {
            assert_told(told, 77, "", "access to this path");
        }
        assert_eq!(files(node), before);
    }
    assert_eq!(head.value("SELECT last_sequence FROM salesync.branch"), "1");
    assert_goes_on(&company);
}
