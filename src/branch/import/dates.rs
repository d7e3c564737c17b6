//! Dates in ISO form, or in a form the caller declares.

use std::fmt::Write as _;

use chrono::format::{Item, ParseErrorKind, Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike, NaiveDate};

use crate::domain::{Failure, Kind};

const ISO: &str = "%Y-%m-%d";

/// Moments that a useful format must be able to write and read back, as seconds since 1970 (UTC):
/// 2021-04-29 13:45:56 and 1987-12-03 04:05:06.
const SAMPLES: [i64; 2] = [1_619_703_956, 565_502_706];

/// How dates are written, proven to name a day.
#[derive(Debug, Clone)]
pub(super) struct DateFormat {
    items: Vec<Item<'static>>,
    /// What the caller declared; `None` is ISO.
    declared: Option<String>,
}

impl DateFormat {
    /// A `strftime` pattern, or ISO dates if there is none. A pattern that leaves a part of the date
    /// open (`%d.%m.`) or that nobody knows (`%Q`) is a failure of kind `Usage`. A time of day in the
    /// pattern is read and left out.
    pub(super) fn new(declared: Option<&str>) -> Result<Self, Failure> {
        let pattern = declared.unwrap_or(ISO);
        let unusable = |why: &str| {
            Failure::new(Kind::Usage, format!("reading --date-format \"{pattern}\""), why)
                .hint("write it like %d.%m.%Y: %Y year, %m month, %d day")
        };
        let items = StrftimeItems::new(pattern)
            .parse_to_owned()
            .map_err(|_| unusable("it has a % sequence that is not known"))?;
        let format = Self { items, declared: declared.map(str::to_owned) };
        if SAMPLES.into_iter().all(|seconds| format.reads_back(seconds)) {
            Ok(format)
        } else {
            Err(unusable("it does not name year, month and day"))
        }
    }

    /// The day written in `text`, or why it is none.
    pub(super) fn parse(&self, text: &str) -> Result<NaiveDate, String> {
        if self.declared.is_none() && !has_iso_shape(text) {
            return Err(self.mismatch());
        }
        let date = self.read(text).map_err(|kind| match kind {
            ParseErrorKind::OutOfRange => "no such day in the calendar".to_owned(),
            ParseErrorKind::Impossible => "its parts contradict each other".to_owned(),
            _ => self.mismatch(),
        })?;
        // A year with fewer digits is a %Y that met a two-digit year.
        if (1000..=9999).contains(&date.year()) {
            Ok(date)
        } else {
            Err(format!("year {} is not one of four digits; %y reads years of two", date.year()))
        }
    }

    fn read(&self, text: &str) -> Result<NaiveDate, ParseErrorKind> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter())
            .and_then(|()| parsed.to_naive_date())
            .map_err(|error| error.kind())
    }

    fn reads_back(&self, seconds: i64) -> bool {
        let Some(moment) = DateTime::from_timestamp(seconds, 0) else {
            return false;
        };
        let mut text = String::new();
        write!(text, "{}", moment.format_with_items(self.items.iter())).is_ok()
            && self.read(&text) == Ok(moment.date_naive())
    }

    fn mismatch(&self) -> String {
        match &self.declared {
            Some(pattern) => format!("not a date of the form {pattern}"),
            None => "not a date like 2021-04-29".to_owned(),
        }
    }
}

/// Four digits, two, two. chrono alone would also take `+2021-4-9`.
fn has_iso_shape(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn iso_dates_need_no_declaration() {
        let iso = DateFormat::new(None).unwrap();
        assert_eq!(iso.parse("2021-04-29"), Ok(day(2021, 4, 29)));
        assert_eq!(iso.parse("2024-02-29"), Ok(day(2024, 2, 29)));
        for text in ["2021-4-29", "29.04.2021", "2021-04-29 10:00", "+021-04-29", "20210429", "2021-04-2٣"] {
            assert!(iso.parse(text).unwrap_err().contains("not a date like"), "{text}");
        }
    }

    #[test]
    fn days_that_do_not_exist_are_told_as_such() {
        let iso = DateFormat::new(None).unwrap();
        for text in ["2021-02-29", "2021-04-31", "2021-13-01", "2021-00-10", "2021-01-00"] {
            assert_eq!(iso.parse(text).unwrap_err(), "no such day in the calendar", "{text}");
        }
        assert!(iso.parse("0021-04-29").unwrap_err().contains("year 21"));
    }

    #[test]
    fn a_declared_form_is_read_with_or_without_a_time() {
        for (pattern, text) in [
            ("%d.%m.%Y", "29.04.2021"),
            ("%d.%m.%Y", "29.4.2021"),
            ("%m/%d/%y", "04/29/21"),
            ("%d %b %Y", "29 Apr 2021"),
            ("%Y-%m-%d %H:%M:%S", "2021-04-29 08:26:00"),
        ] {
            assert_eq!(
                DateFormat::new(Some(pattern)).unwrap().parse(text),
                Ok(day(2021, 4, 29)),
                "{pattern}"
            );
        }
        let german = DateFormat::new(Some("%d.%m.%Y")).unwrap();
        assert_eq!(german.parse("2021-04-29").unwrap_err(), "not a date of the form %d.%m.%Y");
        assert_eq!(german.parse("31.04.2021").unwrap_err(), "no such day in the calendar");
        assert!(german.parse("29.04.21").unwrap_err().contains("year 21"));
    }

    #[test]
    fn a_form_that_names_no_day_is_refused_before_anything_is_read() {
        for pattern in ["", "%d.%m.", "%Q", "%", "yyyy-mm-dd", "%H:%M"] {
            let failure = DateFormat::new(Some(pattern)).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage, "{pattern}");
            assert!(failure.advice().is_some());
        }
    }
}
