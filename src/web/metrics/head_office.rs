//! Head office's figures: those of `salesync status`, what was ever applied, and the queues.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postgres::Client;

use super::number::{count, seconds, whole};
use super::sheet::Sheet;
use crate::domain::{Failure, Sequence};
use crate::head_office::monitor::{BranchCounts, Counts, Standing, counts, standings};
use crate::web::server::State;

/// Asks the database, and writes down what it says.
pub(super) async fn ask(state: &State, sheet: &mut Sheet) -> Result<(), Failure> {
    let now = Utc::now();
    let asked = Arc::clone(state);
    let read = move |client: &mut Client| {
        let standings = standings(client, &asked.role.head_office()?.branches().expect_every, now)?;
        Ok((standings, counts(client)?))
    };
    let found = state.databases.read(read).await;
    write_queues(state, sheet)?;
    let (standings, counts) = found?;
    write_standings(sheet, &standings, now);
    write_counts(sheet, &counts);
    Ok(())
}

/// A figure of each branch, where it has one.
fn of_each(
    sheet: &mut Sheet,
    standings: &[Standing],
    name: &str,
    help: &str,
    figure: impl Fn(&Standing) -> Option<f64>,
) {
    let values = standings
        .iter()
        .filter_map(|standing| Some(([("branch", standing.state.name.to_string())], figure(standing)?)));
    sheet.gauge(&format!("branch_{name}"), help, values);
}

fn write_standings(sheet: &mut Sheet, standings: &[Standing], now: DateTime<Utc>) {
    let mut write = |name, help, figure: &dyn Fn(&Standing) -> Option<f64>| {
        of_each(sheet, standings, name, help, figure);
    };
    write("last_applied_sequence", "Last bundle applied, in the current epoch", &|standing| {
        standing.state.last_sequence.map(Sequence::get).map(whole)
    });
    write("last_applied_timestamp_seconds", "When that was, since 1970", &|standing| {
        standing.state.last_applied_at.map(seconds_since_1970)
    });
    write("data_age_seconds", "How old head office's data of the branch is", &|standing| {
        standing.state.data_as_of.map(|as_of| seconds((now - as_of).num_milliseconds()))
    });
    write("held_bundles", "Bundles that wait for an earlier one or for a person", &|standing| {
        Some(count(standing.state.held.len()))
    });
    write("missing_bundles", "Bundles that others wait for and that have not come", &|standing| {
        Some(count(standing.state.missing().len()))
    });
    write("rejected_bundles", "Bundles rejected since the last one was applied", &|standing| {
        Some(whole(standing.state.rejected.unsigned_abs()))
    });
    write("open_requests", "What the branch was asked for and has not answered", &|standing| {
        Some(count(standing.state.requests.len()))
    });
    write("late", "Whether the branch is silent for longer than expect_every", &|standing| {
        Some(standing.late.is_some().into())
    });
    write("needs_person", "Whether something of the branch waits for a person", &|standing| {
        Some(standing.needs_person().into())
    });
    write(
        "clock_skew_seconds",
        "How far head office's clock is ahead of the branch's at most",
        &|standing| standing.state.clock_skew_ms.map(seconds),
    );
}

fn write_counts(sheet: &mut Sheet, counts: &Counts) {
    let mut write = |name, help, figure: &dyn Fn(&BranchCounts) -> u64| {
        let values =
            counts.branches.iter().map(|(branch, counts)| ([("branch", branch.clone())], figure(counts)));
        sheet.counter(name, help, values);
    };
    write("branch_bundles_applied", "Bundles ever applied", &|counts| counts.bundles);
    write("branch_rows_applied", "Rows and tombstones in them", &|counts| counts.rows);
    write("branch_bytes_applied", "Size of them", &|counts| counts.bytes);
    let labels = |branch: &str, kind: &str| [("branch", branch.to_owned()), ("kind", kind.to_owned())];
    let all = counts.incidents.iter().map(|((branch, kind), (all, _))| (labels(branch, kind), *all));
    sheet.counter("incidents", "Incidents ever recorded; no branch where nothing says whose it was", all);
    let open =
        counts.incidents.iter().map(|((branch, kind), (_, open))| (labels(branch, kind), whole(*open)));
    sheet.gauge(
        "incidents_unresolved",
        "Incidents of bundles that were not applied since, and divergences",
        open,
    );
    let unpublished = [([], whole(counts.receipts_unpublished))];
    sheet.gauge("receipts_unpublished", "Receipts that no broker has yet", unpublished);
}

/// What the broker has said last.
fn write_queues(state: &State, sheet: &mut Sheet) -> Result<(), Failure> {
    let Some(queues) = &state.role.head_office()?.queues else { return Ok(()) };
    let known = queues.known();
    let is_up = known.away.is_none() && !known.depths.is_empty();
    sheet.gauge("broker_up", "Whether the broker has answered when it was asked last", [([], is_up.into())]);
    let depths = known.depths.iter().filter(|_| is_up);
    let depths = depths.filter_map(|(branch, depth)| Some(([("branch", branch.clone())], (*depth)?.into())));
    sheet.gauge("branch_queue_messages", "Messages that wait in the branch's queue", depths);
    Ok(())
}

fn seconds_since_1970(moment: DateTime<Utc>) -> f64 {
    seconds(moment.timestamp_millis())
}
