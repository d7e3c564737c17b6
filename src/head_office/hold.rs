//! Why a bundle is kept without being applied, for now.

use std::fmt;

use crate::domain::legible;

/// Bytes of a reason, at most.
const LONGEST_REASON: usize = 4000;

/// What a held bundle waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKind {
    /// An earlier bundle.
    Gap,
    /// A person: it would delete a large part of the branch's rows.
    Deletion,
    /// A person: the branch's table does not fit head office's.
    Schema,
}

impl HoldKind {
    /// The word in the database and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Deletion => "deletion",
            Self::Schema => "schema",
        }
    }

    /// The kind that this word names.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Gap, Self::Deletion, Self::Schema].into_iter().find(|kind| kind.as_str() == word)
    }

    /// The same of a word in the database.
    pub(super) fn of(word: &str) -> Self {
        Self::named(word).unwrap_or(Self::Gap)
    }

    /// True if a person has to do or decide something.
    pub fn needs_person(self) -> bool {
        self != Self::Gap
    }
}

/// Why a bundle is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What it waits for.
    pub kind: HoldKind,
    /// The same in words.
    pub reason: String,
}

impl Hold {
    /// The words may contain a bundle's own, which must not fill a receipt nor speak to a terminal.
    pub(super) fn new(kind: HoldKind, reason: &str) -> Self {
        let mut reason = legible(&reason[..reason.floor_char_boundary(LONGEST_REASON)]);
        // Cut when all is said, or what is read back would not be what was written.
        reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
        Self { kind, reason }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_is_what_was_written_whatever_is_in_it() {
        let reasons = ["plain".to_owned(), "\u{1b}[31m".repeat(900), "\u{7}é".repeat(4000)];
        for reason in reasons {
            let hold = Hold::new(HoldKind::Schema, &reason);
            assert!(hold.reason.len() <= LONGEST_REASON && !hold.reason.contains(char::is_control));
            assert_eq!(Hold::new(HoldKind::Schema, &hold.reason), hold);
        }
    }
}
