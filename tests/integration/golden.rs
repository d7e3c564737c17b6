//! The golden bundles of every released format are applied, and head office has what they say.

use std::path::Path;

use crate::company::Company;

#[test]
fn the_golden_bundles_of_version_1_are_applied_as_ever() {
    let company = Company::new(&["golden"], "");
    let head_office = &company.head_office;
    head_office.run(&["init"]).ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles/v1");
    let verdicts = head_office.run(&["replay", folder.to_str().unwrap(), "--json"]).ok().json();
    assert_eq!(verdicts["applied"].as_array().unwrap().len(), 2);

    let rows = |table: &str| head_office.rows(table, "branch = 'golden'");
    // The columns come in the order of their names: amt, cost, date, id, product, qty, region, tax, total.
    assert_eq!(
        rows("public.sales"),
        [
            "0.00\t\\N\t2024-03-01\t9007199254740993\tgift\t0\tSouth\t0.00\t0.00",
            "0.04\t0.01\t2024-03-01\t3\tline \"one\"\\r\\nline two\t4\tWest\t0.01\t0.05",
            "0.10\t0.10\t2024-02-29\t2\t\"Größe\" 日本 🧾\t1\t\\N\t0.02\t0.12",
            "31.50\t10.50\t2024-02-29\t1\tWidget, large\t3\tNorth\t6.30\t37.80",
            "5.00\tNaN\t2024-03-02\t6\t\\\\N\t1\tNorth\t1.00\t6.00",
        ]
    );
    // note, region, target, year
    assert_eq!(
        rows("public.targets"),
        [
            "\tZürich\t0.00000001\t2024",
            "café\tZürich\tNaN\t2025",
            "first, draft\tNorth\t12345678901234567890.1234567890\t2025",
            "raised\tNorth\t125000.50\t2024",
        ]
    );
}

#[test]
fn the_signed_golden_bundles_are_applied_as_their_branchs_own() {
    let company = Company::new(&["golden"], "");
    let head_office = &company.head_office;
    let key = "ed25519:8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    let known = format!("[branches.golden]\npublic_key = \"{key}\"\n");
    head_office.configure("role = \"head-office\"", &company.broker_url, &known);
    head_office.run(&["init"]).ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bundles");
    let [signed, unsigned] = ["v1-signed", "v1"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    head_office.run(&["verify", "--key", key, &signed]).ok();
    let refused = head_office.run(&["replay", &unsigned, "--json"]).exits(3).json();
    assert_eq!(refused["rejected"][0]["reason"], "it is not signed");
    let verdicts = head_office.run(&["replay", &signed, "--json"]).ok().json();
    assert_eq!(verdicts["applied"].as_array().unwrap().len(), 2);
    assert_eq!(head_office.rows("public.sales", "branch = 'golden'").len(), 5);
}
