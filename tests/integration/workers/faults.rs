//! A fault of the program itself, in the middle of one branch's bundle, costs the others nothing.

use super::{applied, comes_to, with_a_bundle_of_each};
use crate::halted::Halting;

#[test]
fn a_fault_with_one_branchs_bundle_is_told_and_the_next_run_applies_it() {
    let company = with_a_bundle_of_each(&["east", "west"]);
    let head = &company.head_office;
    let halting = Halting::start(head, &["apply", "--workers", "2"], "RowsLoaded");
    halting.stands_still();
    halting.has_a_fault();
    halting.running.ends().exits(1).says(&["the program has a fault"]);
    assert_eq!(head.value(&applied(&["east", "west"])), "3");
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
}

#[test]
fn a_follower_goes_on_after_a_fault_and_tries_the_bundle_again() {
    let company = with_a_bundle_of_each(&["east", "west"]);
    let head = &company.head_office;
    // The only worker, so that it has to be there again for anything to go on.
    let halting = Halting::start(head, &["apply", "--follow", "--workers", "1"], "RowsLoaded");
    halting.stands_still();
    halting.has_a_fault();
    halting.running.has_said("the program has a fault");
    comes_to(head, &applied(&["east", "west"]), "4");
    halting.running.stops().ok();
    company.assert_equal("public.sales");
}
