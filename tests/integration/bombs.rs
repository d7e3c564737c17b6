//! Bombs and lies on their way to head office: each is rejected for what it is, by a program with little memory, and the
//! next branch is not touched by it.

use std::process::Command;

use salesync::domain::{Column, Manifest};

use crate::company::{Company, Node, Run};
use crate::delivery::{enqueue, manifest_of, seal};
use crate::forge::{forged, written};

/// What head office's program may have of address space, in KiB: threads reserve much of it and use little.
const ADDRESS_SPACE: &str = "2097152";

/// `salesync apply --json` within that.
fn apply(head: &Node) -> Run {
    let plain = head.command(&["apply", "--json"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v $1 && shift && exec \"$@\"", "sh", ADDRESS_SPACE]);
    limited.arg(plain.get_program()).args(plain.get_args()).current_dir(&head.folder);
    Run::of(limited.env_clear().env("HOME", &head.folder))
}

/// What makes a lie of a good bundle, and what head office must say of it.
type Lie = (fn(&mut Manifest), &'static str);

const LIES: [Lie; 6] = [
    (|manifest| manifest.tables[0].members[0].raw_bytes = 10, "does not decompress to the declared 10 bytes"),
    (
        |manifest| manifest.tables[0].members[0].raw_bytes = 10 << 30,
        "does not decompress to the declared 10737418240",
    ),
    (|manifest| manifest.tables[0].members[0].rows = 2, "has 1 rows, the manifest says 2"),
    (
        |manifest| {
            let member = &mut manifest.tables[0].members[0];
            (member.rows, member.raw_bytes) = (1 << 62, 1 << 62);
        },
        "does not decompress to the declared 4611686018427387904",
    ),
    (
        |manifest| {
            let totals = &mut manifest.tables[0].members[0].totals;
            "1000000".clone_into(&mut totals.get_mut("qty").unwrap().sum);
        },
        "column \"qty\": the rows sum up to",
    ),
    (
        |manifest| {
            let days = &mut manifest.tables[0].day_totals.as_mut().unwrap().days;
            days[0].rows += 1;
        },
        "day 2021-05-02: the branch has",
    ),
];

#[test]
fn bombs_and_lies_are_rejected_for_what_they_are_and_harm_no_other_branch() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    let [east, west] = &company.branches[..] else { panic!("two branches") };
    for branch in [east, west] {
        branch.sell("Ink");
    }
    company.sync();
    for branch in [east, west] {
        seal(branch, 1);
    }
    let good = &east.bundles()[1];
    let mut expected: Vec<&str> = LIES.iter().map(|lie| lie.1).collect();
    for (lie, _) in LIES {
        enqueue(&company, "east", &forged(good, lie));
    }
    // As many columns as a table can have, and head office's has one more.
    let mut widest = manifest_of(good).0;
    let column = |number: u16| Column {
        name: format!("c{number}"),
        type_name: "text".to_owned(),
        key: (number == 1).then_some(1),
    };
    widest.tables[0].name.table = "widest".to_owned();
    widest.tables[0].columns = (1..=1600).map(column).collect();
    let row = [&b",".repeat(1599)[..], b"\n"].concat();
    enqueue(&company, "east", &written(widest, &[&[b"1", &row[..]].concat()]));
    expected.push("tables can have at most 1600 columns");

    west.run(&["bundle"]).ok();
    let report = apply(head).exits(3).json();
    let reasons: Vec<&str> =
        report["rejected"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), expected.len(), "{report}");
    for words in expected {
        assert!(reasons.iter().any(|reason| reason.contains(words)), "nothing says {words:?}: {reasons:#?}");
    }
    assert_eq!(head.rows("public.sales", "branch = 'west'"), west.rows("public.sales", "true"));
    assert_eq!(head.rows("public.sales", "branch = 'east'").len(), 1);

    // The branch itself goes on, and so does a table whose name looks like another's.
    let table = "public.\"s\u{430}les\"";
    east.run(&["bundle"]).exits_with_any(&[0, 3]);
    company.head_office.run(&["apply"]).exits_with_any(&[0, 3]);
    company.assert_equal("public.sales");
    let mut alike = manifest_of(&east.bundles()[1]).0;
    alike.sequence = alike.sequence.next();
    alike.previous = Some(manifest_of(&east.bundles()[1]).1);
    alike.bundle_id = salesync::domain::BundleId::generate();
    alike.tables[0].name.table = "s\u{430}les".to_owned();
    alike.tables[0].columns.truncate(1);
    enqueue(&company, "east", &written(alike, &[b"1\n"]));
    head.run(&["apply"]).ok();
    assert_eq!(head.rows(table, "branch = 'east'"), ["1"]);
    company.assert_equal("public.sales");
}
