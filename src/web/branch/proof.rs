//! What of the branch is proven to be at head office, and what is not: a part of every page.

use std::time::Duration;

use postgres::Client;

use crate::branch::{BranchStatus, Unapplied, branch_status, check_sales};
use crate::domain::{TableName, span_in_words};
use crate::web::branch::site;
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::words::{Moment, grouped};

/// A clock that is wrong by no more than this does not have to be told.
const TOLERABLE_SKEW_MS: i64 = 60_000;

/// How the branch stands with head office.
pub(super) struct Proof {
    /// Everything that was committed before is proven.
    pub(super) through: Option<Moment>,
    /// What is not, table by table: `37 sales (1 234.50)`.
    pub(super) unproven: Vec<String>,
    /// Whether all of that is on its way.
    pub(super) is_all_sent: bool,
    pub(super) unapplied: Vec<Unapplied>,
    /// What is wrong with the clock here.
    pub(super) skew: Option<String>,
}

impl Proof {
    /// How it stands now.
    pub(super) async fn of(state: &State) -> Result<Self, Trouble> {
        let amounts = site(state)?.amounts.clone();
        let status = state.databases.read(move |client: &mut Client| {
            let mut amounts = amounts;
            let sales = TableName { schema: "public".to_owned(), table: "sales".to_owned() };
            if check_sales(client).is_ok() {
                amounts.entry(sales).or_insert_with(|| "total".to_owned());
            }
            branch_status(client, &amounts)
        });
        Ok(Self::from(status.await?))
    }

    /// What is not proven, in one phrase.
    pub(super) fn rest(&self) -> String {
        self.unproven.join(", ")
    }
}

impl From<BranchStatus> for Proof {
    fn from(status: BranchStatus) -> Self {
        let unproven = status.unproven.iter().map(|table| {
            let rows = grouped(&table.rows);
            let ending = if table.rows == 1 { "" } else { "s" };
            let amount =
                table.amount.as_ref().map(|amount| format!(" ({})", grouped(amount))).unwrap_or_default();
            match table.table.as_str() {
                "public.sales" => format!("{rows} sale{ending}{amount}"),
                other => format!("{rows} row{ending} of {other}{amount}"),
            }
        });
        Self {
            through: status.proven_through.map(Moment),
            unproven: unproven.collect(),
            is_all_sent: status.unsynced == 0 && status.pending == 0,
            skew: skew(&status),
            unapplied: status.unapplied,
        }
    }
}

fn skew(status: &BranchStatus) -> Option<String> {
    let (least, most) = (status.clock.at_least_ms, status.clock.at_most_ms);
    let behind = least.filter(|least| *least > TOLERABLE_SKEW_MS).map(|least| ("behind", least));
    let ahead = most.filter(|most| *most < -TOLERABLE_SKEW_MS).map(|most| ("ahead of", -most));
    let (way, by) = behind.or(ahead)?;
    let by = span_in_words(Duration::from_millis(by.unsigned_abs()));
    Some(format!("The clock here is {way} head office's by {by} or more."))
}
