//! The sales as a file.

use std::time::Duration;

use axum::extract;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::ask::{Asking, SalesQuery};
use crate::domain::{Failure, Kind};
use crate::head_office::sales::{ExportForm, SalesTable, export_sales, sales_table};
use crate::web::download::attachment;
use crate::web::form::Asked;
use crate::web::server::State;
use crate::web::trouble::Trouble;

/// A file that takes longer holds up the database too much.
const LONGEST: Duration = Duration::from_mins(10);

/// `/sales.csv`: the sales of the filter, all of them.
pub(in crate::web::head_office) async fn file(
    extract::State(state): extract::State<State>,
    Asked(query): Asked<SalesQuery>,
) -> Result<Response, Trouble> {
    let asking = Asking::try_from(query)?;
    if asking.id.is_some() {
        let why = "a file has all sales of a period, branch, region or product";
        return Err(Failure::new(Kind::Usage, "reading the field `id`", why).into());
    }
    let name = file_name(&asking);
    let form = if asking.is_exact { ExportForm::Exact } else { ExportForm::ForSpreadsheets };
    let databases = state.databases.clone();
    let body = state.databases.download(move |client, outlet| {
        if sales_table(client)? != SalesTable::Fit {
            let why = "head office has no table public.sales as `salesync init --with-sales` makes it";
            return Err(Failure::new(Kind::Usage, "making a file of the sales", why));
        }
        let connect = || databases.connect();
        export_sales(client, connect, &asking.filter, form, LONGEST, |piece| outlet.send(piece)).map(drop)
    });
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (CONTENT_DISPOSITION, attachment(&name)),
    ];
    Ok((headers, body.await?).into_response())
}

fn file_name(asking: &Asking) -> String {
    let filter = &asking.filter;
    let days = [filter.from, filter.to].map(|day| day.map(|day| day.to_string()));
    let [from, to] = days;
    let parts = [Some("sales".to_owned()), filter.branch.as_ref().map(ToString::to_string), from, to];
    parts.into_iter().flatten().collect::<Vec<_>>().join("_") + ".csv"
}
