//! Words from elsewhere, as they may be shown: what would steer a terminal or a page is made visible.

/// `text` with its control characters spelt out (`\u{1b}`, `\n`), and so are the marks that turn the
/// direction of writing. What comes from a bundle, a receipt, a server or a person must not speak to the terminal
/// nor look like another line.
pub fn legible(text: &str) -> String {
    spell_out(text, |_| false)
}

/// The same of a text of several lines: its line ends and tabs stay.
pub fn legible_lines(text: &str) -> String {
    spell_out(text, |c| matches!(c, '\n' | '\t'))
}

fn spell_out(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if !stays(c) && (c.is_control() || turns_direction(c)) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Line and paragraph separators, and what makes text run the other way.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_spelt_out_and_the_rest_is_as_it_was() {
        assert_eq!(legible("Tinte für Zoë, 東京 🖋"), "Tinte für Zoë, 東京 🖋");
        assert_eq!(legible("\u{1b}[2Jgone\nnew\tline\0"), "\\u{1b}[2Jgone\\nnew\\tline\\u{0}");
        assert_eq!(legible("\u{9b}31m\u{7f}\u{202e}gpj\u{2069}"), "\\u{9b}31m\\u{7f}\\u{202e}gpj\\u{2069}");
        assert_eq!(legible_lines("one\r\n\ttwo\u{7}\n"), "one\\r\n\ttwo\\u{7}\n");
        let once = legible("\u{1b}\r\n");
        assert_eq!(legible(&once), once, "what is read back is what was written");
    }
}
