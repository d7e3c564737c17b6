//! Counts rows and sums columns of COPY CSV as the bytes go by, in whatever pieces they come.

use memchr::memchr;

use crate::domain::{Column, ColumnTotal, ExactSum, Totals, is_summed};

/// Running control totals of one member.
#[derive(Debug)]
pub(super) struct Tally {
    names: Vec<String>,
    /// One entry per column; none where sums are not exact.
    sums: Vec<Option<ExactSum>>,
    rows: u64,
    /// The field the next byte belongs to.
    field: usize,
    in_quotes: bool,
    /// Text of the current field so far, if it is summed.
    number: Vec<u8>,
    /// The first bytes of the current row, if the table has one column only.
    head: Vec<u8>,
    row_begun: bool,
}

/// No number's text is longer, so a longer one need not be kept to know it is none.
const LONGEST_NUMBER: usize = 160_000;
/// Alone on a line and without quotes, this makes COPY ignore all that follows.
const END_OF_DATA: &[u8] = b"\\.";

impl Tally {
    /// A tally of rows with these columns.
    pub(super) fn new(columns: &[Column]) -> Self {
        let sum = |column: &Column| is_summed(&column.type_name).then(ExactSum::default);
        Self {
            names: columns.iter().map(|column| column.name.clone()).collect(),
            sums: columns.iter().map(sum).collect(),
            rows: 0,
            field: 0,
            in_quotes: false,
            number: Vec::new(),
            head: Vec::new(),
            row_begun: false,
        }
    }

    /// Whole rows seen.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The control totals so far.
    pub(super) fn totals(&self) -> Totals {
        let summed = self.names.iter().zip(&self.sums);
        summed.filter_map(|(name, sum)| Some((name.clone(), ColumnTotal::from(sum.as_ref()?)))).collect()
    }

    /// Takes the next bytes; the reason if they are not rows of these columns.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        self.row_begun |= !bytes.is_empty();
        while !bytes.is_empty() {
            // Fields are short: a plain look at every byte is faster than a search that first gets ready.
            let is_mark = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
            let found = if self.in_quotes { memchr(b'"', bytes) } else { bytes.iter().position(is_mark) };
            let Some(at) = found else {
                return self.keep(bytes);
            };
            match bytes[at] {
                b'"' => {
                    self.keep(&bytes[..at])?;
                    self.quote()?;
                }
                b',' => self.end_field(&bytes[..at])?,
                b'\n' => self.end_row(&bytes[..at])?,
                _ => return Err("it has a carriage return outside quotes"),
            }
            bytes = &bytes[at + 1..];
            self.row_begun |= !bytes.is_empty();
        }
        Ok(())
    }

    /// Nothing may be left in the middle of a row.
    pub(super) fn finish(&self) -> Result<(), &'static str> {
        if self.row_begun { Err("it ends in the middle of a row") } else { Ok(()) }
    }

    fn quote(&mut self) -> Result<(), &'static str> {
        if matches!(self.sums.get(self.field), Some(Some(_))) {
            // PostgreSQL quotes no number, and two quotes in one would read as another number than they are.
            return Err("a number is in quotes");
        }
        self.in_quotes = !self.in_quotes;
        self.keep_head(b"\"");
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.keep_head(bytes);
        if !matches!(self.sums.get(self.field), Some(Some(_))) {
            return Ok(());
        }
        if self.number.len() + bytes.len() > LONGEST_NUMBER {
            return Err("a number is too long");
        }
        self.number.extend_from_slice(bytes);
        Ok(())
    }

    fn keep_head(&mut self, bytes: &[u8]) {
        if self.sums.len() == 1 {
            let room = (END_OF_DATA.len() + 1).saturating_sub(self.head.len());
            self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// The field ends with these bytes.
    fn end_field(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.keep(bytes)?;
        let sum = self.sums.get_mut(self.field).ok_or("it has more fields than columns")?;
        if let Some(sum) = sum
            && !self.number.is_empty()
        {
            sum.add(&self.number).map_err(|_| "a field of a number column is no number")?;
            self.number.clear();
        }
        self.field += 1;
        Ok(())
    }

    fn end_row(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        self.end_field(bytes)?;
        if self.field != self.sums.len() {
            return Err("it has fewer fields than columns");
        }
        if self.head == END_OF_DATA {
            return Err("it ends the data for PostgreSQL");
        }
        self.head.clear();
        self.field = 0;
        self.rows += 1;
        self.row_begun = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |name: &str, type_name: &str, key| Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            key,
        };
        vec![
            column("id", "bigint", Some(1)),
            column("note", "text", None),
            column("amt", "numeric(14,2)", None),
        ]
    }

    const ROWS: &[u8] = b"1,\"two\n\"\"lines\"\", and more\",1.50\n2,,\n-3,\"\",NaN\n";

    #[test]
    fn pieces_of_any_size_give_the_same_totals() {
        for size in 1..=ROWS.len() {
            let mut tally = Tally::new(&columns());
            for piece in ROWS.chunks(size) {
                tally.feed(piece).unwrap();
            }
            tally.finish().unwrap();
            let totals = tally.totals();
            assert_eq!(tally.rows(), 3);
            assert_eq!((totals["id"].sum.as_str(), totals["id"].values), ("0", 3));
            assert_eq!(
                (totals["amt"].sum.as_str(), totals["amt"].values, totals["amt"].non_finite),
                ("1.50", 2, 1)
            );
            assert!(!totals.contains_key("note"));
        }
    }

    #[test]
    fn rows_of_another_shape_are_refused() {
        let shapes: [&[u8]; 9] = [
            b"1,a\n",
            b"1,a,2,3\n",
            b"x,a,1\n",
            b"\n",
            b"1,a,1.5.0\n",
            b"1,a\rb,2\n",
            b"1,a,\"2\"\n",
            b"1,a,1\"\"2\n",
            b"1,a,\"\"\n",
        ];
        for rows in shapes {
            assert!(Tally::new(&columns()).feed(rows).is_err(), "{}", String::from_utf8_lossy(rows));
        }
        let mut cut_off = Tally::new(&columns());
        cut_off.feed(b"1,a,2").unwrap();
        assert!(cut_off.finish().is_err());
        let mut unclosed = Tally::new(&columns());
        unclosed.feed(b"1,\"a,2\n").unwrap();
        assert!(unclosed.finish().is_err());
    }

    #[test]
    fn a_line_that_ends_the_data_for_postgresql_is_refused() {
        let only_text = [columns().remove(1)];
        let feed = |rows: &[u8]| {
            let mut tally = Tally::new(&only_text);
            rows.chunks(1).try_for_each(|piece| tally.feed(piece))
        };
        assert_eq!(feed(b"a\n\"\\.\"\n\\.b\n\\\n"), Ok(()));
        assert!(feed(b"a\n\\.\nb\n").is_err());
    }
}
