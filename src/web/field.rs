//! What stands in a field of a form, or of an address.

use chrono::{Datelike as _, NaiveDate};

/// What was written, if anything was.
pub(super) fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// A day as a date field sends it, if one was written. Its year has four digits: others a date field cannot show.
pub(super) fn day(text: &str) -> Result<Option<NaiveDate>, &'static str> {
    given(text).map(|text| exact_day(text).ok_or("not a date like 2021-04-29")).transpose()
}

/// A day that is written just so.
pub(super) fn exact_day(text: &str) -> Option<NaiveDate> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    ((1..=9999).contains(&day.year()) && day.to_string() == text).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_in_one_way_and_on_the_calendar() {
        for text in ["0001-01-01", " 9999-12-31 ", "2024-02-29"] {
            assert_eq!(day(text).unwrap().unwrap().to_string(), text.trim());
        }
        assert_eq!((day(""), day("  ")), (Ok(None), Ok(None)));
        for text in
            ["2021-4-29", "0000-01-01", "-001-01-01", "10000-01-01", "+2021-01-1", "2026-02-30", "today"]
        {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
