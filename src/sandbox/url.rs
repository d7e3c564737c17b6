//! The parts of a connection URL that are free text.

use std::fmt::Write;

/// `text` as one path segment of a URL: all but letters, digits and `-._~` percent-encoded.
pub(super) fn path_segment(text: &str) -> String {
    text.bytes().fold(String::new(), |mut segment, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(segment, "%{byte:02X}");
        }
        segment
    })
}

#[cfg(test)]
mod tests {
    use super::path_segment;

    #[test]
    fn a_path_segment_keeps_plain_names_and_encodes_the_rest() {
        assert_eq!(path_segment("east-1_a.b~"), "east-1_a.b~");
        assert_eq!(path_segment("/"), "%2F");
        assert_eq!(path_segment("a b%é"), "a%20b%25%C3%A9");
    }
}
