//! What is measured.

mod branches;
mod capture;
mod catch_up;
mod derived;
mod few;
mod files;
mod levels;
mod mixed;
mod page;
mod settings;
mod size;
mod window;
mod wire;

use crate::table::Line;

/// How much, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Rows of a large change set; all other sizes are fractions and multiples of it.
    pub rows: u64,
    /// How often each figure is measured.
    pub runs: usize,
}

/// Some figures that are measured together.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(Extent) -> Vec<Line>,
}

pub const ALL: [Scenario; 12] = [
    Scenario {
        name: "catch-up",
        about: "new rows after being offline, both sides at work",
        run: catch_up::run,
    },
    Scenario { name: "mixed", about: "inserts, updates and deletes after being offline", run: mixed::run },
    Scenario { name: "files", about: "sealing and applying, each by itself", run: files::run },
    Scenario { name: "few", about: "1,000 changes, by two commands and by followers", run: few::run },
    Scenario { name: "size", about: "memory, and 1,000 changes, by size of the table", run: size::run },
    Scenario { name: "wire", about: "bytes on the line", run: wire::run },
    Scenario { name: "capture", about: "what the triggers cost the application", run: capture::run },
    Scenario { name: "branches", about: "fifty branches at once", run: branches::run },
    Scenario { name: "levels", about: "compression levels", run: levels::run },
    Scenario { name: "settings", about: "size of the bundles", run: settings::run },
    Scenario { name: "page", about: "head office's pages, of a hundred branches", run: page::run },
    Scenario { name: "derived", about: "what columns that others determine weigh", run: derived::run },
];

/// `1,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups =
        digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| digits[..first].to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}
