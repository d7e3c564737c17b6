//! The commands of head office.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::Args as Arguments;

use super::Keys;
use super::values::{sequence, sequences, workers};
use crate::domain::{NodeName, Sequence};

/// Apply what has arrived: drain every branch's queue, or take the given files
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync apply                      drain the queues and exit\n  \
    salesync apply --follow             as a service: each bundle as it arrives\n  \
    salesync apply /media/usb/*.bundle  bundles that came by stick\n  \
    salesync apply --check x.bundle     verify and apply, then roll back and report")]
pub(in crate::cli) struct Apply {
    /// Bundle files; no broker is needed for them
    #[arg(value_name = "FILE")]
    pub(in crate::cli) files: Vec<PathBuf>,
    /// Verify and apply, then roll back and report
    #[arg(long, requires = "files")]
    pub(in crate::cli) check: bool,
    /// Stay, and apply each bundle as it arrives, until SIGTERM or Ctrl-C
    #[arg(long, conflicts_with = "files")]
    pub(in crate::cli) follow: bool,
    /// Apply so many bundles at the same time, four of a branch at most [default: the cores, at most 4]
    #[arg(long, value_name = "N", value_parser = workers, conflicts_with = "files")]
    pub(in crate::cli) workers: Option<usize>,
}

/// Apply the bundles of an archive in order, skipping what is recorded; or rebuild a branch from them
///
/// At head office every bundle in the archive that is not recorded is applied, as if it had just come.
///
/// At a branch, with --into-branch, a new database becomes the branch again: the bundles of its newest epoch are
/// replayed from the first on, from the branch's own archive or head office's, into tables that are empty or
/// missing. Counters of columns are set past the highest key. Where the branch signs, the last of them has to be signed with its
/// key, or with one that is named by --key or --keys: each bundle vouches for the one before it. The next `salesync bundle` begins a new epoch and
/// makes head office equal to this database, so what head office has and these bundles have not would go: let
/// head office apply everything that is on its way first.
#[derive(Debug, Arguments)]
#[command(
    after_help = "Examples:\n  salesync replay /srv/salesync/bundles             rebuild head office's tables\n  \
    salesync replay --into-branch /media/usb/bundles  a new machine for a branch\n  \
    salesync replay --into-branch /media/usb/bundles --key ed25519:8a88e3dd…"
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
    #[command(flatten)]
    pub(in crate::cli) keys: Keys,
}

/// Ask a branch for something: bundles again, everything, or a bundle now
///
/// The branch answers when it connects next. Bundles that are missing before those that are held
/// are asked for by `apply` itself.
#[derive(Debug, Arguments)]
#[command(group(clap::ArgGroup::new("wanted").required(true)), after_help = "Examples:\n  \
    salesync request east --resend 17..20    the same bytes again\n  \
    salesync request east --full             every table whole, in a new epoch\n  \
    salesync request east --sync-now         a bundle, even if nothing has changed")]
pub(in crate::cli) struct Request {
    /// The branch
    pub(in crate::cli) branch: NodeName,
    /// These bundles again
    #[arg(long, value_name = "N[..M]", value_parser = sequences, group = "wanted")]
    pub(in crate::cli) resend: Option<(Sequence, Sequence)>,
    /// Every table whole, in a new epoch
    #[arg(long, group = "wanted")]
    pub(in crate::cli) full: bool,
    /// A bundle now, even if nothing has changed
    #[arg(long, group = "wanted")]
    pub(in crate::cli) sync_now: bool,
    /// Why, for the people at the branch and the record
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
}

/// Let a bundle pass that is held for a person, with all parts of its cut
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync approve east 17 --reason 'they closed the shop'")]
pub(in crate::cli) struct Approve {
    /// The branch
    pub(in crate::cli) branch: NodeName,
    /// The bundle's number
    #[arg(value_name = "N", value_parser = sequence)]
    pub(in crate::cli) bundle: Sequence,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
}

/// Reject a bundle that is held; the branch is told, and goes on with `salesync bundle --since all`
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync reject east 17 --reason 'restored from the wrong backup'")]
pub(in crate::cli) struct Reject {
    /// The branch
    pub(in crate::cli) branch: NodeName,
    /// The bundle's number
    #[arg(value_name = "N", value_parser = sequence)]
    pub(in crate::cli) bundle: Sequence,
    /// Why, for the branch and the record
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
}

/// Try again what was held or rejected, after its cause has been mended, and what waits for it
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync retry east")]
pub(in crate::cli) struct Retry {
    /// The branch
    pub(in crate::cli) branch: NodeName,
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
