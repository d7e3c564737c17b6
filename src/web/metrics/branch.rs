//! A branch's figures: those of `salesync status`, and the size of its change log.

use std::collections::BTreeMap;

use chrono::Utc;
use postgres::Client;

use super::number::{seconds, signed};
use super::sheet::Sheet;
use crate::branch::{BranchStatus, branch_status, change_log_bytes};
use crate::domain::Failure;
use crate::web::server::State;

/// Asks the database, and writes down what it says.
pub(super) async fn ask(state: &State, sheet: &mut Sheet) -> Result<(), Failure> {
    let read =
        |client: &mut Client| Ok((branch_status(client, &BTreeMap::new())?, change_log_bytes(client)?));
    let (status, log) = state.databases.read(read).await?;
    write(sheet, &status);
    sheet.gauge("change_log_bytes", "Size of the change logs", [([], signed(log))]);
    Ok(())
}

fn write(sheet: &mut Sheet, status: &BranchStatus) {
    let mut one = |name, help, value: Option<f64>| sheet.gauge(name, help, value.map(|value| ([], value)));
    one("unsynced_rows", "Changed keys that are in no bundle yet", Some(signed(status.unsynced)));
    one("pending_bundles", "Sealed bundles that no broker has confirmed", Some(signed(status.pending)));
    one(
        "last_published_sequence",
        "Last bundle that a broker has confirmed",
        status.last_published.map(signed),
    );
    one("last_applied_sequence", "Last bundle proven to be at head office", status.last_applied.map(signed));
    let age = status.proven_through.map(|through| seconds((Utc::now() - through).num_milliseconds()));
    one("proven_age_seconds", "How old the moment is before which everything is proven", age);
    let behind = status.clock.at_most_ms.filter(|most| *most < 0).or(status.clock.at_least_ms);
    one(
        "clock_skew_seconds",
        "How far head office's clock is ahead of this one, as far as it is known",
        behind.map(seconds),
    );
    let rows = status.unproven.iter().map(|table| ([("table", table.table.clone())], signed(table.rows)));
    sheet.gauge("unproven_rows", "Rows changed since what is proven", rows);
    let unapplied = ["held", "rejected"].map(|state| {
        let count = status.unapplied.iter().filter(|bundle| bundle.state == state).count();
        ([("state", state.to_owned())], signed(i64::try_from(count).unwrap_or(i64::MAX)))
    });
    sheet.gauge("unapplied_bundles", "Bundles that head office holds or has rejected", unapplied);
}
