//! The line between a node and the broker.

use super::{assert_goes_on, assert_told, at_branch, at_head_office, company_at, pending};
use crate::company::Company;
use crate::line::{BOTH_WAYS, Break, Line, Way};
use crate::running::Running;
use crate::servers::fresh_vhost;

/// A company with much to send, and the branch's line to the broker.
fn company_by_line() -> (Company, Line) {
    let company = company_at(&fresh_vhost());
    company.branch().sell_much();
    let line = Line::to(&company.broker_url);
    at_branch(&company, line.url());
    (company, line)
}

fn assert_break_is_told(then: Break, sending: &str, fetching: &str) {
    let (company, line) = company_by_line();
    line.breaks_after(100_000, BOTH_WAYS, then);
    assert_told(sending, "bundle", Running::start(company.branch(), &["bundle"]).ends());
    assert_eq!(pending(&company), "1");
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0), "of the half nothing is kept");
    line.is_repaired();
    company.branch().run(&["bundle"]).ok();

    at_head_office(&company, line.url());
    line.breaks_after(100_000, BOTH_WAYS, then);
    assert_told(fetching, "apply", Running::start(&company.head_office, &["apply"]).ends());
    assert_eq!(company.head_office.value("SELECT last_sequence FROM salesync.branch"), "1");
    // The broker cannot know that the other end of a dead line is gone.
    drop(line);
    assert_goes_on(&company);
}

#[test]
fn a_line_that_hangs_up_in_the_middle_is_told() {
    assert_break_is_told(
        Break::HangUp,
        "the line breaks, or the broker dies, in the middle of sending",
        "the line breaks, or the broker dies, in the middle of fetching",
    );
}

#[test]
fn a_line_that_is_reset_in_the_middle_is_told() {
    assert_break_is_told(
        Break::Reset,
        "the line breaks, or the broker dies, in the middle of sending",
        "the line breaks, or the broker dies, in the middle of fetching",
    );
}

#[test]
fn a_line_that_goes_dead_in_the_middle_is_told() {
    assert_break_is_told(
        Break::Silence,
        "the line goes dead, or the broker freezes, in the middle of sending",
        "the line goes dead, or the broker freezes, in the middle of fetching",
    );
}

#[test]
fn a_bundle_whose_confirmation_is_lost_travels_twice_and_is_applied_once() {
    let (company, line) = company_by_line();
    line.slows_to(50_000);
    let bundling = Running::start(company.branch(), &["bundle"]);
    line.wait_for_bytes(Way::Up, 100_000);
    line.breaks_after(0, &[Way::Down], Break::Silence);
    assert_told("the line carries everything but the confirmation", "bundle", bundling.ends());
    assert_eq!(pending(&company), "1");
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(1), "it has arrived");
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");

    line.is_repaired();
    company.branch().run(&["bundle"]).ok();
    assert_eq!(company.head_office.run(&["apply", "--json"]).ok().json()["duplicates"], 1);
    assert_goes_on(&company);
}

/// Half a megabyte takes longer than the heartbeats' patience.
#[test]
fn a_slow_line_is_no_fault() {
    let (company, line) = company_by_line();
    line.slows_to(18_000);
    Running::start(company.branch(), &["bundle"]).ends().ok();
    at_head_office(&company, line.url());
    Running::start(&company.head_office, &["apply"]).ends().ok();
    assert_goes_on(&company);
}
