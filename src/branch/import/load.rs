//! Checked sales into the database: one `COPY` in one transaction.

use std::io::Read;

use postgres::error::SqlState;
use postgres::{Client, CopyInWriter};
use rust_decimal::Decimal;

use super::reader::SaleReader;
use super::sale::{Sale, SaleRules};
use super::{ImportOptions, Problem};
use crate::database::database_failure;
use crate::domain::{Failure, Kind};

const COPY: &str = "COPY public.sales (date, region, product, qty, cost, amt, tax, total) \
                    FROM STDIN (FORMAT csv)";

const LOADING: &str = "importing into public.sales";

/// Most problems that are kept; a file of the wrong kind has one in every line.
const KEPT_PROBLEMS: usize = 1000;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// All sales are in the table.
    Loaded {
        /// How many.
        row_count: u64,
        /// The sum of their `Total`.
        total: Decimal,
    },
    /// None is.
    Refused {
        /// What is wrong with the bad lines, in the order of the file: the first thousand problems.
        problems: Vec<Problem>,
        /// How many more there are.
        more: u64,
    },
}

/// Loads the sales in `source`, a CSV file, into `public.sales`: all, or none.
///
/// Memory is bounded whatever the size of the file. From the first bad line on the database is left
/// alone, and the rest is read only to tell what else is wrong.
pub fn import(
    client: &mut Client,
    source: impl Read,
    options: &ImportOptions,
) -> Result<ImportOutcome, Failure> {
    let mut sales = SaleReader::new(source, SaleRules::new(options)?)?;
    match load(client, &mut sales)? {
        Load::Done { row_count, total } => Ok(ImportOutcome::Loaded { row_count, total }),
        Load::Stopped(problems) => survey(problems, &mut sales),
    }
}

enum Load {
    Done {
        row_count: u64,
        total: Decimal,
    },
    /// A bad line was met, with these problems; the transaction is rolled back.
    Stopped(Vec<Problem>),
}

fn load(client: &mut Client, sales: &mut SaleReader<impl Read>) -> Result<Load, Failure> {
    let mut transaction = client.transaction().map_err(|error| refused(&error))?;
    let copy = transaction.copy_in(COPY).map_err(|error| refused(&error))?;
    let mut rows = csv::Writer::from_writer(copy);
    let (mut row_count, mut total) = (0, Decimal::ZERO);
    for sale in sales {
        // Leaving here drops the writer unfinished, which aborts the COPY, and then the transaction.
        match sale? {
            Err(problems) => return Ok(Load::Stopped(problems)),
            Ok(sale) => {
                write_row(&mut rows, &sale)?;
                row_count += 1;
                total = total.saturating_add(sale.total);
            }
        }
    }
    let copy = rows.into_inner().map_err(|error| cut_off(error.error()))?;
    let taken = copy.finish().map_err(|error| refused(&error))?;
    if taken != row_count {
        let why = format!("the table took {taken} of {row_count} rows");
        return Err(Failure::new(Kind::Failed, LOADING, why)
            .hint("nothing was imported; look for a trigger on public.sales that drops rows"));
    }
    transaction.commit().map_err(|error| uncertain(&error))?;
    Ok(Load::Done { row_count, total })
}

/// One row in the dialect of `COPY ... CSV`. No field is ever empty, so none reads as NULL.
fn write_row(rows: &mut csv::Writer<CopyInWriter<'_>>, sale: &Sale) -> Result<(), Failure> {
    let Sale { date, region, product, qty, cost, amt, tax, total } = sale;
    let [date, qty] = [date.format("%Y-%m-%d").to_string(), qty.to_string()];
    let [cost, amt, tax, total] = [cost, amt, tax, total].map(Decimal::to_string);
    rows.write_record([&date, region, product, &qty, &cost, &amt, &tax, &total]).map_err(cut_off)
}

/// Reads on after the first bad line, for its problems only.
fn survey(mut problems: Vec<Problem>, sales: &mut SaleReader<impl Read>) -> Result<ImportOutcome, Failure> {
    let mut more = 0;
    for sale in sales {
        for problem in sale?.err().into_iter().flatten() {
            if problems.len() < KEPT_PROBLEMS {
                problems.push(problem);
            } else {
                more += 1;
            }
        }
    }
    Ok(ImportOutcome::Refused { problems, more })
}

/// The server said no. What is special here is what a missing table or column means.
fn refused(error: &postgres::Error) -> Failure {
    let failure = database_failure(LOADING, error);
    match error.code() {
        Some(&SqlState::UNDEFINED_TABLE) => {
            failure.hint("create the table with `salesync init --with-sales`")
        }
        Some(&SqlState::UNDEFINED_COLUMN) => {
            failure.hint("public.sales needs the columns date, region, product, qty, cost, amt, tax, total")
        }
        _ if failure.advice().is_none() => failure.hint("nothing was imported; mend what the database names"),
        _ => failure,
    }
}

/// The connection broke before the end: writing to it has no other way to fail.
fn cut_off(error: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Unreachable, LOADING, error)
        .hint("nothing was imported; run the import again when the database is back")
}

/// The commit failed. If the server answered, it rolled back; if it did not, nobody knows.
fn uncertain(error: &postgres::Error) -> Failure {
    if error.as_db_error().is_some() {
        return refused(error);
    }
    Failure::new(Kind::Unreachable, "committing the import into public.sales", error)
        .hint("look whether the sales are in the table before importing the file again")
}
