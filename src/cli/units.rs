//! Times and sizes as people write them: a number never goes without its unit.

use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize as _;
use serde::de::Error as _;

const TIME: &str = "a time is a number with its unit - ms, s, m, h, d or w - as in \"26h\" or \"1h 30m\"";
const SIZE: &str =
    "a size is a number with its unit - KiB, MiB, GiB, or KB, MB, GB for powers of 1000 - as in \"4 MiB\"";

/// `26h`.
pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| TIME)
}

/// `4 MiB`.
fn size(text: &str) -> Result<ByteSize, &'static str> {
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    text.parse().ok().filter(|_| has_unit).ok_or(SIZE)
}

/// A time in the configuration.
pub(super) fn time_in_file<'de, D: serde::Deserializer<'de>, T: From<Duration>>(
    source: D,
) -> Result<T, D::Error> {
    let toml::Value::String(text) = toml::Value::deserialize(source)? else {
        return Err(D::Error::custom(TIME));
    };
    time(&text).map(T::from).map_err(D::Error::custom)
}

/// A size in the configuration.
pub(super) fn size_in_file<'de, D: serde::Deserializer<'de>>(source: D) -> Result<ByteSize, D::Error> {
    let toml::Value::String(text) = toml::Value::deserialize(source)? else {
        return Err(D::Error::custom(SIZE));
    };
    size(&text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_that_is_known_is_refused_with_the_units_and_an_example() {
        for (text, seconds) in [("26h", 93_600), ("1h 30m", 5400), ("90sec", 90), ("2d", 172_800)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["90", "", "h", "90 fortnights", "-1h", "1,5h", "26H"] {
            assert_eq!(time(text), Err(TIME), "{text}");
        }
        for (text, bytes) in [("4 MiB", 4 << 20), ("4MB", 4_000_000), ("64 kib", 64 << 10)] {
            assert_eq!(size(text), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["4", "4194304", "", "MiB", "4 MiBs", "4 Mbit", "-4 MiB", "1e99 MiB"] {
            assert_eq!(size(text), Err(SIZE), "{text}");
        }
    }
}
