//! The arguments, as clap reads them. Their documentation is the help.

mod branch;
mod enrolment;
mod head_office;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as Arguments, Parser, Subcommand};

use crate::cli::units::time;
use crate::domain::PublicKey;

pub(super) use self::branch::{Bundle, Import, Resend, Sync};
pub(super) use self::enrolment::{Enroll, Join, Leave, Revoke};
pub(super) use self::head_office::{Apply, Approve, Compare, Reject, Replay, Request, Retry};

/// Store-and-forward replication for PostgreSQL over links that are up one hour a day.
///
/// A branch bundles its changed rows into files and publishes them; head office verifies and applies
/// each in one transaction. `salesync demo` shows it all on private servers.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_STATUSES)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_STATUSES: &str = "\
Exit status:
  0 done, or nothing to do      1 failed            2 wrong usage
  3 done, but something needs a person: a bundle is rejected or held, a branch is late, a day
    differs, a database was restored
  65 a bundle is damaged        69 database or broker unreachable
  75 broker away or window closed with work left, no answer yet, or another run at work:
     everything is safe, the next run goes on
  77 permission denied          78 wrong configuration";

/// Flags of every command.
#[derive(Debug, Arguments)]
pub(super) struct Global {
    /// Configuration file [default: `$SALESYNC_CONFIG`, ./salesync.toml, /etc/salesync/salesync.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say more on stderr; twice says all
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Print nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(Init),
    Import(Import),
    Bundle(Bundle),
    Resend(Resend),
    Sync(Sync),
    Apply(Apply),
    Replay(Replay),
    Request(Request),
    Approve(Approve),
    Reject(Reject),
    Retry(Retry),
    Status(Status),
    Doctor(Doctor),
    Compare(Compare),
    Verify(Verify),
    Inspect(Inspect),
    Prune(Prune),
    Keygen(Keygen),
    Enroll(Enroll),
    Join(Join),
    Leave(Leave),
    Revoke(Revoke),
    Serve(Serve),
    HashPassword(HashPassword),
    Demo(Demo),
    Completions(Completions),
    Man(Manual),
}

/// Prepare this node: the salesync schema, capture (branch), exchanges and queues (head office)
///
/// Running it again changes nothing. At a branch a table added to the configuration is captured
/// from now on, one taken off is not any more. At head office branches added are given their queues.
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync init --with-sales    a branch that has no sales table yet")]
pub(super) struct Init {
    /// Create public.sales where there is no such table (branch)
    #[arg(long)]
    pub(super) with_sales: bool,
}

/// Show how this node stands: pending bundles, or how far each branch has been applied
#[derive(Debug, Arguments)]
pub(super) struct Status {
    /// Exit with 3 if anything needs a person
    #[arg(long)]
    pub(super) check: bool,
}

/// Check everything that can be checked before the line is up: one line each, with what to do
///
/// Each line is `ok`, a `note`, a `warning` or `failed`; what follows `->` is the cure. docs/doctor.md tells all of
/// them. It changes nothing, neither in the database nor at the broker nor in the archive, and gives up waiting for what
/// does not answer. It ends with 0 if there are but notes, with 3 if somebody should do something, and else with the
/// status that the next run would have.
#[derive(Debug, Arguments)]
#[command(
    after_help = "Examples:\n  salesync doctor\n  salesync doctor --json | jq '.findings[] | select(.grade != \"ok\")'"
)]
pub(super) struct Doctor {
    /// Do not try whether publishing is allowed (nothing is published in either case)
    #[arg(long)]
    pub(super) no_probe: bool,
}

/// Check bundle files or whole archives: format, checksums, signatures, chain, totals. Needs no server
///
/// With the branches' public keys every bundle has to be signed with one of them. Without any it is only told
/// whether there is a signature. When a key was valid is not asked: name those that you believe.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync verify /var/lib/salesync/bundles\n  \
    salesync verify --key ed25519:8a88e3dd… 0000000007.bundle\n  \
    salesync verify --keys branches.keys /media/usb")]
pub(super) struct Verify {
    /// Files or folders
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) keys: Keys,
    #[command(flatten)]
    pub(super) reading: Reading,
}

/// Whose signatures are believed where no configuration of head office says it.
#[derive(Debug, Arguments)]
pub(super) struct Keys {
    /// A public key that bundles may be signed with
    #[arg(long = "key", value_name = "KEY")]
    pub(super) keys: Vec<PublicKey>,
    /// A file with a key in each line, behind the name of its branch, or alone where it counts for all
    #[arg(long = "keys", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
}

impl Keys {
    /// Whether none was named.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.key_file.is_none()
    }
}

/// How encrypted bundles are read where no configuration has to be.
#[derive(Debug, Arguments)]
pub(super) struct Reading {
    /// The private key for encrypted bundles [default: `identity` in the section `[encryption]`]
    #[arg(long, value_name = "FILE")]
    pub(super) identity: Option<PathBuf>,
}

/// Show what a bundle holds. Needs no server
#[derive(Debug, Arguments)]
pub(super) struct Inspect {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The rows too
    #[arg(long)]
    pub(super) rows: bool,
    #[command(flatten)]
    pub(super) reading: Reading,
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
pub(super) struct Prune {
    /// Keep what was put into the archive within this time
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
    pub(super) keep: Duration,
    /// Also from the newest epoch, except its last bundle; replaying the archive then needs a backup to begin with
    #[arg(long)]
    pub(super) newest_epoch_too: bool,
    /// List the files, remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Make the private key that this node signs with, and print its public key
///
/// The file can be read by its owner only, and is never overwritten. The public key is no secret: a branch's goes into
/// head office's configuration, head office's into the branches'. Keep a copy of the private one where only you
/// can read it, or make another when it is lost.
///
/// With --encryption it is a key to read encrypted bundles with, and what is printed is the recipient that they are
/// encrypted to. Whoever loses the only such key loses what was encrypted to it.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync keygen --out /etc/salesync/east.key\n  \
    salesync keygen --public /etc/salesync/east.key\n  \
    salesync keygen --encryption --out /etc/salesync/head-office.age")]
pub(super) struct Keygen {
    /// A key to read encrypted bundles with
    #[arg(long)]
    pub(super) encryption: bool,
    /// The file [default: `key` in the section `[signing]`, `identity` in `[encryption]`]
    #[arg(long, value_name = "FILE", conflicts_with = "public")]
    pub(super) out: Option<PathBuf>,
    /// Make none, print the public key of this private one
    #[arg(long, value_name = "FILE")]
    pub(super) public: Option<PathBuf>,
}

/// Serve this node's page: head office's monitor, or a branch's sales with *Sync now*
///
/// It stays until SIGTERM or Ctrl-C and prints where it listens.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync serve                then open http://127.0.0.1:8787/\n  \
    salesync serve --listen 127.0.0.1:9000")]
pub(super) struct Serve {
    /// Where to listen, instead of where the configuration says [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<SocketAddr>,
}

/// Make of a password what stands in the configuration for it: [[serve.users]]
///
/// It is asked for twice on a terminal, and not shown; otherwise it is the first line of the standard input.
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync hash-password")]
pub(super) struct HashPassword {}

/// Play one day of a company on private servers: a broker, a head office, three branches
///
/// Sales come in, the line fails and returns, a bundle comes twice, head office loses its database and
/// is rebuilt. Every step is shown as it could be typed. It needs PostgreSQL and RabbitMQ installed,
/// touches neither's running servers, and leaves nothing behind. It ends with 0 only if every branch
/// and head office are equal. It is a text to read: --json and --quiet do not change it.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync demo                 nine sales of the spring of 2021\n  \
    salesync demo --rows 50000    as many invented sales at each branch\n  \
    salesync demo --serve         see it in a browser afterwards, until Ctrl-C\n  \
    salesync demo --keep          look around in a terminal, until Ctrl-C")]
pub(super) struct Demo {
    /// Leave everything running and say how to connect and what to try
    #[arg(long)]
    pub(super) keep: bool,
    /// Leave everything running and say where the page of each node is
    #[arg(long, conflicts_with = "keep")]
    pub(super) serve: bool,
    /// Invent N sales at each branch, from 3 to a million
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    pub(super) rows: Option<u32>,
}

/// Print the completions for a shell
#[derive(Debug, Arguments)]
#[command(
    after_help = "Example:\n  salesync completions bash | sudo tee /usr/share/bash-completion/completions/salesync"
)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

/// Print the manual, as man(1) reads it: a page for the program and one for each command
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync man | man -l -\n  \
    sudo salesync man --dir /usr/local/share/man/man1")]
pub(super) struct Manual {
    /// Write each page to a file of its own in this folder: salesync.1, salesync-init.1 ...
    #[arg(long, value_name = "FOLDER")]
    pub(super) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
