//! A branch's sales reach head office, once.

use crate::company::{Company, SALES_2021};

#[test]
fn three_branches_reach_head_office_exactly_once() {
    let company = Company::of_sales(&["east", "west", "north"]);
    for branch in &company.branches {
        branch.run_with(&["import", "-"], SALES_2021.as_bytes()).ok();
    }
    company.sync();
    company.assert_equal("public.sales");
    assert_eq!(company.head_office.value("SELECT count(*) FROM public.sales"), "18");

    let east = &company.branches[0];
    east.sql("UPDATE public.sales SET cost = 13.00, amt = 73 * 13.00, tax = 66.43, total = 73 * 13.00 + 66.43 WHERE id = 1;
              DELETE FROM public.sales WHERE id = 2;
              INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
              VALUES ('2021-05-02', 'East', 'Ink', 1, 9.99, 9.99, 0.70, 10.69)");
    let bundled = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(bundled["bundles"][0]["sequence"], 2);
    assert_eq!(bundled["bundles"][0]["rows"], 2);
    assert_eq!(bundled["bundles"][0]["tombstones"], 1);
    assert_eq!(bundled["bundles"][0]["state"], "published");
    let applied = company.head_office.run(&["apply", "--json"]).ok().json();
    assert_eq!(applied["applied"][0]["branch"], "east");
    assert_eq!(applied["applied"][0]["sequence"], 2);
    company.assert_equal("public.sales");
}

#[test]
fn nothing_changed_is_no_bundle() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.run_with(&["import", "-"], SALES_2021.as_bytes()).ok();
    east.run(&["bundle"]).ok();
    let again = east.run(&["bundle"]).ok();
    assert_eq!(again.stdout(), "nothing has changed, and nothing is pending\n");
    assert_eq!(east.bundles().len(), 1);
}
