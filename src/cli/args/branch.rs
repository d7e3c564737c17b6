//! The commands of a branch.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{Local, NaiveTime};
use clap::Args as Arguments;
use rust_decimal::Decimal;

use super::values::{clock, sequences, since};
use crate::branch::Since;
use crate::cli::units::time;
use crate::domain::{Sequence, Window};

/// Load sales from a CSV file into public.sales: all of them or none
///
/// The header names the columns, in any order and case: Date, Region, Product, Qty, Cost, and
/// optionally Amt, Tax, Total, which are computed where they are missing and checked where they are
/// given. Every bad line is reported with its number, column, value and reason.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync import sales.csv\n  \
    salesync import --date-format %d.%m.%Y --tax-rate 0.19 verkauf.csv\n  \
    gunzip -c sales.csv.gz | salesync import -")]
pub(in crate::cli) struct Import {
    /// The file; - reads standard input
    #[arg(value_name = "FILE.csv")]
    pub(in crate::cli) file: PathBuf,
    /// How dates are written, in strftime's letters [default: 2021-04-29]
    #[arg(long, value_name = "FORMAT")]
    pub(in crate::cli) date_format: Option<String>,
    /// Tax as a fraction of the amount, rounded half up to the cent [default: `sales.tax_rate`, else 0.07]
    #[arg(long, value_name = "RATE")]
    pub(in crate::cli) tax_rate: Option<Decimal>,
}

/// Cut what is unsynced, seal it into bundles, publish everything pending, oldest first
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync bundle               what cron runs in the nightly window\n  \
    salesync bundle --until 22:00 keep trying while the line may be used\n  \
    salesync bundle --follow      where the line is always up, as a service\n  \
    salesync bundle --offline     seal only; the next `bundle` publishes\n  \
    salesync bundle --since all   begin a new epoch: every table travels whole")]
pub(in crate::cli) struct Bundle {
    /// What to collect: changes since the `last` cut, whatever has changed since bundle N as it
    /// stands now, or `all` tables whole, in a new epoch
    #[arg(long, value_name = "last|N|all", default_value = "last", value_parser = since)]
    pub(in crate::cli) since: Since,
    /// Seal only, publish nothing
    #[arg(long, conflicts_with_all = ["until", "lasting", "follow"])]
    pub(in crate::cli) offline: bool,
    /// Keep trying until all is published, or the clock here shows this time; exit with 75 and what is
    /// left if that is earlier. A bundle whose upload has begun is still finished
    #[arg(long, value_name = "HH:MM", value_parser = clock, conflicts_with_all = ["lasting", "follow"])]
    pub(in crate::cli) until: Option<NaiveTime>,
    /// The same for so long: 90m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = time, conflicts_with = "follow")]
    pub(in crate::cli) lasting: Option<Duration>,
    /// Stay, and publish what changes as it is committed, until SIGTERM or Ctrl-C
    #[arg(long)]
    pub(in crate::cli) follow: bool,
}

impl Bundle {
    /// The window in which to keep trying, if one is given.
    pub(in crate::cli) fn window(&self) -> Option<Window> {
        let until = self.until.map(|time| Window::until(time, &Local::now()));
        until.or(self.lasting.map(Window::lasting))
    }
}

/// Bring everything to head office now, and wait a little for its answers
///
/// Takes in answers, cuts, publishes, and waits until head office has answered every bundle. It ends with 0
/// only if each is proven to be applied there, with 3 if one is held or rejected, and with 75 if an
/// answer has not come in time or the broker is away: nothing is lost then.
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync sync\n  salesync sync --wait 5m")]
pub(in crate::cli) struct Sync {
    /// How long to wait for the answers
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    pub(in crate::cli) wait: Duration,
}

/// Publish the same archived bytes again
#[derive(Debug, Arguments)]
#[command(after_help = "Examples:\n  salesync resend 17\n  salesync resend 17..20")]
pub(in crate::cli) struct Resend {
    /// One bundle, or a range with both ends
    #[arg(value_name = "N[..M]", value_parser = sequences)]
    pub(in crate::cli) bundles: (Sequence, Sequence),
}
