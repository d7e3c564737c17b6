//! A business day of a branch: what it said, what head office has, and by which bundle.

use std::sync::Arc;

use askama::Template;
use axum::extract;
use axum::extract::Path;
use axum::response::Response;
use chrono::{NaiveDate, Utc};
use postgres::Client;

use super::days::look;
use crate::domain::{ColumnTotal, DayTotal, NodeName, Sequence};
use crate::head_office::monitor::{BranchDay, StatedTable, branch_day};
use crate::web::field::exact_day;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{Moment, grouped};

#[derive(Template)]
#[template(path = "head_office/branch_day.html")]
struct BranchDayPage {
    frame: Frame,
    branch: NodeName,
    day: NaiveDate,
    found: BranchDay,
    tables: Vec<Table>,
    is_different: bool,
    as_of: Option<Moment>,
}

/// A table's figures at both ends.
struct Table {
    name: String,
    lines: Vec<Line>,
    stated_at: Moment,
    sequence: Option<u64>,
    /// Bundles that were applied since.
    since: u64,
    is_equal: Option<bool>,
}

struct Line {
    name: String,
    stated: String,
    found: Option<String>,
    differs: bool,
}

/// `GET /days/{branch}/{day}`
pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Path((branch, wanted)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let branch: NodeName = branch.parse().map_err(|_| Trouble::NotFound)?;
    let day = exact_day(&wanted).ok_or(Trouble::NotFound)?;
    let (asked, name) = (Arc::clone(&state), branch.clone());
    let read = move |client: &mut Client| {
        branch_day(client, &asked.role.head_office()?.branches().expect_every, &name, day, Utc::now())
    };
    let found = state.databases.read(read).await?.ok_or(Trouble::NotFound)?;
    let last = found.standing.state.last_sequence.map_or(0, Sequence::get);
    let tables: Vec<Table> = found.tables.iter().map(|table| Table::new(table, last)).collect();
    let is_different = tables.iter().any(|table| table.is_equal == Some(false));
    let frame = Frame::new(&state, viewer, "A day", "/days");
    let as_of = found.standing.state.data_as_of.map(Moment);
    render(&BranchDayPage { frame, branch, day, found, tables, is_different, as_of })
}

impl Table {
    fn new(table: &StatedTable, last: u64) -> Self {
        let StatedTable { summed, stated, found, .. } = table;
        let rows = |day: &DayTotal| grouped(&day.rows);
        let mut lines = vec![Line::new("Rows", rows(stated), found.as_ref().map(rows))];
        for (index, column) in summed.iter().enumerate() {
            let sum = |day: &DayTotal| day.totals.get(index).map_or_else(String::new, in_words);
            lines.push(Line::new(column, sum(stated), found.as_ref().map(sum)));
        }
        let sequence = table.sequence.map(Sequence::get);
        Self {
            name: table.table.to_string(),
            lines,
            stated_at: Moment(table.stated_at),
            sequence,
            since: last.saturating_sub(sequence.unwrap_or(last)),
            is_equal: table.is_equal(),
        }
    }
}

impl Line {
    fn new(name: &str, stated: String, found: Option<String>) -> Self {
        let differs = found.as_ref().is_some_and(|found| *found != stated);
        Self { name: name.to_owned(), stated, found, differs }
    }
}

/// The sum, and how many values are not in it, where that is not all of them.
fn in_words(total: &ColumnTotal) -> String {
    let sum = grouped(&total.sum);
    match total.non_finite {
        0 => sum,
        some => format!("{sum} and {some} NaN or infinite"),
    }
}
