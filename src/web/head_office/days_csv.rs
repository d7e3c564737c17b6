//! The store-day board as a file for a spreadsheet.

use axum::extract;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use super::days::{Found, Wanted, find};
use crate::domain::{Failure, Kind};
use crate::web::form::Asked;
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::Moment;

/// `GET /days.csv`
pub(super) async fn file(
    extract::State(state): extract::State<State>,
    _: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Trouble> {
    let found = find(&state, wanted).await?;
    let text = written(&found).map_err(|error| Failure::new(Kind::Failed, "writing the days", error))?;
    let name = format!("attachment; filename=\"days-{}-{}.csv\"", found.days.first, found.days.last);
    let kinds = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((kinds, text).into_response())
}

fn written(found: &Found) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let table = found.table.as_ref().map(|table| table.name.to_string()).unwrap_or_default();
    let amount = found.table.as_ref().and_then(|table| table.amount.as_deref());
    writer.write_record([
        "table",
        "branch",
        "day",
        "state",
        "rows",
        amount.unwrap_or("amount"),
        "why",
        "data_as_of",
    ])?;
    for row in &found.board.rows {
        let as_of = row.data_as_of.map(|moment| Moment(moment).rfc3339()).unwrap_or_default();
        for cell in &row.cells {
            let rows = cell.figure.as_ref().map(|figure| figure.rows.to_string()).unwrap_or_default();
            let sum = cell.figure.as_ref().filter(|_| amount.is_some()).map(|figure| figure.amount.text());
            writer.write_record([
                table.as_str(),
                row.branch.as_str(),
                &cell.day.to_string(),
                cell.state.as_str(),
                &rows,
                &sum.unwrap_or_default(),
                cell.why.as_deref().unwrap_or_default(),
                &as_of,
            ])?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}
