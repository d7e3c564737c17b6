//! Days as text.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

/// The earliest year before Christ that PostgreSQL has as a whole.
const EARLIEST: i32 = 4713;

/// True for a date as PostgreSQL writes it, and so reads it back: `2024-02-29`, `0044-03-15 BC`, `infinity`.
pub fn is_day(text: &str) -> bool {
    ["infinity", "-infinity"].contains(&text) || is_of_calendar(text).unwrap_or(false)
}

fn is_of_calendar(text: &str) -> Option<bool> {
    let (text, is_before_christ) = text.strip_suffix(" BC").map_or((text, false), |text| (text, true));
    let parts: Vec<&str> = text.split('-').collect();
    let &[year, month, day] = &parts[..] else { return None };
    let are_digits = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if !are_digits || year.len() < 4 || (month.len(), day.len()) != (2, 2) {
        return None;
    }
    let year: i32 = year.parse().ok()?;
    let (last, on_scale) = if is_before_christ { (EARLIEST, 1 - year) } else { (i32::MAX, year) };
    let date = NaiveDate::from_ymd_opt(on_scale, month.parse().ok()?, day.parse().ok()?);
    Some((1..=last).contains(&year) && date.is_some())
}

/// Where a day stands among others. What is no day stands anywhere, but always in the same place.
pub(super) fn day_order(text: &str) -> (i64, &str) {
    match text {
        "-infinity" => return (i64::MIN, ""),
        "infinity" => return (i64::MAX, ""),
        _ => {}
    }
    let (date, is_before_christ) = text.strip_suffix(" BC").map_or((text, false), |date| (date, true));
    let (year, rest) = date.split_once('-').unwrap_or((date, ""));
    let year: i64 = year.parse().unwrap_or(0);
    (if is_before_christ { -year } else { year }, rest)
}

/// True for a moment that RFC 3339 can write and every database can keep.
pub(super) fn is_clock_time(moment: DateTime<Utc>) -> bool {
    (1..=9999).contains(&moment.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_stand_in_the_order_of_the_calendar() {
        let days = [
            "-infinity",
            "0044-03-15 BC",
            "0043-01-01 BC",
            "0001-01-01",
            "2023-12-31",
            "2024-02-29",
            "2024-10-01",
            "12024-01-31",
            "infinity",
        ];
        assert!(days.is_sorted_by(|one, next| day_order(one) < day_order(next)));
    }

    #[test]
    fn a_day_is_what_the_database_writes() {
        for day in ["2024-02-29", "0001-01-01", "0044-03-15 BC", "12024-01-31", "infinity", "-infinity"] {
            assert!(is_day(day), "{day}");
        }
        for no_day in [
            "",
            "2024-02-30",
            "0000-01-01",
            "2021- 1-01",
            "2021-1-01",
            "+2021-01-01",
            "-001-01-01",
            "2021-01-01 ",
            "9999-01-01 BC",
            "2021-01",
            "2021-01-01-01",
            "99999999999-01-01",
            "4000000000-01-01",
            "BC",
            " BC",
            "tomorrow",
        ] {
            assert!(!is_day(no_day), "{no_day}");
        }
    }
}
