//! How the demo talks: chapters, narration, and what is typed and answered at the nodes.

use std::env;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal as _, Write as _};

use crate::domain::{Failure, Kind};

/// Columns of a line of narration.
const WIDTH: usize = 92;

/// What is typed and answered stands a little to the right of the narration.
const INDENT: &str = "  ";

/// Prints the story to stdout, each piece at once.
#[derive(Debug)]
pub(super) struct Story {
    out: io::Stdout,
    is_bold: bool,
}

impl Story {
    /// A story for whoever reads stdout; a terminal gets bold type.
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let is_bold = out.is_terminal() && env::var_os("NO_COLOR").is_none();
        Self { out, is_bold }
    }

    /// A numbered headline.
    pub(super) fn chapter(&self, number: u8, title: &str) -> Result<(), Failure> {
        let title = format!("{number}. {title}");
        let line = "=".repeat(title.chars().count());
        self.print(format_args!("\n\n{}\n{line}\n", self.bold(&title)))
    }

    /// A paragraph of narration.
    pub(super) fn tell(&self, text: impl Display) -> Result<(), Failure> {
        self.print(format_args!("\n{}\n", wrapped(&text.to_string())))
    }

    /// Something that was typed after a prompt, `east$ ` or `east# `. Further lines stand below the first.
    pub(super) fn typed(&self, prompt: &str, text: &str) -> Result<(), Failure> {
        let margin = format!("\n{INDENT}{}", " ".repeat(prompt.chars().count() + 1));
        let text: Vec<String> = text.lines().map(|line| self.bold(line)).collect();
        self.print(format_args!("\n{INDENT}{prompt} {}\n", text.join(&margin)))
    }

    /// What the answer was, line by line.
    pub(super) fn answered(&self, text: impl Display) -> Result<(), Failure> {
        let text = text.to_string();
        text.lines()
            .try_for_each(|line| self.print(format_args!("{}\n", format!("{INDENT}{line}").trim_end())))
    }

    fn print(&self, text: fmt::Arguments<'_>) -> Result<(), Failure> {
        let mut out = self.out.lock();
        let printed = out.write_fmt(text).and_then(|()| out.flush());
        printed.map_err(|error| Failure::new(Kind::Failed, "printing the demo", error))
    }

    fn bold(&self, text: &str) -> String {
        if self.is_bold { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The words of `text` in lines of at most [`WIDTH`] characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            lines.push('\n');
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narration_is_wrapped_between_words() {
        let word = "x".repeat(30);
        let text = [word.as_str(); 5].join(" ");
        assert_eq!(wrapped(&text), format!("{word} {word} {word}\n{word} {word}"));
        assert_eq!(wrapped("a  b\n c"), "a b c");
    }
}
