//! The tar around a bundle, from the table in bundles/README.md: taken apart without asking whether it is right, and put
//! together as it must be.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

const BLOCK: usize = 512;

/// A member: its name and its content.
pub type Part = (String, Vec<u8>);

/// The members, as far as there are any.
pub fn take_apart(mut file: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some((header, rest)) = file.split_at_checked(BLOCK).filter(|(header, _)| header[0] != 0) {
        let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
        let digits = header[124..135].iter().map(|byte| usize::from(byte.wrapping_sub(b'0') & 7));
        let size = digits.fold(0, |size, digit| size * 8 + digit).min(rest.len());
        parts.push((String::from_utf8_lossy(name).into_owned(), rest[..size].to_vec()));
        file = &rest[size.next_multiple_of(BLOCK).min(rest.len())..];
    }
    parts
}

/// The one file that has these members.
pub fn put_together(parts: &[Part]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, content) in parts {
        file.extend(header(name, content.len()));
        file.extend(content);
        file.resize(file.len().next_multiple_of(BLOCK), 0);
    }
    file.resize(file.len() + 2 * BLOCK, 0);
    file
}

/// The one header that a member of this name and size has; names are cut at 100 bytes.
fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{size:011o}\x0000000000000\0").as_bytes());
    put(148, b"        0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    header
}

/// The digest of these bytes, as it is written.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
