//! The commands that work with what is kept: bundles, archives, and what the arguments say of themselves.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use clap::Args as Arguments;

use super::sequence;
use crate::domain::{NodeName, Sequence};

/// Apply the bundles of an archive in order, skipping what is recorded; or rebuild a branch from them
///
/// At head office every bundle in the archive that is not recorded is applied, as if it had just come.
///
/// At a branch, with --into-branch, a new database becomes the branch again: the bundles of its newest epoch are
/// replayed from the first on, from the branch's own archive or head office's, into tables that are empty or
/// missing. Counters of columns are set past the highest key. The next `salesync bundle` begins a new epoch and
/// makes head office equal to this database, so what head office has and these bundles have not would go: let
/// head office apply everything that is on its way first.
#[derive(Debug, Arguments)]
#[command(
    after_help = "Examples:\n  salesync replay /srv/salesync/bundles             rebuild head office's tables\n  \
    salesync replay --into-branch /media/usb/bundles  a new machine for a branch"
)]
pub(in crate::cli) struct Replay {
    /// The archive
    #[arg(value_name = "DIR")]
    pub(in crate::cli) folder: PathBuf,
    /// Rebuild this branch's own database
    #[arg(long, conflicts_with_all = ["branch", "from"])]
    pub(in crate::cli) into_branch: bool,
    /// Only this branch's
    #[arg(long)]
    pub(in crate::cli) branch: Option<NodeName>,
    /// From this number on
    #[arg(long, value_name = "N", value_parser = sequence)]
    pub(in crate::cli) from: Option<Sequence>,
    /// Up to and with this number
    #[arg(long, value_name = "M", value_parser = sequence)]
    pub(in crate::cli) to: Option<Sequence>,
}

/// Compare head office's tables with what the branches have last said of each business day
///
/// Every bundle says how many rows a branch has on the days it touches, and what they sum up to. Those figures
/// are kept, and compared with head office's tables as they are now: whatever has been changed here since shows.
#[derive(Debug, Arguments)]
#[command(
    after_help = "Examples:\n  salesync compare                                    every branch, every day\n  \
    salesync compare east --day 2021-05-02\n  \
    salesync compare --from 2021-05-01 --to 2021-05-31"
)]
pub(in crate::cli) struct Compare {
    /// The branches; all, if none is named
    #[arg(value_name = "BRANCH")]
    pub(in crate::cli) branches: Vec<NodeName>,
    /// Only this day
    #[arg(long, value_name = "DATE", conflicts_with_all = ["from", "to"])]
    pub(in crate::cli) day: Option<NaiveDate>,
    /// From this day on
    #[arg(long, value_name = "DATE")]
    pub(in crate::cli) from: Option<NaiveDate>,
    /// Up to and with this day
    #[arg(long, value_name = "DATE")]
    pub(in crate::cli) to: Option<NaiveDate>,
}

/// Check bundle files or whole archives: format, checksums, chain, totals. Needs no server
#[derive(Debug, Arguments)]
pub(in crate::cli) struct Verify {
    /// Files or folders
    #[arg(value_name = "PATH", required = true)]
    pub(in crate::cli) paths: Vec<PathBuf>,
}

/// Show what a bundle holds. Needs no server
#[derive(Debug, Arguments)]
pub(in crate::cli) struct Inspect {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The rows too
    #[arg(long)]
    pub(in crate::cli) rows: bool,
}

/// Remove archived bundles that are proven to be in head office's database, and are old
///
/// They are those of epochs that a newer one has followed whole. The newest epoch is kept from its first bundle
/// on, so that databases can be rebuilt from the archive: `salesync bundle --since all` at a branch begins another.
/// What is pending, held, or rejected and not yet decided is never removed, nor anything from the database: the
/// records of bundles and receipts stay. At head office rejected bundles go as well, when their number has been
/// applied.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync prune --dry-run      what would be removed\n  \
    salesync prune --keep 365d    keep a year")]
pub(in crate::cli) struct Prune {
    /// Keep what was put into the archive within this time
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
    pub(in crate::cli) keep: Duration,
    /// Also from the newest epoch, except its last bundle; replaying the archive then needs a backup to begin with
    #[arg(long)]
    pub(in crate::cli) newest_epoch_too: bool,
    /// List the files, remove nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// Print the completions for a shell
#[derive(Debug, Arguments)]
#[command(
    after_help = "Example:\n  salesync completions bash | sudo tee /usr/share/bash-completion/completions/salesync"
)]
pub(in crate::cli) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(in crate::cli) shell: clap_complete::Shell,
}

/// Print the manual, as man(1) reads it: a page for the program and one for each command
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync man | man -l -\n  \
    sudo salesync man --dir /usr/local/share/man/man1")]
pub(in crate::cli) struct Manual {
    /// Write each page to a file of its own in this folder: salesync.1, salesync-init.1 ...
    #[arg(long, value_name = "FOLDER")]
    pub(in crate::cli) dir: Option<PathBuf>,
}
