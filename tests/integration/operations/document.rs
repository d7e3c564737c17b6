//! The blocks of the document, and what in them differs from run to run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::{env, fs};

use regex::{Captures, Regex};

use crate::documents::{section, text_of};

pub(super) const FILE: &str = "docs/operations.md";
const FENCE: &str = "```console\n";

/// Situations are played at the same time, and one of them writes at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// Times, sizes, processes, snapshots, files in the making, and how far a slow line lets a window come.
static VARYING: LazyLock<[Regex; 8]> = LazyLock::new(|| {
    [
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z",
        r"[0-9]+ bytes",
        r"server process [0-9]+",
        r"cut  +[0-9:,]+",
        r"\.tmp[A-Za-z0-9]+",
        // Which key.
        r"\b[0-9a-f]{16}\b",
        r"[0-9]+ bundles? left \([^)]*\), about .*/s of this run",
        // A disk that is full, and, where a test may mount none, a file that may not grow.
        r"(No space left on device|File too large) \(os error [0-9]+\)",
    ]
    .map(|pattern| Regex::new(pattern).unwrap())
});

/// Epochs and bundles, hashes.
static IDS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}").unwrap());

/// The text without what differs from run to run. Which ids are the same one is not lost.
pub(super) fn masked(text: &str) -> String {
    let plain = VARYING.iter().fold(text.to_owned(), |text, pattern| {
        pattern.replace_all(&text, format!("<{}>", pattern.as_str())).into_owned()
    });
    let mut seen: Vec<String> = Vec::new();
    let number = |found: &Captures<'_>| {
        let id = found[0].to_owned();
        let at = seen.iter().position(|known| *known == id).unwrap_or_else(|| {
            seen.push(id);
            seen.len() - 1
        });
        format!("<id {at}>")
    };
    IDS.replace_all(&plain, number).into_owned()
}

/// The titles of the sections that show something.
pub(super) fn titles() -> BTreeSet<String> {
    let text = text_of(FILE);
    let sections = text.split("\n## ").skip(1).filter(|section| section.contains(FENCE));
    sections.map(|section| section.lines().next().unwrap_or_default().to_owned()).collect()
}

/// The section shows these blocks.
pub(super) fn assert_shows(title: &str, blocks: &[String]) {
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = text_of(FILE);
    let section = section(&text, title);
    let shown: Vec<&str> =
        section.split(FENCE).skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(shown.len(), blocks.len(), "{title}: the document has another number of blocks");
    if masked(&shown.join(FENCE)) == masked(&blocks.join(FENCE)) {
        return;
    }
    let mut recorded = section.split(FENCE).next().unwrap().to_owned();
    for (block, rest) in blocks.iter().zip(section.split(FENCE).skip(1)) {
        let (_, after) = rest.split_once("```").unwrap();
        recorded.extend([FENCE, block, "```", after]);
    }
    if env::var_os("SALESYNC_RECORD").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        let [old, new] = [section, &recorded].map(|section| format!("\n## {title}\n{section}"));
        fs::write(path, text.replacen(&old, &new, 1)).unwrap();
        return;
    }
    let [shown, played] = [shown.join("\n"), blocks.join("\n")];
    panic!(
        "{FILE}, {title}, shows\n\n{shown}\nbut this is what happens:\n\n{played}\nSALESYNC_RECORD=1 writes it there"
    );
}

#[test]
fn what_differs_from_run_to_run_is_masked_and_nothing_else() {
    let one = "01a1fbf6-b444-77ed-bc78-4a939cd05b0f";
    let other = "01a1fbf6-b952-748e-9772-998be177b3e4";
    assert_eq!(
        masked(&format!("{one} at 2026-11-21T02:36:52.558Z")),
        masked(&format!("{other} at 2027-01-01T00:00:00Z"))
    );
    assert_ne!(masked(&format!("{one} {one}")), masked(&format!("{one} {other}")));
    assert_ne!(masked("east 1: 2 rows"), masked("east 1: 3 rows"));
    assert_eq!(masked("4096 bytes"), masked("4608 bytes"));
}
