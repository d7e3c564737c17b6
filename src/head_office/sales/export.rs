//! The sales as CSV, straight from the server's COPY.

use std::io::{self, Read as _};
use std::time::{Duration, Instant};

use postgres::Client;

use super::filter::SalesFilter;
use super::shape::FROM;
use super::statement::failed;
use crate::database::{copy_failure, database_failure};
use crate::domain::{Failure, Kind};

/// How much of the file is passed on at a time.
const PIECE: usize = 64 << 10;

/// So much later the server ends what this program should have ended.
const GRACE: Duration = Duration::from_mins(2);

/// Sent before the query runs: whoever waits sees that something comes.
const HEADER: &str = "branch,id,date,region,product,qty,cost,amt,tax,total\r\n";

/// How texts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportForm {
    /// With an apostrophe before a text that a spreadsheet would take for a formula.
    ForSpreadsheets,
    /// As they are.
    Exact,
}

/// Writes the sales to `sink`, piece by piece, as RFC 4180 wants them, with a header line, in the order of branches and
/// numbers. If `sink` fails, the query is ended over another connection, which `connect` opens, and `false` returned. It
/// fails if `longest` is not enough: as long as it reads, nobody can change the table's columns, and no dead row of the
/// database is cleared away.
pub fn export_sales(
    client: &mut Client,
    connect: impl FnOnce() -> Result<Client, Failure>,
    filter: &SalesFilter,
    form: ExportForm,
    longest: Duration,
    mut sink: impl FnMut(Vec<u8>) -> io::Result<()>,
) -> Result<bool, Failure> {
    let doing = "reading the sales for a file";
    let begun = Instant::now();
    let mut transaction = client.transaction().map_err(|error| failed(&error))?;
    let backend = transaction.query_one("SELECT pg_backend_pid()", &[]).map_err(|error| failed(&error))?;
    // The server ends it also if this program has been stopped.
    let limit = format!("SET LOCAL statement_timeout = {}", (longest + GRACE).as_millis());
    transaction.batch_execute(&limit).map_err(|error| failed(&error))?;
    let sales = statement(filter, form);
    // What cannot be read at all is said while it can still be.
    transaction.batch_execute(&format!("{sales} LIMIT 0")).map_err(|error| failed(&error))?;
    if sink(HEADER.as_bytes().to_vec()).is_err() {
        return Ok(false);
    }
    let copy = format!("COPY ({sales}) TO STDOUT (FORMAT csv)");
    let mut reader = transaction.copy_out(&copy).map_err(|error| failed(&error))?;
    let (mut lines, mut piece) = (Lines::default(), vec![0; PIECE]);
    let mut is_over = false;
    while !is_over {
        let mut filled = 0;
        // Behind the end nothing may be read once more.
        while filled < piece.len() && !is_over {
            let count = reader.read(&mut piece[filled..]).map_err(|error| copy_failure(doing, &error))?;
            filled += count;
            is_over = count == 0;
        }
        let is_wanted = filled == 0 || sink(lines.ended_by_two(&piece[..filled])).is_ok();
        let is_late = !is_over && begun.elapsed() > longest;
        if !is_wanted || is_late {
            // Otherwise the server would read on to the end for nobody.
            let ended = connect()?.execute("SELECT pg_cancel_backend($1)", &[&backend.get::<_, i32>(0)]);
            ended.map_err(|error| database_failure(doing, &error))?;
            return if is_wanted { Err(too_slow(longest)) } else { Ok(false) };
        }
    }
    Ok(true)
}

fn too_slow(longest: Duration) -> Failure {
    let why = format!("it took longer than {} min, and no more is sent of it", longest.as_secs() / 60);
    Failure::new(Kind::Postponed, "making a file of the sales", why)
        .hint("fetch the sales of a shorter period, or of one branch, or over a faster line")
}

fn statement(filter: &SalesFilter, form: ExportForm) -> String {
    let text = |name: &str| match form {
        ExportForm::Exact => format!("t.{name}"),
        ExportForm::ForSpreadsheets => {
            format!(r"CASE WHEN t.{name} ~ '^[-=+@\t\r\n]' THEN '''' || t.{name} ELSE t.{name} END AS {name}")
        }
    };
    format!(
        "SELECT t.branch, t.id, t.date, {}, {}, t.qty, t.cost, t.amt, t.tax, t.total FROM {FROM} WHERE {}
         ORDER BY t.branch, t.id",
        text("region"),
        text("product"),
        filter.condition(),
    )
}

/// PostgreSQL ends lines with a line feed; RFC 4180 wants a carriage return before it. Inside quotes nothing is changed.
#[derive(Default)]
struct Lines {
    in_quotes: bool,
}

impl Lines {
    fn ended_by_two(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(piece.len() + piece.len() / 16);
        for &byte in piece {
            match byte {
                b'"' => self.in_quotes = !self.in_quotes,
                b'\n' if !self.in_quotes => text.push(b'\r'),
                _ => {}
            }
            text.push(byte);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_ends_outside_of_quotes_are_changed() {
        let text = b"a,\"x\ny \"\"z\"\"\n\"\nb,\n";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let changed: Vec<u8> = text.chunks(size).flat_map(|piece| lines.ended_by_two(piece)).collect();
            assert_eq!(changed, b"a,\"x\ny \"\"z\"\"\n\"\r\nb,\r\n", "pieces of {size}");
        }
    }
}
