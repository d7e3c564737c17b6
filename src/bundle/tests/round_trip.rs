//! What is written reads back.

use std::io::Cursor;

use super::sample::{Table, column, head, pour_all, small_bundle, small_table, write, write_with};
use super::workshop::{defect_of, take_apart};
use crate::bundle::{Bundle, Draft, RowReader};
use crate::domain::{Cut, Digest, KeyRange, Manifest, MemberKind, Mode, Sequence};

/// The rows of a poured bundle by member name.
fn poured(file: &[u8]) -> Vec<(String, String)> {
    let text = |(name, rows)| (name, String::from_utf8(rows).unwrap());
    pour_all(file).unwrap().into_iter().map(text).collect()
}

fn member(name: &str, rows: &str) -> (String, String) {
    (name.to_owned(), rows.to_owned())
}

#[test]
fn several_tables_read_back_and_members_without_rows_are_left_out() {
    let texts =
        || vec![column("note", "text", None), column("b", "integer", Some(2)), column("a", "text", Some(1))];
    let quoted = "\"two\nlines, \"\"quoted\"\"\r\n\",1,\"x\n\"\n,2,\n\"\",3,\"\"\n";
    let tables = [
        Table::new("public.empty", texts()).with(MemberKind::Inserts, ""),
        Table::new("public.texts", texts()).with(MemberKind::Inserts, quoted).with(MemberKind::Updates, ""),
        small_table(),
        Table::new("\"My Shop\".\"x,y\"", texts()).with(MemberKind::Tombstones, "k,1\n\"k\nl\",2\n"),
    ];
    let (manifest, digest, file) = write(head(), &tables);
    let expected = [
        member("1/inserts.csv.zst", quoted),
        member("2/inserts.csv.zst", "1,0.10\n2,\n"),
        member("2/updates.csv.zst", "3,-2.50\n"),
        member("2/tombstones.csv.zst", "4\n5\n6\n"),
        member("3/tombstones.csv.zst", "k,1\n\"k\nl\",2\n"),
    ];
    assert_eq!(poured(&file), expected);
    let bundle = Bundle::open(Cursor::new(&file)).unwrap();
    assert_eq!((bundle.manifest(), bundle.manifest_sha256()), (&manifest, digest));
    assert_eq!((bundle.size(), bundle.signature()), (file.len() as u64, None));
    assert_eq!((manifest.rows(), manifest.tombstones()), (6, 5));
    assert_eq!(digest, Digest::of(&take_apart(&file)[0].1));
}

#[test]
fn the_header_line_and_the_tombstones_are_in_the_order_readme_says() {
    let columns =
        vec![column("b", "integer", Some(2)), column("v,w", "text", None), column("a", "text", Some(1))];
    let table = Table::new("public.t", columns)
        .with(MemberKind::Inserts, "1,v,a\n")
        .with(MemberKind::Tombstones, "a,2\n");
    let parts = take_apart(&write(head(), &[table]).2);
    let csv = |place: usize| String::from_utf8(zstd::decode_all(&parts[place].1[..]).unwrap()).unwrap();
    assert_eq!((csv(1).as_str(), csv(2).as_str()), ("b,\"v,w\",a\n1,v,a\n", "a,b\na,2\n"));
}

#[test]
fn the_parts_of_a_cut_form_a_chain() {
    let bound = |key: &str| Some(vec![key.to_owned()]);
    let ranges = [(None, bound("10")), (bound("10"), bound("20")), (bound("20"), None)];
    let (mut previous, mut sequence) = (None, Sequence::FIRST);
    for (part, (after, through)) in (1..).zip(ranges) {
        let cut = Cut { part, last: through.is_none(), ..head().cut };
        let mut table = small_table();
        table.mode = Mode::Range;
        table.rows.truncate(1);
        table.range = Some(KeyRange { after, through });
        let (manifest, digest, file) = write(Manifest { sequence, previous, cut, ..head() }, &[table]);
        let read = Bundle::open(Cursor::new(&file)).unwrap();
        assert_eq!(read.manifest(), &manifest);
        assert_eq!(read.manifest().previous, previous);
        (previous, sequence) = (Some(digest), sequence.next());
    }
}

#[test]
fn a_bundle_without_rows_may_still_say_that_a_range_is_empty() {
    let mut table = small_table();
    table.mode = Mode::Range;
    table.range = Some(KeyRange { after: None, through: None });
    table.rows.clear();
    let (_, _, file) = write(head(), &[table]);
    assert_eq!(poured(&file), []);
}

#[test]
fn the_same_content_is_the_same_file() {
    assert_eq!(small_bundle(), small_bundle());
}

#[test]
fn a_draft_serves_one_bundle_after_the_other() {
    let mut draft = Draft::new(&std::env::temp_dir(), 9).unwrap();
    let long = "7,\n".repeat(100_000);
    for rows in [long.as_str(), "1,0.10\n", "2,\n", &long] {
        let mut table = small_table();
        table.rows = vec![(MemberKind::Inserts, rows.into()), (MemberKind::Tombstones, "9\n".into())];
        let (_, _, file) = write_with(&mut draft, None, head(), &[table]);
        assert_eq!(poured(&file), [member("0/inserts.csv.zst", rows), member("0/tombstones.csv.zst", "9\n")]);
        assert!(draft.is_empty());
    }
}

#[test]
fn a_draft_refuses_rows_of_another_shape_and_a_manifest_of_other_members() {
    let folder = std::env::temp_dir();
    let columns = [column("id", "bigint", Some(1))];
    let mut draft = Draft::new(&folder, 1).unwrap();
    assert!(draft.write_row(b"1\n").is_err(), "no member was begun");
    draft.begin(0, MemberKind::Inserts, &columns).unwrap();
    assert!(draft.is_empty());
    assert!(draft.write_row(b"1,2\n").is_err());
    let mut draft = Draft::new(&folder, 1).unwrap();
    draft.begin(0, MemberKind::Inserts, &columns).unwrap();
    draft.write_row(b"1\n").unwrap();
    assert!(!draft.is_empty());
    let (manifest, ..) = write(head(), &[small_table()]);
    assert!(draft.assemble(&manifest, None, &mut Vec::new()).is_err());
    let mut draft = Draft::new(&folder, 1).unwrap();
    draft.begin(0, MemberKind::Inserts, &columns).unwrap();
    draft.write_row(b"1\n").unwrap();
    draft.end().unwrap();
    draft.members_of(0, 0);
    let mut without = manifest;
    without.tables[0].members.clear();
    assert!(draft.assemble(&without, None, &mut Vec::new()).is_err(), "rows were left out silently");
}

#[test]
fn rows_in_the_place_of_rows_are_poured_without_the_header_line() {
    let mut bundle = Bundle::open(Cursor::new(small_bundle())).unwrap();
    let table = bundle.manifest().tables[0].clone();
    let mut rows = Vec::new();
    for _ in 0..2 {
        rows.clear();
        bundle.pour(&table, &table.members[2], &mut rows).unwrap();
    }
    let mut reader = RowReader::new(&rows[..]);
    let mut read = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        read.push(row.to_vec());
    }
    assert_eq!(read, [b"4\n", b"5\n", b"6\n"]);
}

#[test]
fn an_ordinary_tar_is_no_bundle() {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in take_apart(&small_bundle()) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    let file = builder.into_inner().unwrap();
    assert_eq!(defect_of(&file), crate::bundle::Defect::HeaderDamaged(0));
}
