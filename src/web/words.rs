//! Numbers and times as people read them.

use std::time::Duration;

use askama::filters::{Html, Safe, escape};
use chrono::{DateTime, Local, SecondsFormat, Utc};

use crate::domain::span_in_words;

/// Between groups of three digits. No line ends at it.
const THIN_SPACE: char = '\u{202f}';

/// A moment, for `<time>`. The words are those of now: a page that stays is a live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub(super) DateTime<Utc>);

impl Moment {
    /// For the attribute `datetime`.
    pub(super) fn rfc3339(&self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    /// How long ago it was: `3 h ago`.
    pub(super) fn ago(&self) -> String {
        ago((Utc::now() - self.0).num_seconds())
    }

    /// What the clock here showed: `14:32`, and the day if that is not today.
    pub(super) fn clock(&self) -> String {
        let here = self.0.with_timezone(&Local);
        let is_today = here.date_naive() == Local::now().date_naive();
        here.format(if is_today { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
    }
}

fn ago(seconds: i64) -> String {
    match seconds {
        // A clock that is a little ahead is none to speak of.
        -60..60 => "just now".to_owned(),
        ..-60 => "in the future".to_owned(),
        _ => format!("{} ago", span_in_words(Duration::from_secs(seconds.unsigned_abs()))),
    }
}

/// A number as the database prints it, its whole part in groups of three digits: `-1 234 567.89`.
pub(super) fn grouped(number: &(impl ToString + ?Sized)) -> String {
    let number = number.to_string();
    let (sign, digits) = number.split_at(usize::from(number.starts_with('-')));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return number;
    }
    let mut text = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(THIN_SPACE);
        }
        text.push(digit);
    }
    text + fraction
}

/// A sentence as HTML. What stands between backticks in it, a command mostly, is shown as such.
pub(super) fn prose(text: &(impl ToString + ?Sized)) -> Safe<String> {
    let text = text.to_string();
    let mut parts: Vec<&str> = text.split('`').collect();
    // One that has no partner is a character like others.
    let last = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    let mut html = String::new();
    for (place, part) in parts.into_iter().enumerate() {
        let (begin, end) = if place % 2 == 1 { ("<code>", "</code>") } else { ("", "") };
        html.extend([begin, &escaped(part), end]);
    }
    Safe(last.into_iter().fold(html, |html, last| html + "`" + &escaped(last)))
}

fn escaped(text: &str) -> String {
    escape(text, Html).map_or_else(|never| match never {}, |escaped| escaped.to_string())
}

/// The same text with a great letter at its beginning, as a heading has it.
pub(super) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Bytes in the unit that suits them: `3.4 MB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().si().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        for (number, expected) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1\u{202f}000"),
            ("-1234567.89", "-1\u{202f}234\u{202f}567.89"),
            ("-12.5", "-12.5"),
            ("NaN", "NaN"),
            ("", ""),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn times_are_told_in_the_unit_that_suits_them() {
        for (seconds, expected) in [
            (-3600, "in the future"),
            (-5, "just now"),
            (59, "just now"),
            (60, "60 s ago"),
            (3599, "59 min ago"),
            (7300, "2 h ago"),
            (86_400, "24 h ago"),
            (3 * 86_400, "3 days ago"),
        ] {
            assert_eq!(ago(seconds), expected);
        }
    }

    #[test]
    fn commands_in_a_sentence_are_shown_as_such_and_everything_is_text() {
        for (text, expected) in [
            ("`salesync apply` fetches them", "<code>salesync apply</code> fetches them"),
            ("run `a`, then `b`", "run <code>a</code>, then <code>b</code>"),
            ("a ` alone", "a ` alone"),
            ("`<b>` and <i>", "<code>&#60;b&#62;</code> and &#60;i&#62;"),
            ("`a` and `", "<code>a</code> and `"),
            ("", ""),
        ] {
            assert_eq!(prose(text).0, expected);
        }
        assert_eq!(["total", "état", ""].map(capitalised), ["Total", "État", ""]);
    }

    #[test]
    fn sizes_have_their_unit() {
        assert_eq!((size(999), size(3_400_000)), ("999 B".to_owned(), "3.4 MB".to_owned()));
    }
}
