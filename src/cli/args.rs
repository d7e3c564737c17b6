//! The arguments, as clap reads them. Their documentation is the help.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand};
use rust_decimal::Decimal;

use crate::branch::Since;
use crate::domain::{NodeName, Sequence};

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
  3 done, but something needs a person: a bundle is rejected or held
  65 a bundle is damaged        69 database or broker unreachable
  75 broker away with work left: it is safe, the next run goes on
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
    Apply(Apply),
    Replay(Replay),
    Request(Request),
    Approve(Approve),
    Reject(Reject),
    Retry(Retry),
    Status(Status),
    Verify(Verify),
    Inspect(Inspect),
    Demo(Demo),
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

/// Load sales from a CSV file into public.sales: all of them or none
///
/// The header names the columns, in any order and case: Date, Region, Product, Qty, Cost, and
/// optionally Amt, Tax, Total, which are computed where they are missing and checked where they are
/// given. Every bad line is reported with its number, column, value and reason.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync import sales.csv\n  \
    salesync import --date-format %d.%m.%Y --tax-rate 0.19 verkauf.csv\n  \
    gunzip -c sales.csv.gz | salesync import -")]
pub(super) struct Import {
    /// The file; - reads standard input
    #[arg(value_name = "FILE.csv")]
    pub(super) file: PathBuf,
    /// How dates are written, in strftime's letters [default: 2021-04-29]
    #[arg(long, value_name = "FORMAT")]
    pub(super) date_format: Option<String>,
    /// Tax as a fraction of the amount, rounded half up to the cent
    #[arg(long, value_name = "RATE", default_value = "0.07")]
    pub(super) tax_rate: Decimal,
}

/// Cut what is unsynced, seal it into bundles, publish everything pending, oldest first
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync bundle               what cron runs in the nightly window\n  \
    salesync bundle --offline     seal only; the next `bundle` publishes\n  \
    salesync bundle --since all   begin a new epoch: every table travels whole")]
pub(super) struct Bundle {
    /// What to collect: changes since the `last` cut, whatever has changed since bundle N as it
    /// stands now, or `all` tables whole, in a new epoch
    #[arg(long, value_name = "last|N|all", default_value = "last", value_parser = since)]
    pub(super) since: Since,
    /// Seal only, publish nothing
    #[arg(long)]
    pub(super) offline: bool,
}

/// Publish the same archived bytes again
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync resend 17\n  salesync resend 17..20")]
pub(super) struct Resend {
    /// One bundle, or a range with both ends
    #[arg(value_name = "N[..M]", value_parser = sequences)]
    pub(super) bundles: (Sequence, Sequence),
}

/// Apply what has arrived: drain every branch's queue, or take the given files
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync apply                      drain the queues and exit\n  \
    salesync apply /media/usb/*.bundle  bundles that came by stick\n  \
    salesync apply --check x.bundle     verify and apply, then roll back and report")]
pub(super) struct Apply {
    /// Bundle files; no broker is needed for them
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Verify and apply, then roll back and report
    #[arg(long, requires = "files")]
    pub(super) check: bool,
}

/// Apply the bundles of an archive in order, skipping what is recorded
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync replay /srv/salesync/bundles    rebuild head office's tables")]
pub(super) struct Replay {
    /// The archive
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Only this branch's
    #[arg(long)]
    pub(super) branch: Option<NodeName>,
    /// From this number on
    #[arg(long, value_name = "N", value_parser = sequence)]
    pub(super) from: Option<Sequence>,
    /// Up to and with this number
    #[arg(long, value_name = "M", value_parser = sequence)]
    pub(super) to: Option<Sequence>,
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
pub(super) struct Request {
    /// The branch
    pub(super) branch: NodeName,
    /// These bundles again
    #[arg(long, value_name = "N[..M]", value_parser = sequences, group = "wanted")]
    pub(super) resend: Option<(Sequence, Sequence)>,
    /// Every table whole, in a new epoch
    #[arg(long, group = "wanted")]
    pub(super) full: bool,
    /// A bundle now, even if nothing has changed
    #[arg(long, group = "wanted")]
    pub(super) sync_now: bool,
    /// Why, for the people at the branch and the record
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Let a bundle pass that is held for a person, with all parts of its cut
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync approve east 17 --reason 'they closed the shop'")]
pub(super) struct Approve {
    /// The branch
    pub(super) branch: NodeName,
    /// The bundle's number
    #[arg(value_name = "N", value_parser = sequence)]
    pub(super) bundle: Sequence,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Reject a bundle that is held; the branch is told, and goes on with `salesync bundle --since all`
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync reject east 17 --reason 'restored from the wrong backup'")]
pub(super) struct Reject {
    /// The branch
    pub(super) branch: NodeName,
    /// The bundle's number
    #[arg(value_name = "N", value_parser = sequence)]
    pub(super) bundle: Sequence,
    /// Why, for the branch and the record
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// Try again what was held or rejected, after its cause has been mended, and what waits for it
#[derive(Debug, Arguments)]
#[command(after_help = "Example:\n  salesync retry east")]
pub(super) struct Retry {
    /// The branch
    pub(super) branch: NodeName,
}

/// Show how this node stands: pending bundles, or how far each branch has been applied
#[derive(Debug, Arguments)]
pub(super) struct Status {
    /// Exit with 3 if anything needs a person
    #[arg(long)]
    pub(super) check: bool,
}

/// Check bundle files or whole archives: format, checksums, chain, totals. Needs no server
#[derive(Debug, Arguments)]
pub(super) struct Verify {
    /// Files or folders
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,
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
}

/// Play one day of a company on private servers: a broker, a head office, three branches
///
/// Sales come in, the line fails and returns, a bundle comes twice, head office loses its database and
/// is rebuilt. Every step is shown as it could be typed. It needs PostgreSQL and RabbitMQ installed,
/// touches neither's running servers, and leaves nothing behind. It ends with 0 only if every branch
/// and head office are equal. It is a text to read: --json and --quiet do not change it.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync demo                 nine sales of the spring of 2021\n  \
    salesync demo --rows 50000    as many invented sales at each branch\n  \
    salesync demo --keep          look around afterwards, until Ctrl-C")]
pub(super) struct Demo {
    /// Leave everything running and say how to connect and what to try
    #[arg(long)]
    pub(super) keep: bool,
    /// Invent N sales at each branch, from 3 to a million
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    pub(super) rows: Option<u32>,
}

fn since(text: &str) -> Result<Since, String> {
    match text {
        "last" => Ok(Since::Last),
        "all" => Ok(Since::All),
        number => sequence(number).map(Since::Bundle),
    }
}

fn sequence(text: &str) -> Result<Sequence, String> {
    let number = text.parse().ok().and_then(Sequence::new);
    number.ok_or_else(|| format!("{text:?} is not the number of a bundle, which is a whole number from 1"))
}

fn sequences(text: &str) -> Result<(Sequence, Sequence), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (sequence(first)?, sequence(last)?);
    if first <= last {
        Ok((first, last))
    } else {
        Err("the first number is greater than the last".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_range_of_bundles_has_both_ends() {
        let number = |n| Sequence::new(n).unwrap();
        assert_eq!(sequences("7"), Ok((number(7), number(7))));
        assert_eq!(sequences("7..9"), Ok((number(7), number(9))));
        for bad in ["", "0", "9..7", "7..", "x", "7-9"] {
            assert!(sequences(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
