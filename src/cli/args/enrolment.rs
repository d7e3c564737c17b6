//! The commands by which branches come and go.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args as Arguments;

use crate::cli::units::time;
use crate::domain::{NodeName, PublicKey};

/// Enrol a branch: write all that it needs into one file, or put its key into force
///
/// The file is the branch's configuration, with a user and a new password at the broker and head office's public key; beside it
/// are the definitions by which the broker's administrator makes that user. From then on head office takes nothing of
/// the branch that is not signed. `salesync join FILE` at the branch does the rest, and prints the key to be confirmed here.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync enroll east --out east.toml\n  \
    salesync enroll east --confirm ed25519:8a88e3dd…     as `salesync join` prints it")]
pub(in crate::cli) struct Enroll {
    /// The branch
    pub(in crate::cli) branch: NodeName,
    /// Where its file is written; beside it, ending in .broker.json, are the broker's definitions [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// How the branch reaches the broker, if not as head office does
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(in crate::cli) broker: Option<String>,
    /// Silence of the branch longer than this is an alarm
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "26h")]
    pub(in crate::cli) expect_every: Duration,
    /// Write the file once more, with another password; the branch's keys stay as they are
    #[arg(long)]
    pub(in crate::cli) again: bool,
    /// Take this key as the branch's from now on
    #[arg(long, value_name = "KEY", conflicts_with_all = ["out", "broker", "again", "expect_every"])]
    pub(in crate::cli) confirm: Option<PublicKey>,
}

/// Join a company: configure this branch by the file that `enroll` has written, and check every part of it
///
/// Writes the configuration and makes the key, installs the capture as `init` does, tries what the branch may do at the
/// broker, and asks head office, which has to be running `apply`. At the end it prints what head office has to confirm. Run
/// again, with FILE or without, it goes on where it stopped.
#[derive(Debug, Arguments)]
#[command(
    after_help = "Example:\n  salesync join east.toml --dir /etc/salesync --database 'postgres:///east?host=/var/run/postgresql'"
)]
pub(in crate::cli) struct Join {
    /// What head office has written [default: the configuration that is there]
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Where salesync.toml and the key are written
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(in crate::cli) dir: PathBuf,
    /// The branch's database, as it goes into the configuration [default: `$SALESYNC_DATABASE_URL`, which does not]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) database: Option<String>,
    /// Create public.sales where there is no such table
    #[arg(long)]
    pub(in crate::cli) with_sales: bool,
    /// How long to wait for head office's answer
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    pub(in crate::cli) wait: Duration,
}

/// Leave the company: end the capture of all tables
///
/// Tables, configuration, key and archive stay, and so does the schema salesync, unless it is purged. It is
/// refused while something is not proven to be at head office.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync leave --dry-run      what would be done\n  \
    salesync leave --purge        also remove the schema salesync from the database")]
pub(in crate::cli) struct Leave {
    /// Remove the schema salesync too: change logs, and the record of every bundle and receipt
    #[arg(long)]
    pub(in crate::cli) purge: bool,
    /// Do not ask before that: this is the branch that is meant
    #[arg(long, value_name = "BRANCH", requires = "purge")]
    pub(in crate::cli) confirm: Option<NodeName>,
    /// Leave also what is not proven to be at head office
    #[arg(long)]
    pub(in crate::cli) even_if_unproven: bool,
    /// Say what would be done, do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

/// Revoke a branch: nothing more of it is taken, and nothing is expected
///
/// Its keys count for nothing that is received from now on, or from --since on. What is applied stays applied. Prints what the
/// broker's administrator runs to remove its user.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync revoke east\n  \
    salesync revoke east --since 2026-11-20T18:00:00Z     when its machine was stolen")]
pub(in crate::cli) struct Revoke {
    /// The branch
    pub(in crate::cli) branch: NodeName,
    /// From when on its keys do not count [default: now]
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<DateTime<Utc>>,
    /// Say what would be done, do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}
