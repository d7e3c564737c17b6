//! A CSV file as checked sales: the header decides which column is which field.

use std::io::{self, Read};

use super::field::{Field, SaleText};
use super::problem::{Problem, shown};
use super::records::{Fault, Record, Records};
use super::sale::{FieldProblem, Sale, SaleRules};
use crate::domain::{Failure, Kind};

/// Most columns told as not belonging here; a file that is no CSV may have thousands.
const TOLD_STRAYS: usize = 10;

/// The sales of a file, line by line.
///
/// Each item is a checked sale or what is wrong with its line; `Err` if the file cannot be read on.
#[derive(Debug)]
pub struct SaleReader<R> {
    records: Records<R>,
    /// The field that each column holds.
    columns: Vec<Field>,
    rules: SaleRules,
    record: Record,
}

impl<R: Read> SaleReader<R> {
    /// Reads and checks the header line.
    pub fn new(source: R, rules: SaleRules) -> Result<Self, Failure> {
        let mut records = Records::new(source).map_err(|error| unreadable(&error))?;
        let mut record = Record::default();
        match records.read(&mut record).map_err(|error| unreadable(&error))? {
            None => return Err(bad_header("the file is empty")),
            Some(Err(fault)) => return Err(bad_header(&fault.to_string())),
            Some(Ok(())) => {}
        }
        let columns = columns(&record)?;
        Ok(Self { records, columns, rules, record })
    }

    /// The sale in the record just read.
    fn check(&self) -> Result<Sale, Vec<Problem>> {
        let record = &self.record;
        let field_count = record.fields().len();
        if field_count != self.columns.len() {
            return Err(vec![wrong_field_count(record, self.columns.len())]);
        }
        let mut text = SaleText::default();
        let mut problems = Vec::new();
        for (&field, bytes) in self.columns.iter().zip(record.fields()) {
            match str::from_utf8(bytes) {
                Ok(value) => text.set(field, value),
                Err(_) => problems.push(Problem::new(
                    record.line,
                    Some(field.name()),
                    &String::from_utf8_lossy(bytes),
                    "not UTF-8 text; save the file as UTF-8",
                )),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.rules.check(&text).map_err(|found| {
            let problem =
                |at: FieldProblem| Problem::new(record.line, Some(at.field.name()), &at.value, at.reason);
            found.into_iter().map(problem).collect()
        })
    }
}

impl<R: Read> Iterator for SaleReader<R> {
    type Item = Result<Result<Sale, Vec<Problem>>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.records.read(&mut self.record) {
            Err(error) => Some(Err(unreadable(&error))),
            Ok(None) => None,
            Ok(Some(Ok(()))) => Some(Ok(self.check())),
            Ok(Some(Err(fault))) => Some(Ok(Err(vec![damaged(&self.record, fault)]))),
        }
    }
}

fn damaged(record: &Record, fault: Fault) -> Problem {
    // That an open quote reaches to the end of the file, or of our patience, says nothing.
    let reason = if fault == Fault::Unclosed { fault.to_string() } else { record.refusal(fault) };
    Problem::new(record.line, None, &record.text(), reason)
}

fn wrong_field_count(record: &Record, column_count: usize) -> Problem {
    let field_count = record.fields().len();
    let plural = if field_count == 1 { "" } else { "s" };
    let why = format!("{field_count} field{plural} where the header has {column_count}");
    Problem::new(record.line, None, &record.text(), record.refusal(why))
}

/// Which field each column of the header holds, or what is wrong with the header.
fn columns(header: &Record) -> Result<Vec<Field>, Failure> {
    let mut columns = Vec::new();
    let mut strays = Vec::new();
    for bytes in header.fields() {
        let name = String::from_utf8_lossy(bytes);
        let name = name.trim();
        match Field::from_name(name) {
            None => strays.push(format!("unknown column \"{}\"", shown(name))),
            Some(field) if columns.contains(&field) => strays.push(format!("column {} twice", field.name())),
            Some(field) => columns.push(field),
        }
    }
    let missing = Field::ALL.into_iter().filter(|field| field.is_required() && !columns.contains(field));
    let mut faults: Vec<_> = missing.map(|field| format!("no column {}", field.name())).collect();
    let untold = strays.len().saturating_sub(TOLD_STRAYS);
    faults.extend(strays.into_iter().take(TOLD_STRAYS));
    if untold > 0 {
        faults.push(format!("and {untold} more"));
    }
    if faults.is_empty() { Ok(columns) } else { Err(bad_header(&faults.join(", "))) }
}

fn bad_header(why: &str) -> Failure {
    let names = |required: bool| {
        let fields = Field::ALL.into_iter().filter(|field| field.is_required() == required);
        fields.map(Field::name).collect::<Vec<_>>().join(", ")
    };
    Failure::new(Kind::Failed, "reading the header line of the sales", why).hint(format!(
        "a UTF-8 file whose first line names the columns, separated by commas, in any order: {}; and if you like: {}",
        names(true),
        names(false)
    ))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::new(Kind::Failed, "reading the sales", error).hint("nothing was imported")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::branch::import::ImportOptions;
    use rust_decimal::Decimal;

    const HEADER: &str = "Date,Region,Product,Qty,Cost\n";

    fn open(file: &[u8]) -> Result<SaleReader<&[u8]>, Failure> {
        let options = ImportOptions { date_format: None, tax_rate: Decimal::new(7, 2) };
        SaleReader::new(file, SaleRules::new(&options).unwrap())
    }

    fn sales(file: &str) -> Vec<Sale> {
        open(file.as_bytes()).unwrap().map(|line| line.unwrap().unwrap()).collect()
    }

    /// All problems of a file below [`HEADER`], as the user reads them.
    fn problems(lines: &[u8]) -> Vec<String> {
        let file = [HEADER.as_bytes(), lines].concat();
        let bad_lines = open(&file).unwrap().filter_map(|line| line.unwrap().err());
        bad_lines.flatten().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        let plain = sales("Date,Region,Product,Qty,Cost\n2021-04-29,East,Paper,73,12.95\n");
        let shuffled = sales(
            "\u{feff}\"COST\", qty ,total,Product,region,dAtE\r\n12.95,73,\"1,011.52\",Paper,East,2021-04-29",
        );
        assert_eq!(plain.len(), 1);
        assert_eq!(plain, shuffled);
        assert_eq!(sales(HEADER), []);
    }

    #[test]
    fn names_may_hold_commas_quotes_and_line_ends() {
        let sale =
            &sales("Product,Qty,Cost,Date,Region\n\"FRAME 7\"\", \nBLACK\",-1,2.10,2010-12-01,EIRE\n")[0];
        assert_eq!(sale.product, "FRAME 7\", \nBLACK");
        assert_eq!(sale.total, Decimal::new(-225, 2));
    }

    #[test]
    fn a_wrong_header_is_one_failure_that_names_all_that_is_wrong() {
        let failure = open(b"Date,Colour,Product,Qty,qty,id\n").err().unwrap();
        assert_eq!(
            failure.to_string(),
            "reading the header line of the sales: no column Region, no column Cost, \
             unknown column \"Colour\", column Qty twice, unknown column \"id\""
        );
        assert!(
            failure
                .advice()
                .unwrap()
                .contains("Date, Region, Product, Qty, Cost; and if you like: Amt, Tax, Total")
        );
        for file in ["", "\n\r\n", "\u{feff}", "Date;Region;Product;Qty;Cost\n", "\"Date,Region"] {
            assert_eq!(open(file.as_bytes()).err().unwrap().kind(), Kind::Failed, "{file:?}");
        }
        assert!(open(b"\xFF\xFED\0a\0t\0e\0").is_err());
    }

    #[test]
    fn bad_lines_are_told_with_number_column_value_and_reason() {
        let lines =
            b"2021-04-29,East,Paper,abc,12.95\r\n\r\n2021-02-30,,Pens,1,1,1\r\n2021-04-30,East,Pens,1,$1\r\n";
        assert_eq!(
            problems(lines),
            [
                "line 2, column Qty, \"abc\": not a whole number",
                "line 4, \"2021-02-30,,Pens,1,1,1\": 6 fields where the header has 5",
                "line 5, column Cost, \"$1\": has a currency sign; write the bare number, like 1,011.52",
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_utf_8_is_a_bad_line_like_others() {
        let found = problems(b"2021-04-29,East,Caf\xE9,1,1\n2021-04-29,East,Tea,x,1\n");
        assert_eq!(
            found,
            [
                "line 2, column Product, \"Caf\u{fffd}\": not UTF-8 text; save the file as UTF-8",
                "line 3, column Qty, \"x\": not a whole number",
            ]
        );
    }

    #[test]
    fn quotes_that_reach_too_far_are_told_with_both_lines() {
        let found =
            problems(b"2021-04-29,\"East,Paper,1,1\n2021-04-29,\"\"West\"\",Paper,1,1\n2021-04-29,East\",\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("line 2, "), "{found:?}");
        assert!(
            found[0].ends_with("3 fields where the header has 5; its quotes reach to line 4"),
            "{found:?}"
        );
    }

    #[test]
    fn a_source_that_fails_is_a_failure_and_no_end_of_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let options = ImportOptions { date_format: None, tax_rate: Decimal::ZERO };
        let source = HEADER.as_bytes().chain(Broken);
        let mut reader = SaleReader::new(source, SaleRules::new(&options).unwrap()).unwrap();
        let failure = reader.next().unwrap().unwrap_err();
        assert_eq!(failure.to_string(), "reading the sales: the disk is gone");
    }
}
