//! Random values that nobody can guess.

use crate::domain::{Failure, Kind};

/// 256 bits as text: hexadecimal digits, which stand in a cookie, a form or a URL as they are.
pub(super) fn token() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Kind::Failed, "asking the system for randomness", error))?;
    let (high, low) = bytes.split_at(16);
    let number = |half: &[u8]| half.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    Ok(format!("{:032x}{:032x}", number(high), number(low)))
}

/// Whether two texts are the same, in a time that does not tell where they begin to differ.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differences == 0
}
