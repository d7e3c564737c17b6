//! The store-day board: every branch, every business day.

use std::borrow::Borrow;
use std::sync::Arc;

use askama::Template;
use axum::extract;
use axum::response::Response;
use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use postgres::Client;
use serde::Deserialize;

use crate::domain::{Failure, Kind};
use crate::head_office::monitor::{
    Board, BoardDays, BoardRow, BusinessTable, Cell, CellState, Figure, board as board_of, business_tables,
    latest_sales, local_day, standings,
};
use crate::web::field::day;
use crate::web::form::Asked;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::site::HeadOfficeSite;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{Moment, grouped};

/// How many days there can be on a board.
const COUNTS: [u32; 3] = [7, 14, 31];
const USUAL_COUNT: u32 = 14;

/// Which board is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    until: Option<String>,
    days: Option<String>,
    table: Option<String>,
}

/// A board with what was wanted of it.
pub(super) struct Found {
    pub(super) board: Board,
    pub(super) table: Option<BusinessTable>,
    pub(super) days: BoardDays,
    tables: Vec<BusinessTable>,
    count: u32,
    today: NaiveDate,
    /// The newest business day that any branch has sold something on, up to today.
    newest: Option<NaiveDate>,
    /// Nobody has said which days, and the newest have nothing to show: these are the newest that have.
    is_older: bool,
}

#[derive(Template)]
#[template(path = "head_office/days.html")]
struct DaysPage {
    frame: Frame,
    found: Found,
    /// What the links that change only one thing keep: `days=14&table=public.sales`.
    kept: String,
    earlier: Option<NaiveDate>,
    later: Option<NaiveDate>,
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Trouble> {
    let found = find(&state, wanted).await?;
    let frame = Frame::new(&state, viewer, "Days", "/days");
    let step = Days::new(found.count.into());
    let later = found.days.last.checked_add_days(step).map(|later| later.min(found.today));
    let later = later.filter(|later| *later > found.days.last);
    let earlier = found.days.first.pred_opt().filter(|day| day.year() >= 1);
    render(&DaysPage { kept: found.kept()?, frame, earlier, later, found })
}

/// Reads the board that is wanted.
pub(super) async fn find(state: &State, wanted: Wanted) -> Result<Found, Failure> {
    let now = Utc::now();
    let until = day(wanted.until.as_deref().unwrap_or_default())
        .map_err(|why| Failure::new(Kind::Usage, "reading the day", why))?;
    let count = wanted.days.as_deref().filter(|text| !text.is_empty()).map(count).transpose()?;
    let count = count.unwrap_or(USUAL_COUNT);
    let asked = Arc::clone(state);
    let read = move |client: &mut Client| {
        Found::read(client, asked.role.head_office()?, wanted.table.as_deref(), until, count, now)
    };
    state.databases.read(read).await
}

fn count(text: &str) -> Result<u32, Failure> {
    let count = text.parse().ok().filter(|count| COUNTS.contains(count));
    count.ok_or_else(|| {
        Failure::new(Kind::Usage, "reading how many days", format!("{text:?} is none of 7, 14 and 31"))
    })
}

impl Found {
    fn read(
        client: &mut Client,
        site: &HeadOfficeSite,
        wanted: Option<&str>,
        until: Option<NaiveDate>,
        count: u32,
        now: DateTime<Utc>,
    ) -> Result<Self, Failure> {
        let tables = business_tables(client, &site.amounts)?;
        let table = match wanted.filter(|wanted| !wanted.is_empty()) {
            Some(wanted) => Some(named(&tables, wanted)?),
            None => tables.first().cloned(),
        };
        let standings = standings(client, &site.branches().expect_every, now)?;
        let today = local_day(now);
        let mut days = BoardDays::up_to(until.unwrap_or(today), count);
        let mut board = board_of(client, table.as_ref(), &standings, days, now)?;
        let sold = table.as_ref().map(|table| latest_sales(client, table, today)).transpose()?;
        let newest = sold.and_then(|sold| sold.values().map(|sold| sold.day).max());
        let newest = newest.filter(|day| day.year() >= 1);
        if let Some(newest) = newest.filter(|_| until.is_none() && board.is_quiet()) {
            days = BoardDays::up_to(newest, count);
            board = board_of(client, table.as_ref(), &standings, days, now)?;
        }
        let count = u32::try_from(board.days.len()).unwrap_or(USUAL_COUNT);
        Ok(Self {
            is_older: until.is_none() && days.last != today,
            board,
            table,
            days,
            tables,
            count,
            today,
            newest,
        })
    }

    fn amount(&self) -> Option<&str> {
        self.table.as_ref()?.amount.as_deref()
    }

    fn kept(&self) -> Result<String, Failure> {
        let count = self.count.to_string();
        let table = self.table.as_ref().filter(|_| self.tables.len() > 1).map(|table| table.name.to_string());
        let fields = [("days", Some(count)), ("table", table)];
        let given: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        serde_urlencoded::to_string(given)
            .map_err(|error| Failure::new(Kind::Failed, "writing a link", error))
    }

    /// The days with their place on the board, the newest first: what is looked at most is then seen at once.
    fn newest_first(&self) -> impl Iterator<Item = (usize, &NaiveDate)> {
        self.board.days.iter().enumerate().rev()
    }

    /// What a cell shows largest: money where there is some, rows else.
    fn shown(&self, figure: &Figure) -> String {
        if self.amount().is_some() { grouped(&figure.amount.text()) } else { grouped(&figure.rows) }
    }

    fn is_shown(&self, table: &BusinessTable) -> bool {
        self.table.as_ref().is_some_and(|shown| shown.name == table.name)
    }

    fn is_empty(&self) -> bool {
        self.board.sum.rows == 0
    }
}

fn named(tables: &[BusinessTable], wanted: &str) -> Result<BusinessTable, Failure> {
    let found = tables.iter().find(|table| table.name.to_string() == wanted).cloned();
    found.ok_or_else(|| {
        let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
        Failure::new(
            Kind::Usage,
            "looking for the table",
            format!("no branch has said anything of {wanted:?}"),
        )
        .hint(format!("tables with business days: {}", names.join(", ")))
    })
}

fn as_of(row: &BoardRow) -> Option<Moment> {
    row.data_as_of.map(Moment)
}

/// What was sold on the day, if anything was.
fn sold(cell: &Cell) -> Option<&Figure> {
    cell.figure.as_ref().filter(|figure| figure.rows > 0)
}

fn rows(figure: &Figure) -> String {
    format!("{} {}", grouped(&figure.rows), if figure.rows == 1 { "row" } else { "rows" })
}

/// How a state looks: a class. Beside it stands the word.
pub(super) fn look(state: impl Borrow<CellState>) -> &'static str {
    match state.borrow() {
        CellState::Complete => "ok",
        CellState::SoFar => "waiting",
        CellState::Partial => "late",
        CellState::Late | CellState::Missing => "trouble",
        CellState::NoSales | CellState::NotYet => "idle",
    }
}
