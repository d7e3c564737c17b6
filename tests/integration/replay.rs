//! Head office's database is rebuilt from the bundles it keeps.

use crate::company::Company;

const SALE: &str = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                    VALUES ('2021-05-02', 'East', 'Ink', 1, 9.99, 9.99, 0.70, 10.69)";

#[test]
fn head_office_replays_its_own_archive_bundle_by_bundle_and_no_further_than_asked() {
    let company = Company::of_sales(&["east"]);
    for _ in 0..3 {
        company.branch().sql(SALE);
        company.sync();
    }
    let head_office = &company.head_office;
    head_office.sql("DROP TABLE public.sales; DROP SCHEMA salesync CASCADE");
    head_office.run(&["init"]).ok();

    let replayed = head_office.run(&["replay", "bundles", "--to", "2", "--json"]).ok().json();
    assert_eq!(replayed["applied"].as_array().map(Vec::len), Some(2), "{replayed}");
    assert_eq!(replayed["duplicates"], 0, "{replayed}");
    assert_eq!(head_office.value("SELECT count(*) FROM public.sales"), "2");

    let replayed = head_office.run(&["replay", "bundles", "--json"]).ok().json();
    assert_eq!(replayed["applied"][0]["sequence"], 3, "{replayed}");
    assert_eq!(replayed["duplicates"], 2, "{replayed}");
    company.assert_equal("public.sales");
}
