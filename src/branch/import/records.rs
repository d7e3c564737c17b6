//! Bytes into CSV records (RFC 4180), strictly, in bounded memory, with true line numbers.
//!
//! Why not the `csv` crate, which writes our rows: its reader counts lines one short in files with
//! Windows line ends and after blank lines, takes a quote that is never closed without a word, and lets
//! that quote read the rest of the file into memory. Each of those would name the wrong line or none.

use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

/// Longest record, in bytes of the file. A sale has some hundred; a million is an unclosed quote.
const RECORD_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One record: its fields without their quotes, as bytes of any encoding.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The line it starts in, from 1.
    pub(super) line: u64,
    /// The line it ends in.
    last_line: u64,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Record {
    /// The fields in order; at least one.
    pub(super) fn fields(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| {
            let start = if at == 0 { 0 } else { self.ends[at - 1] };
            &self.text[start..self.ends[at]]
        })
    }

    /// What was read of it, to show it.
    pub(super) fn text(&self) -> String {
        self.fields().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
    }

    /// `why` the record is refused; if it spans lines, with a word on how far: a quote may be astray.
    pub(super) fn refusal(&self, why: impl fmt::Display) -> String {
        match self.last_line {
            last if last > self.line => format!("{why}; its quotes reach to line {last}"),
            _ => why.to_string(),
        }
    }

    fn start(&mut self, line: u64) {
        self.line = line;
        self.text.clear();
        self.ends.clear();
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
    }

    fn is_blank(&self) -> bool {
        self.ends.len() == 1 && self.text.iter().all(u8::is_ascii_whitespace)
    }
}

/// Why some bytes are no record. The reader goes on with the next line where it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a quote stands inside a field; quote the whole field and double the quotes in it")]
    QuoteInside,
    #[error("a closing quote is not followed by a comma or the end of the line")]
    TextAfterQuote,
    #[error("a quote is never closed; the lines after this one were not checked")]
    Unclosed,
    #[error("the line is longer than 1 MiB")]
    TooLong,
}

/// Where in a record the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote in a quoted field: it closes the field, or is the first of a doubled one.
    QuoteSeen,
}

/// The records of a CSV file; lines end in LF, CR LF or CR, blank lines are skipped.
#[derive(Debug)]
pub(super) struct Records<R> {
    source: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    line: u64,
    after_return: bool,
    finished: bool,
}

impl<R: Read> Records<R> {
    /// Starts reading; a UTF-8 byte order mark is left out.
    pub(super) fn new(mut source: R) -> io::Result<Self> {
        let mut start = Vec::new();
        source.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut start)?;
        if start == BYTE_ORDER_MARK {
            start.clear();
        }
        let source = BufReader::new(Cursor::new(start).chain(source));
        Ok(Self { source, line: 1, after_return: false, finished: false })
    }

    /// Reads the next record into `record`. `None` at the end of the file; `Some(Err(_))` if there is one
    /// but it is damaged, `record` then holding what was read of it.
    pub(super) fn read(&mut self, record: &mut Record) -> io::Result<Option<Result<(), Fault>>> {
        loop {
            if self.finished || !self.skip_line_ends()? {
                return Ok(None);
            }
            record.start(self.line);
            let parsed = self.parse(record)?;
            if let Err(fault) = parsed {
                record.end_field();
                self.resume_after(fault)?;
            }
            if parsed.is_err() || !record.is_blank() {
                return Ok(Some(parsed));
            }
        }
    }

    fn parse(&mut self, record: &mut Record) -> io::Result<Result<(), Fault>> {
        let mut state = State::FieldStart;
        for _ in 0..RECORD_BYTES {
            record.last_line = self.line;
            // A stray quote stays unread, so that the line it is in can be skipped.
            let Some(byte) = self.peek()? else {
                if state == State::Quoted {
                    return Ok(Err(Fault::Unclosed));
                }
                record.end_field();
                return Ok(Ok(()));
            };
            state = match (state, byte) {
                (State::FieldStart, b'"') => State::Quoted,
                (State::Plain, b'"') => return Ok(Err(Fault::QuoteInside)),
                (State::Quoted, b'"') => State::QuoteSeen,
                (State::Quoted, _) | (State::QuoteSeen, b'"') => {
                    record.text.push(byte);
                    State::Quoted
                }
                (_, b',') => {
                    record.end_field();
                    State::FieldStart
                }
                (_, b'\r' | b'\n') => {
                    record.end_field();
                    self.consume(byte);
                    return Ok(Ok(()));
                }
                (State::QuoteSeen, _) => return Ok(Err(Fault::TextAfterQuote)),
                (State::FieldStart | State::Plain, _) => {
                    record.text.push(byte);
                    State::Plain
                }
            };
            self.consume(byte);
        }
        Ok(Err(if state == State::Quoted { Fault::Unclosed } else { Fault::TooLong }))
    }

    /// After a damaged record the next line starts afresh, but after a quote that swallowed the rest.
    fn resume_after(&mut self, fault: Fault) -> io::Result<()> {
        if fault == Fault::Unclosed {
            self.finished = true;
            return Ok(());
        }
        while let Some(byte) = self.peek()? {
            if matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.consume(byte);
        }
        Ok(())
    }

    /// `false` at the end of the file.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        while let Some(byte) = self.peek()? {
            if !matches!(byte, b'\r' | b'\n') {
                return Ok(true);
            }
            self.consume(byte);
        }
        Ok(false)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.source.fill_buf() {
                Ok(buffer) => return Ok(buffer.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn consume(&mut self, byte: u8) {
        self.source.consume(1);
        // The line feed of a CR LF ends no second line.
        if byte == b'\r' || byte == b'\n' && !self.after_return {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Found = (u64, Result<Vec<String>, Fault>);

    /// Every record with its line. The source answers one byte at a time, as a slow pipe may.
    fn records(text: &[u8]) -> Vec<Found> {
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let byte_count = buffer.len().min(1);
                self.0.read(&mut buffer[..byte_count])
            }
        }
        let mut records = Records::new(Drip(text)).unwrap();
        let mut record = Record::default();
        let mut found = Vec::new();
        while let Some(parsed) = records.read(&mut record).unwrap() {
            let fields = record.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            found.push((record.line, parsed.map(|()| fields)));
        }
        found
    }

    fn good(line: u64, fields: &[&str]) -> Found {
        (line, Ok(fields.iter().map(|&field| field.to_owned()).collect()))
    }

    #[test]
    fn quoted_fields_lose_their_quotes_and_keep_commas_and_line_ends() {
        let found = records(b"a,\"b,\"\"c\"\"\",\"\"\n\"x\r\ny\",,z\n");
        assert_eq!(found, [good(1, &["a", "b,\"c\"", ""]), good(2, &["x\r\ny", "", "z"])]);
    }

    #[test]
    fn lines_are_counted_alike_whatever_ends_them() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "  ", "1,\"x", "y\"", "2,3"].join(end);
            for text in [text.clone(), text + end] {
                let found = records(text.as_bytes());
                let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
                assert_eq!(lines, [1, 4, 6], "{text:?}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_field() {
        assert_eq!(records(b"\xEF\xBB\xBF\"a\",b\n"), [good(1, &["a", "b"])]);
        assert_eq!(records(b"ab"), [good(1, &["ab"])]);
        assert_eq!(records(b""), []);
        assert_eq!(records(b"\xEF\xBB\xBF"), []);
    }

    #[test]
    fn a_stray_quote_costs_its_own_line_only() {
        assert_eq!(
            records(b"1,5\" pipe,x\n2,\"a\"b,y\r\n3,z\n"),
            [(1, Err(Fault::QuoteInside)), (2, Err(Fault::TextAfterQuote)), good(3, &["3", "z"])]
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_the_line_it_opened_in() {
        assert_eq!(records(b"a\n1,\"2\n3,4\n"), [good(1, &["a"]), (2, Err(Fault::Unclosed))]);
        let endless = [b"a\n\"".as_slice(), &vec![b'x'; 3 * RECORD_BYTES]].concat();
        assert_eq!(records(&endless), [good(1, &["a"]), (2, Err(Fault::Unclosed))]);
    }

    #[test]
    fn a_line_without_end_is_skipped_in_bounded_memory() {
        let long = [b"a\n".as_slice(), &vec![b'x'; 2 * RECORD_BYTES], b"\nb\n"].concat();
        assert_eq!(records(&long), [good(1, &["a"]), (2, Err(Fault::TooLong)), good(3, &["b"])]);
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(
            rows in prop::collection::vec(prop::collection::vec("[a\",\r\n é]{0,6}", 2..4), 0..6)
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let found: Vec<_> = records(&writer.into_inner().unwrap()).into_iter().map(|(_, row)| row).collect();
            let expected: Vec<_> = rows.into_iter().map(Ok).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            records(&bytes);
        }
    }
}
