//! The line is up for an hour or two, or always: windows, followers, `sync`.

mod daemon;
mod follow;
mod sync;
mod window;

use std::time::Duration;

use salesync::sandbox::wait_until;

use crate::company::{Company, Node};

/// Waits until this query gives this value.
#[track_caller]
fn comes_to(node: &Node, sql: &str, wanted: &str) {
    let mut last = String::new();
    let come = wait_until(Duration::from_mins(2), sql, || {
        last = node.value(sql);
        Ok((last == wanted).then_some(()))
    });
    come.unwrap_or_else(|error| panic!("{error}: it is {last}, not {wanted}"));
}

/// Waits until head office has as many rows of the branch as the branch.
#[track_caller]
fn arrives(company: &Company, branch: &Node) {
    let count = branch.value("SELECT count(*) FROM public.sales");
    let exists = "SELECT to_regclass('public.sales') IS NOT NULL";
    comes_to(&company.head_office, exists, "true");
    let there = format!("SELECT count(*) FROM public.sales WHERE branch = '{}'", branch.name);
    comes_to(&company.head_office, &there, &count);
}
