//! Disks that are full, read-only or forbidden: at the archives and at the databases. It is told with what to do, nothing
//! half-made stays, and once there is room the next run goes on.

mod archives;
mod databases;

pub use archives::archive_on_disk;

use crate::company::{Company, Run};

/// The run failed with this status and a hint, and its last words begin so.
fn assert_told(run: Run, status: i32, begins: &str, hint: &str) {
    let said = run.exits(status).stderr();
    let lines: Vec<&str> = said.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with("salesync: ")).expect(&said);
    assert!(lines[last].starts_with(&format!("salesync: {begins}")), "{said}");
    let advice = lines.get(last + 1).and_then(|line| line.strip_prefix("hint: "));
    assert!(advice.is_some_and(|advice| advice.contains(hint)), "{said}");
}

/// There is room again: all arrives, and is answered.
fn assert_goes_on(company: &Company) {
    company.sync();
    company.assert_equal("public.sales");
    company.branch().run(&["bundle"]).ok();
    assert_eq!(company.branch().value("SELECT count(*) FROM salesync.bundle WHERE state <> 'applied'"), "0");
    company.branch().run(&["verify", "bundles"]).ok();
    company.head_office.run(&["verify", "bundles"]).ok();
}
