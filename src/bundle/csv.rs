//! PostgreSQL's COPY CSV dialect: header lines, row boundaries, single fields.
//!
//! Rows are never taken apart on their way: NULL (nothing) and the empty string (`""`) look alike to
//! every CSV library, and PostgreSQL's own text must arrive as it is. All that is needed is to know
//! where a row ends and, for the bounds of a range, what its key is.

use std::io::{self, BufRead};

use memchr::{memchr, memchr2};

use crate::domain::Column;

/// The header line of a member with these columns, line end included.
pub(super) fn header_line(columns: &[Column]) -> Vec<u8> {
    let quoted = |name: &str| {
        if name.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.to_owned()
        }
    };
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    (names.join(",") + "\n").into_bytes()
}

/// Splits a COPY CSV stream into rows. A line end inside quotes is part of its row.
#[derive(Debug)]
pub struct RowReader<R> {
    source: R,
    /// Of a row that does not come in one piece.
    row: Vec<u8>,
    /// So much of what the source shows was the last row.
    taken: usize,
}

impl<R: BufRead> RowReader<R> {
    /// Reads rows from `source`, which has no header line.
    pub fn new(source: R) -> Self {
        Self { source, row: Vec::new(), taken: 0 }
    }

    /// The next row with its line end; none at the end of the stream.
    pub fn next_row(&mut self) -> io::Result<Option<&[u8]>> {
        self.source.consume(std::mem::take(&mut self.taken));
        self.row.clear();
        let mut in_quotes = false;
        loop {
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() {
                return if self.row.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let end = row_end(bytes, &mut in_quotes);
            if let Some(end) = end.filter(|_| self.row.is_empty()) {
                self.taken = end;
                return Ok(Some(&self.source.fill_buf()?[..end]));
            }
            let taken = end.unwrap_or(bytes.len());
            self.row.extend_from_slice(&bytes[..taken]);
            self.source.consume(taken);
            if end.is_some() {
                return Ok(Some(&self.row));
            }
        }
    }
}

/// Where the row ends in `bytes`, line end included; `in_quotes` carries over to the next piece.
fn row_end(bytes: &[u8], in_quotes: &mut bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let found = if *in_quotes { memchr(b'"', rest) } else { memchr2(b'"', b'\n', rest) };
        at += found? + 1;
        if bytes[at - 1] == b'\n' && !*in_quotes {
            return Some(at);
        }
        *in_quotes = !*in_quotes;
    }
}

/// The texts of the key columns of one row, in key order. The row is one that [`RowReader`] gave for
/// these columns; a key is never NULL.
pub fn key_of_row(row: &[u8], columns: &[Column]) -> Vec<String> {
    let fields = fields_of(row);
    let mut key: Vec<(u16, String)> = columns
        .iter()
        .zip(fields)
        .filter_map(|(column, text)| Some((column.key?, String::from_utf8_lossy(&text).into_owned())))
        .collect();
    key.sort();
    key.into_iter().map(|(_, text)| text).collect()
}

/// The texts of a row's fields, to be looked at. NULL is none.
pub fn fields_of_row(row: &[u8]) -> Vec<Option<String>> {
    let (mut is_quoted, mut in_quotes) = (vec![false], false);
    for byte in row {
        match byte {
            b'"' => {
                in_quotes = !in_quotes;
                is_quoted.last_mut().into_iter().for_each(|is_quoted| *is_quoted = true);
            }
            b',' if !in_quotes => is_quoted.push(false),
            _ => {}
        }
    }
    let texts = fields_of(row).into_iter().zip(is_quoted);
    texts
        .map(|(text, is_quoted)| {
            (is_quoted || !text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
        })
        .collect()
}

fn fields_of(row: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = vec![Vec::new()];
    let mut in_quotes = false;
    let mut bytes = row.strip_suffix(b"\n").unwrap_or(row).iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' if in_quotes && bytes.peek() == Some(&&b'"') => {
                bytes.next();
                push(&mut fields, b'"');
            }
            b'"' => in_quotes = !in_quotes,
            b',' if !in_quotes => fields.push(Vec::new()),
            _ => push(&mut fields, byte),
        }
    }
    fields
}

fn push(fields: &mut [Vec<u8>], byte: u8) {
    if let Some(field) = fields.last_mut() {
        field.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn column(name: &str, key: Option<u16>) -> Column {
        Column { name: name.to_owned(), type_name: "text".to_owned(), key }
    }

    #[test]
    fn a_line_end_inside_quotes_does_not_end_a_row() {
        let stream = b"1,\"a\nb\"\n2,\"\"\"\n\"\n3,\n";
        for capacity in 1..=stream.len() {
            let mut reader = RowReader::new(BufReader::with_capacity(capacity, &stream[..]));
            let mut rows = Vec::new();
            while let Some(row) = reader.next_row().unwrap() {
                rows.push(row.to_vec());
            }
            assert_eq!(rows, [&b"1,\"a\nb\"\n"[..], b"2,\"\"\"\n\"\n", b"3,\n"], "pieces of {capacity}");
        }
    }

    #[test]
    fn the_key_of_a_row_comes_unquoted_and_in_key_order() {
        let columns = [column("b", Some(2)), column("x", None), column("a", Some(1))];
        assert_eq!(key_of_row(b"\"say \"\"hi\"\", you\",,7\n", &columns), ["7", "say \"hi\", you"]);
    }

    #[test]
    fn a_field_of_nothing_is_null_and_an_empty_text_is_not() {
        let fields = fields_of_row(b"1,,\"\",\"a\"\",b\"\n");
        let texts: Vec<Option<&str>> = fields.iter().map(Option::as_deref).collect();
        assert_eq!(texts, [Some("1"), None, Some(""), Some("a\",b")]);
    }

    #[test]
    fn header_lines_quote_what_csv_must_quote() {
        let columns = [column("id", None), column("a,b", None), column("say \"hi\"", None)];
        assert_eq!(header_line(&columns), b"id,\"a,b\",\"say \"\"hi\"\"\"\n");
    }
}
