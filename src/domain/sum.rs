//! Exact sums of PostgreSQL's `smallint`, `integer`, `bigint` and `numeric` from their text.
//!
//! `numeric` goes to 131,072 digits before the point, so no fixed-size decimal is exact for all of
//! it. Nearly every value fits 128 bits, though: those are added there, and what does not fit goes
//! to a [`BigDecimal`].

use bigdecimal::BigDecimal;

/// A text that PostgreSQL would not print for a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a number as PostgreSQL prints it")]
pub struct NotANumber;

/// The exact sum of the finite values seen, and how many values there were.
#[derive(Debug, Clone, Default)]
pub struct ExactSum {
    /// The sum so far of what fits, times ten to the `scale`.
    small: i128,
    /// Decimal places of `small`: the most that any value had.
    scale: u32,
    /// The sum of what did not fit.
    large: Option<BigDecimal>,
    values: u64,
    non_finite: u64,
}

/// More digits than these go to the [`BigDecimal`]; fewer leave room for rescaling and a long sum.
const SMALL_DIGITS: usize = 28;
/// No number of PostgreSQL has a longer text: 131,072 digits before the point, 16,383 after it.
const LONGEST_TEXT: usize = 150_000;

impl ExactSum {
    /// Adds one value from its text: `-12.50`, `NaN`, `Infinity`.
    pub fn add(&mut self, text: &[u8]) -> Result<(), NotANumber> {
        self.values += 1;
        if let Some(sum) = short_number(text).and_then(|(value, scale)| self.sum_at(value.into(), scale)) {
            (self.small, self.scale) = sum;
            return Ok(());
        }
        if matches!(text, b"NaN" | b"Infinity" | b"-Infinity") {
            self.non_finite += 1;
            return Ok(());
        }
        let number = Parts::of(text)?;
        if let Some(small) = number.small().and_then(|(value, scale)| self.sum_at(value, scale)) {
            (self.small, self.scale) = small;
            return Ok(());
        }
        self.add_large(text, number.scale())
    }

    /// `small` plus `value`, at the larger of both scales; none if that does not fit.
    fn sum_at(&self, value: i128, scale: u32) -> Option<(i128, u32)> {
        if scale == self.scale {
            return Some((self.small.checked_add(value)?, scale));
        }
        let common = scale.max(self.scale);
        let raised = |number: i128, from: u32| number.checked_mul(10_i128.checked_pow(common - from)?);
        Some((raised(self.small, self.scale)?.checked_add(raised(value, scale)?)?, common))
    }

    fn add_large(&mut self, text: &[u8], scale: usize) -> Result<(), NotANumber> {
        let text = std::str::from_utf8(text).map_err(|_| NotANumber)?;
        let value: BigDecimal = text.parse().map_err(|_| NotANumber)?;
        let carried = self.small_part();
        let sum = self.large.take().unwrap_or_default() + carried + value;
        let places = i64::try_from(scale).map_err(|_| NotANumber)?.max(sum.fractional_digit_count());
        self.large = Some(sum.with_scale(places));
        self.small = 0;
        Ok(())
    }

    fn small_part(&self) -> BigDecimal {
        BigDecimal::new(self.small.into(), i64::from(self.scale))
    }

    /// The sum in plain digits, with as many decimal places as the value with the most of them, as
    /// PostgreSQL's own `sum` prints it. `0` if there was no finite value.
    pub fn text(&self) -> String {
        let Some(large) = &self.large else {
            return self.small_part().to_plain_string();
        };
        let sum = large + self.small_part();
        let places = sum.fractional_digit_count().max(i64::from(self.scale));
        sum.with_scale(places).to_plain_string()
    }

    /// How many values were added, those that are not finite among them.
    pub fn values(&self) -> u64 {
        self.values
    }

    /// How many of them were `NaN` or infinite. They are counted, not added.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }
}

/// Most numbers have few digits. Those are read in one go: as an integer and its decimal places. None is for
/// whatever else there is, good or bad.
fn short_number(text: &[u8]) -> Option<(i64, u32)> {
    /// Digits and point; so many digits fit.
    const LONGEST: usize = 18;
    let (is_negative, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if digits.len() > LONGEST || !digits.first()?.is_ascii_digit() || !digits.last()?.is_ascii_digit() {
        return None;
    }
    let (mut value, mut scale) = (0, None);
    for &byte in digits {
        match (byte, &mut scale) {
            (b'0'..=b'9', places) => {
                value = value * 10 + i64::from(byte - b'0');
                *places = places.map(|places| places + 1);
            }
            (b'.', places @ None) => *places = Some(0),
            _ => return None,
        }
    }
    Some((if is_negative { -value } else { value }, scale.unwrap_or(0)))
}

/// The digits of a number's text around its point.
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(text: &'a [u8]) -> Result<Self, NotANumber> {
        if text.len() > LONGEST_TEXT {
            return Err(NotANumber);
        }
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let point = digits.iter().position(|&b| b == b'.');
        let (whole, fraction) = match point {
            Some(at) => (&digits[..at], &digits[at + 1..]),
            None => (digits, &digits[..0]),
        };
        let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if whole.is_empty() || (point.is_some() && fraction.is_empty()) {
            return Err(NotANumber);
        }
        if all_digits(whole) && all_digits(fraction) {
            Ok(Self { negative, whole, fraction })
        } else {
            Err(NotANumber)
        }
    }

    fn scale(&self) -> usize {
        self.fraction.len()
    }

    /// The number as an integer and its decimal places, if it is short enough.
    fn small(&self) -> Option<(i128, u32)> {
        if self.whole.len() + self.fraction.len() > SMALL_DIGITS {
            return None;
        }
        let digits = self.whole.iter().chain(self.fraction);
        let value = digits.fold(0_i128, |sum, &digit| sum * 10 + i128::from(digit - b'0'));
        Some((if self.negative { -value } else { value }, u32::try_from(self.scale()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum_of(texts: &[&str]) -> ExactSum {
        let mut sum = ExactSum::default();
        for text in texts {
            sum.add(text.as_bytes()).unwrap();
        }
        sum
    }

    #[test]
    fn sums_keep_the_decimal_places_of_money() {
        assert_eq!(sum_of(&["945.35", "427.35", "-0.70"]).text(), "1372.00");
        assert_eq!(sum_of(&["1", "0.5", "0.25"]).text(), "1.75");
        assert_eq!(sum_of(&[]).text(), "0");
    }

    #[test]
    fn forty_digits_are_summed_to_the_last() {
        let long = "12345678901234567890.12345678901234567890";
        assert_eq!(sum_of(&[long, "1", long]).text(), "24691357802469135781.24691357802469135780");
        let widest = "170141183460469231731687303715884105727";
        assert_eq!(sum_of(&[widest, widest]).text(), "340282366920938463463374607431768211454");
    }

    #[test]
    fn values_that_are_not_finite_are_counted_apart() {
        let sum = sum_of(&["NaN", "2.5", "Infinity", "-Infinity"]);
        assert_eq!((sum.text().as_str(), sum.values(), sum.non_finite()), ("2.5", 4, 3));
    }

    #[test]
    fn a_short_number_is_read_as_a_long_one() {
        for text in ["0", "-0", "00.50", "-12.5", "7", "0.07", "123456789012345678", "-99999999999999.999"] {
            let number = Parts::of(text.as_bytes()).unwrap();
            let short = short_number(text.as_bytes()).map(|(value, scale)| (i128::from(value), scale));
            assert_eq!(short, number.small(), "{text}");
        }
        for text in
            ["", "-", ".", "1.", ".5", "1..5", "1.2.3", "--1", "1-", "NaN", "1e5", "1234567890123456789"]
        {
            assert_eq!(short_number(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["", "-", ".", "1.", ".5", "1e5", "+1", "1,5", "0x1", "--1", "nan", "1 "] {
            assert_eq!(ExactSum::default().add(bad.as_bytes()), Err(NotANumber), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_the_values_never_matters(
            mut texts in prop::collection::vec("-?[0-9]{1,32}(\\.[0-9]{1,12})?", 0..20)
        ) {
            let forward = ExactSum::text(&sum_of(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
            texts.reverse();
            let backward = sum_of(&texts.iter().map(String::as_str).collect::<Vec<_>>()).text();
            let expected: BigDecimal = texts.iter().map(|text| text.parse::<BigDecimal>().unwrap()).sum();
            prop_assert_eq!(&forward, &backward);
            prop_assert_eq!(forward.parse::<BigDecimal>().unwrap(), expected);
        }
    }
}
