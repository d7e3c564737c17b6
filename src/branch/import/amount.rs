//! Numbers as people write them: `1,011.52`, `1011.52`, `-40`.

use rust_decimal::{Decimal, RoundingStrategy};

/// Digits before the decimal point that a `numeric(14,2)` column holds.
pub(super) const AMOUNT_DIGITS: usize = 12;
/// Digits before the decimal point that a `numeric(12,2)` column holds.
pub(super) const COST_DIGITS: usize = 10;

/// The currency signs most likely to be met; others are told as "not a number".
const CURRENCY_SIGNS: &[char] = &['$', '€', '£', '¥', '₹', '¢', '₩', '₺', '₽', '₫', '฿', '₱', '₦'];

/// A number taken apart: no separators, nothing lost.
struct Digits<'a> {
    negative: bool,
    whole: String,
    fraction: Option<&'a str>,
}

/// Why a text is no number.
enum Fault {
    Shape,
    Currency,
    Separators,
}

impl Fault {
    fn reason(&self, not_a_number: &str) -> String {
        match self {
            Self::Shape => not_a_number,
            Self::Currency => "has a currency sign; write the bare number, like 1,011.52",
            Self::Separators => "has a misplaced thousands separator; write 1,011.52 or 1011.52",
        }
        .to_owned()
    }
}

/// An amount of money in units with two decimals, with at most `whole_digits` digits before the point.
pub(super) fn parse_amount(text: &str, whole_digits: usize) -> Result<Decimal, String> {
    let digits = split(text).map_err(|fault| fault.reason("not a number"))?;
    // Zeros at the end change nothing: some programs export 12.9500.
    let cents = digits.fraction.unwrap_or_default().trim_end_matches('0');
    if cents.len() > 2 {
        return Err("has more than two decimals".to_owned());
    }
    if digits.whole.len() > whole_digits {
        return Err(too_large(whole_digits));
    }
    let sign = if digits.negative { "-" } else { "" };
    let mut amount = Decimal::from_str_exact(&format!("{sign}{}.{cents:0<2}", digits.whole))
        .map_err(|error| format!("not a number: {error}"))?;
    if amount.is_zero() {
        amount.set_sign_positive(true);
    }
    Ok(amount)
}

/// A number of pieces; returns are negative.
pub(super) fn parse_quantity(text: &str) -> Result<i32, String> {
    let not_whole = "not a whole number";
    let digits = split(text).map_err(|fault| fault.reason(not_whole))?;
    if digits.fraction.is_some() {
        return Err(not_whole.to_owned());
    }
    let sign = if digits.negative { "-" } else { "" };
    format!("{sign}{}", digits.whole)
        .parse()
        .map_err(|_| format!("outside the range {} to {}", i32::MIN, i32::MAX))
}

/// Rounds to two decimals half up, as commerce does: a midpoint goes away from zero (2.145 is 2.15,
/// -2.145 is -2.15), so a return cancels its sale to the cent. `Err` if the column cannot hold it.
pub(super) fn round_amount(exact: Decimal) -> Result<Decimal, String> {
    let mut amount = exact.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    amount.rescale(2);
    if amount.abs() < Decimal::from(10_i64.pow(12)) { Ok(amount) } else { Err(too_large(AMOUNT_DIGITS)) }
}

fn too_large(whole_digits: usize) -> String {
    format!("has more than {whole_digits} digits before the decimal point")
}

/// Takes a number apart; the whole part has no separators and no leading zeros, but a digit.
fn split(text: &str) -> Result<Digits<'_>, Fault> {
    if text.contains(CURRENCY_SIGNS) {
        return Err(Fault::Currency);
    }
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    if whole.is_empty() && fraction.is_none() || fraction == Some("") {
        return Err(Fault::Shape);
    }
    if !unsigned.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b',' | b'.')) {
        return Err(Fault::Shape);
    }
    let fraction_is_plain = fraction.is_none_or(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !fraction_is_plain || !well_grouped(whole) {
        return Err(Fault::Separators);
    }
    let whole = whole.replace(',', "");
    let significant = whole.trim_start_matches('0');
    let whole = if significant.is_empty() { "0".to_owned() } else { significant.to_owned() };
    Ok(Digits { negative, whole, fraction })
}

/// Either no separator at all, or one before every third digit. `0,950` is refused: whoever wrote it
/// meant a decimal comma, and reading it as 950 would be off by a factor of a thousand.
fn well_grouped(whole: &str) -> bool {
    let Some((first, rest)) = whole.split_once(',') else {
        return true;
    };
    (1..=3).contains(&first.len()) && !first.starts_with('0') && rest.split(',').all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amount(text: &str) -> Result<String, String> {
        parse_amount(text, AMOUNT_DIGITS).map(|amount| amount.to_string())
    }

    #[test]
    fn amounts_are_read_with_and_without_separators() {
        for (text, expected) in [
            ("1,011.52", "1011.52"),
            ("1011.52", "1011.52"),
            ("1,234,567", "1234567.00"),
            ("-0.5", "-0.50"),
            (".5", "0.50"),
            ("12.9500", "12.95"),
            ("007", "7.00"),
            ("-0", "0.00"),
            ("999999999999.99", "999999999999.99"),
        ] {
            assert_eq!(amount(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn misplaced_separators_are_named() {
        for text in [
            "1,01.5", "1011,52", "1.011,52", "1,0115.2", "10,11", ",100", "1,,000", "0,950", "1.5.2",
            "1.1,000",
        ] {
            let reason = amount(text).unwrap_err();
            assert!(reason.contains("separator"), "{text}: {reason}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_by_its_kind() {
        for (text, reason) in [
            ("$12.95", "currency sign"),
            ("12.95 €", "currency sign"),
            ("(12.95)", "not a number"),
            ("12.", "not a number"),
            ("-", "not a number"),
            ("--1", "not a number"),
            ("+1", "not a number"),
            ("1e3", "not a number"),
            ("NaN", "not a number"),
            ("1 000", "not a number"),
            ("\u{2212}5", "not a number"),
            ("٣", "not a number"),
            ("12\0", "not a number"),
            ("12.955", "more than two decimals"),
            ("1000000000000", "more than 12 digits"),
            ("99999999999999999999999999999999999999999999", "more than 12 digits"),
        ] {
            let told = amount(text).unwrap_err();
            assert!(told.contains(reason), "{text:?}: {told}");
        }
        assert!(parse_amount("9999999999.99", COST_DIGITS).is_ok());
        assert!(parse_amount("10000000000", COST_DIGITS).unwrap_err().contains("10 digits"));
    }

    #[test]
    fn quantities_are_whole_and_fit_an_integer_column() {
        assert_eq!(parse_quantity("-12"), Ok(-12));
        assert_eq!(parse_quantity("1,200"), Ok(1200));
        assert_eq!(parse_quantity("-2147483648"), Ok(i32::MIN));
        assert_eq!(parse_quantity("abc").unwrap_err(), "not a whole number");
        assert_eq!(parse_quantity("1.0").unwrap_err(), "not a whole number");
        assert!(parse_quantity("2147483648").unwrap_err().contains("range"));
    }

    #[test]
    fn midpoints_round_away_from_zero() {
        for (exact, rounded) in
            [("9.065", "9.07"), ("-9.065", "-9.07"), ("9.0649", "9.06"), ("2.145", "2.15"), ("1", "1.00")]
        {
            let exact = Decimal::from_str_exact(exact).unwrap();
            assert_eq!(round_amount(exact).unwrap().to_string(), rounded);
        }
        assert!(round_amount(Decimal::from(999_999_999_999_i64)).is_ok());
        assert!(round_amount(Decimal::from_str_exact("999999999999.995").unwrap()).is_err());
    }

    fn grouped(plain: &str) -> String {
        let (whole, rest) = plain.split_at(plain.find('.').unwrap());
        let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
        let groups: Vec<_> =
            digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
        format!("{sign}{}{rest}", groups.join(","))
    }

    proptest! {
        #[test]
        fn every_amount_reads_back_from_both_ways_of_writing_it(cents in -99_999_999_999_999_i64..=99_999_999_999_999) {
            let amount = Decimal::new(cents, 2);
            let plain = amount.to_string();
            prop_assert_eq!(parse_amount(&plain, AMOUNT_DIGITS), Ok(amount));
            prop_assert_eq!(parse_amount(&grouped(&plain), AMOUNT_DIGITS), Ok(amount));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*|[-0-9.,$]{0,40}") {
            let _ = parse_amount(&text, AMOUNT_DIGITS);
            let _ = parse_quantity(&text);
        }
    }
}
