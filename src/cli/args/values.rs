//! How the values of arguments are read.

use chrono::NaiveTime;

use crate::branch::Since;
use crate::cli::settings::MOST_WORKERS;
use crate::domain::Sequence;

/// `last`, `all`, or the number of a bundle.
pub(super) fn since(text: &str) -> Result<Since, String> {
    match text {
        "last" => Ok(Since::Last),
        "all" => Ok(Since::All),
        number => sequence(number).map(Since::Bundle),
    }
}

/// `22:00`.
pub(super) fn clock(text: &str) -> Result<NaiveTime, String> {
    let has_digits = text.len() == 5 && text.starts_with(|first: char| first.is_ascii_digit());
    let time = has_digits.then(|| NaiveTime::parse_from_str(text, "%H:%M").ok());
    time.flatten().ok_or_else(|| format!("{text:?} is no time of day like 22:00"))
}

/// The number of a bundle.
pub(super) fn sequence(text: &str) -> Result<Sequence, String> {
    let number = text.parse().ok().and_then(Sequence::new);
    number.ok_or_else(|| format!("{text:?} is not the number of a bundle, which is a whole number from 1"))
}

/// `7`, or `7..9` with both ends.
pub(super) fn sequences(text: &str) -> Result<(Sequence, Sequence), String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (sequence(first)?, sequence(last)?);
    if first <= last {
        Ok((first, last))
    } else {
        Err("the first number is greater than the last".to_owned())
    }
}

/// How many bundles are applied at the same time.
pub(super) fn workers(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_WORKERS).contains(number));
    number.ok_or_else(|| format!("{text:?} is no whole number from 1 to {MOST_WORKERS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_hours_and_minutes() {
        assert_eq!(clock("22:05"), Ok(NaiveTime::from_hms_opt(22, 5, 0).unwrap()));
        for bad in ["", "24:00", "22:60", "22", "22:00:00", "9:30", " 9:30", "10pm"] {
            assert!(clock(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_range_of_bundles_has_both_ends() {
        let number = |n| Sequence::new(n).unwrap();
        assert_eq!(sequences("7"), Ok((number(7), number(7))));
        assert_eq!(sequences("7..9"), Ok((number(7), number(9))));
        for bad in ["", "0", "9..7", "7..", "x", "7-9"] {
            assert!(sequences(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
