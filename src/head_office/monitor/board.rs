//! The store-day board: every branch, every business day, and whether what is here is all there was.
//!
//! What is proven of a day. A row of `day_total` is the branch's last word on it: how many rows it had and their exact
//! sums. It was written in the transaction that applied the bundle which says so, after head office had counted its own
//! rows of that day and found the same; else the bundle would have been rejected. Each later change set that touches the
//! day states it anew, with its last bundle. So while head office stands at a finished change set, the last word holds for
//! every day. What it says nothing of had no rows. And if the change set's snapshot was taken after the day was over,
//! it is the whole day: all that was committed by then.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use postgres::{GenericClient, Row};

use super::calendar::day_ends_at;
use super::standing::Standing;
use super::tables::BusinessTable;
use crate::database::database_failure;
use crate::domain::{ExactSum, Failure, Kind, NodeName};

/// The days that a board shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoardDays {
    /// The first.
    pub first: NaiveDate,
    /// The last.
    pub last: NaiveDate,
}

impl BoardDays {
    /// So many days up to `last`; fewer if the calendar has no more.
    pub fn up_to(last: NaiveDate, count: u32) -> Self {
        let first = last.checked_sub_days(Days::new(u64::from(count.saturating_sub(1))));
        Self { first: first.unwrap_or(NaiveDate::MIN), last }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = NaiveDate> {
        self.first.iter_days().take_while(move |day| *day <= self.last)
    }
}

/// Rows and money, added up exactly.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// Rows.
    pub rows: u64,
    /// The money of those whose amount is a number.
    pub amount: ExactSum,
    /// Rows whose amount is `NaN` or infinite.
    pub non_finite: u64,
}

impl Figure {
    pub(super) fn add(&mut self, rows: u64, amount: &str, non_finite: u64) -> Result<(), Failure> {
        self.rows += rows;
        self.non_finite += non_finite;
        let doing = "adding up the business days";
        self.amount.add(amount.as_bytes()).map_err(|error| Failure::new(Kind::Failed, doing, error))
    }

    /// Adds another.
    pub fn add_figure(&mut self, other: &Self) -> Result<(), Failure> {
        self.add(other.rows, &other.amount.text(), other.non_finite)
    }
}

/// What is known of a day of a branch. The order is that of the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellState {
    /// The whole day is here, proven equal.
    Complete,
    /// The day is over, and the branch had no rows on it.
    NoSales,
    /// The day is not over; what is here is proven as of the branch's last change set.
    SoFar,
    /// A part is here, or what is here may be changed by a bundle that waits.
    Partial,
    /// The day is over, nothing of it is here, and the branch is silent for longer than it may be.
    Late,
    /// The day is over, and nothing of it is here yet.
    Missing,
    /// The day has not begun, or has only just.
    NotYet,
}

impl CellState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Complete, Self::NoSales, Self::SoFar, Self::Partial, Self::Late, Self::Missing, Self::NotYet];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::NoSales => "no sales",
            Self::SoFar => "so far",
            Self::Partial => "partial",
            Self::Late => "late",
            Self::Missing => "missing",
            Self::NotYet => "not yet",
        }
    }

    /// What exactly it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Complete => {
                "The branch made its last change set after this day was over, all of it was applied, and head office \
                 counted the same number of rows and the same exact sums as the branch before it was."
            }
            Self::NoSales => {
                "The branch made its last change set after this day was over, all of it was applied, and the branch \
                 has no rows on this day."
            }
            Self::SoFar => {
                "The day is not over. Rows and sums are equal to the branch's as of its last change set."
            }
            Self::Partial => {
                "Not the last word: the branch's last change set was made before the day was over, or has not come to \
                 its end, or bundles are held, missing or rejected that may touch this day."
            }
            Self::Late => {
                "The day is over, the branch's last change set was made before it began, and the branch has been silent for \
                 longer than it may be (expect_every)."
            }
            Self::Missing => "The day is over, and the branch's last change set was made before it began.",
            Self::NotYet => "The day is not over, and nothing of it is here yet.",
        }
    }
}

/// A day of a branch.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The day.
    pub day: NaiveDate,
    /// What is known of it.
    pub state: CellState,
    /// What the branch said last, proven when it did.
    pub figure: Option<Figure>,
    /// Why it is no more than that, in a sentence; none where the state says it all.
    pub why: Option<String>,
}

/// A branch on the board.
#[derive(Debug, Clone)]
pub struct BoardRow {
    /// The branch.
    pub branch: NodeName,
    /// When it took its last change set that is here to the end.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Its days, as in [`Board::days`].
    pub cells: Vec<Cell>,
    /// Their sum.
    pub sum: Figure,
}

/// The board of one table.
#[derive(Debug, Clone)]
pub struct Board {
    /// The days.
    pub days: Vec<NaiveDate>,
    /// The branches, by name.
    pub rows: Vec<BoardRow>,
    /// The sum of each day over all branches.
    pub sums: Vec<Figure>,
    /// The sum of all.
    pub sum: Figure,
}

const STATED: &str = "
    SELECT d.branch, d.day, d.row_count, coalesce(d.total->>'sum', '0'), coalesce((d.total->>'non_finite')::bigint, 0)
    FROM salesync.branch b CROSS JOIN LATERAL (
        SELECT branch, day, row_count, totals->(array_position(summed, $3::text) - 1) AS total
        FROM salesync.day_total
        WHERE branch = b.name AND schema_name = $1 AND table_name = $2 AND day BETWEEN $4 AND $5) d";

/// The board of these days. `standings` are the branches.
pub fn board(
    client: &mut impl GenericClient,
    table: Option<&BusinessTable>,
    standings: &[Standing],
    days: BoardDays,
    now: DateTime<Utc>,
) -> Result<Board, Failure> {
    let mut figures = match table {
        Some(table) => stated(client, table, days)?,
        None => Figures::new(),
    };
    let days: Vec<NaiveDate> = days.iter().collect();
    let mut board =
        Board { sums: vec![Figure::default(); days.len()], days, rows: Vec::new(), sum: Figure::default() };
    for standing in standings {
        board.add(standing, &mut figures, now)?;
    }
    Ok(board)
}

fn stated(
    client: &mut impl GenericClient,
    table: &BusinessTable,
    days: BoardDays,
) -> Result<Figures, Failure> {
    let (schema, name) = (&table.name.schema, &table.name.table);
    let rows = client
        .query(STATED, &[schema, name, &table.amount, &days.first, &days.last])
        .map_err(|error| database_failure("reading what the branches have said of their days", &error))?;
    rows.iter().map(figure).collect()
}

type Figures = BTreeMap<(String, NaiveDate), Figure>;

fn figure(row: &Row) -> Result<((String, NaiveDate), Figure), Failure> {
    let mut figure = Figure::default();
    figure.add(row.get::<_, i64>(2).unsigned_abs(), row.get(3), row.get::<_, i64>(4).unsigned_abs())?;
    Ok(((row.get(0), row.get(1)), figure))
}

impl Board {
    /// There is nothing on it, and nothing is missed.
    pub fn is_quiet(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        let is_quiet = |state| matches!(state, CellState::NoSales | CellState::SoFar | CellState::NotYet);
        self.sum.rows == 0 && cells.all(|cell| is_quiet(cell.state))
    }

    fn add(&mut self, standing: &Standing, figures: &mut Figures, now: DateTime<Utc>) -> Result<(), Failure> {
        let branch = &standing.state.name;
        let mut sum = Figure::default();
        let mut cells = Vec::with_capacity(self.days.len());
        for (day, of_day) in self.days.iter().zip(&mut self.sums) {
            let figure = figures.remove(&(branch.to_string(), *day));
            if let Some(figure) = &figure {
                sum.add_figure(figure)?;
                of_day.add_figure(figure)?;
            }
            cells.push(cell(standing, *day, figure, now));
        }
        self.sum.add_figure(&sum)?;
        self.rows.push(BoardRow {
            branch: branch.clone(),
            data_as_of: standing.state.data_as_of,
            cells,
            sum,
        });
        Ok(())
    }
}

/// What is known of this day of the branch, of which it said `figure`, if it spoke of it.
pub(super) fn cell(standing: &Standing, day: NaiveDate, figure: Option<Figure>, now: DateTime<Utc>) -> Cell {
    let as_of = standing.state.data_as_of;
    let end = day_ends_at(day).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let begin = day.pred_opt().and_then(day_ends_at).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let has_rows = figure.as_ref().is_some_and(|figure| figure.rows > 0);
    let is_begun_here = as_of.is_some_and(|as_of| as_of > begin) || has_rows;
    let doubt = doubt(standing);
    let (state, why) = if as_of.is_some_and(|as_of| as_of >= end) {
        match (doubt, has_rows) {
            (Some(doubt), _) => (CellState::Partial, Some(doubt)),
            (None, true) => (CellState::Complete, None),
            (None, false) => (CellState::NoSales, None),
        }
    } else if end > now {
        if is_begun_here { (CellState::SoFar, doubt) } else { (CellState::NotYet, None) }
    } else if is_begun_here {
        (CellState::Partial, Some(doubt.unwrap_or_else(|| "The rest of the day has yet to come.".to_owned())))
    } else if standing.late.is_some() {
        (CellState::Late, doubt)
    } else {
        (CellState::Missing, doubt)
    };
    Cell { day, state, figure, why }
}

/// Why what is here may not be the last word on any day, whenever the branch made its last change set.
fn doubt(standing: &Standing) -> Option<String> {
    let doubts = standing.doubts();
    (!doubts.is_empty()).then(|| format!("It may yet be changed: {}.", doubts.join(", ")))
}
