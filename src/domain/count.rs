//! Numbers with their nouns.

use std::fmt;

/// So many of something: `1 row`, `2 rows`. The plural is the noun with an s.
pub struct Count<N>(pub N, pub &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Count<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, noun) = self;
        let ending = if *number == N::from(1) { "" } else { "s" };
        write!(f, "{number} {noun}{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_none_is_plural() {
        let texts = [0_u64, 1, 2].map(|number| Count(number, "row").to_string());
        assert_eq!(texts, ["0 rows", "1 row", "2 rows"]);
    }
}
