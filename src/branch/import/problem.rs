//! What is wrong with one line of a file, in the words the user reads.

use std::fmt;

/// Longest value shown, in characters.
const SHOWN_CHARS: usize = 40;

/// One reason why a line cannot be imported. Its `Display` is one line:
/// `line 7, column Qty, "abc": not a whole number`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1; of a record that spans several lines, the first.
    pub line: u64,
    /// The column's name; `None` if the line as a whole is at fault.
    pub column: Option<String>,
    /// What stands there, shortened, control characters escaped.
    pub value: String,
    /// Why it cannot be taken.
    pub reason: String,
}

impl Problem {
    /// A problem with `value` as it stands in the file.
    pub(super) fn new(line: u64, column: Option<&str>, value: &str, reason: impl Into<String>) -> Self {
        Self { line, column: column.map(str::to_owned), value: shown(value), reason: reason.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        write!(f, ", \"{}\": {}", self.value, self.reason)
    }
}

/// `value` on one line of harmless characters: it comes from a file and goes to a terminal.
pub(super) fn shown(value: &str) -> String {
    let mut shown = String::new();
    let mut chars = value.chars();
    for character in chars.by_ref().take(SHOWN_CHARS) {
        match character {
            '"' | '\'' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_with_line_column_value_and_reason() {
        let problem = Problem::new(7, Some("Qty"), "abc", "not a whole number");
        assert_eq!(problem.to_string(), "line 7, column Qty, \"abc\": not a whole number");
        let problem = Problem::new(8, None, "a,b", "2 fields where the header has 8");
        assert_eq!(problem.to_string(), "line 8, \"a,b\": 2 fields where the header has 8");
    }

    #[test]
    fn values_are_shortened_and_cannot_drive_a_terminal() {
        assert_eq!(shown("a\n\u{1b}[31m\0"), "a\\n\\u{1b}[31m\\0");
        assert_eq!(shown("\u{202e}abc"), "\\u{202e}abc");
        assert_eq!(shown(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
        assert_eq!(shown(&"é".repeat(40)), "é".repeat(40));
    }
}
