//! What somebody can do who seals the manifest anew and brings his own members: numbers that lie,
//! rows that are others, frames that hide something.

use std::io::{Cursor, Read, Write};

use serde_json::Value;
use zstd::stream::{Encoder, encode_all};

use super::sample::{pour_all, small_bundle};
use super::workshop::{defect_of, put_together, row_defect_of, take_apart, with_manifest, with_member};
use crate::bundle::layout::header;
use crate::bundle::{Bundle, Defect, PourError};

/// The small bundle after `change` to its manifest.
fn forged(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_manifest(&small_bundle(), change)
}

#[test]
fn a_size_that_wraps_around_does_no_harm() {
    let file = forged(|manifest| manifest["tables"][0]["members"][0]["bytes"] = (i64::MAX - 5000).into());
    let mut parts = take_apart(&file);
    parts.truncate(1);
    let mut file = put_together(&parts);
    file.truncate(file.len() - 1024);
    for (size, differs) in [(u64::MAX, true), (i64::MAX.cast_unsigned() - 5000, false)] {
        let mut forged = file.clone();
        forged.extend(header("0/inserts.csv.zst", size).unwrap());
        let length = forged.len() as u64;
        match defect_of(&forged) {
            Defect::SizeDiffers { found, .. } => assert!(differs && found == size),
            other => assert_eq!(other, Defect::Truncated(length)),
        }
    }
}

#[test]
fn lying_sizes_and_checksums_are_found_on_opening() {
    let bytes = forged(|manifest| manifest["tables"][0]["members"][1]["bytes"] = 1.into());
    assert!(matches!(defect_of(&bytes), Defect::SizeDiffers { declared: 1, .. }));
    let sha256 = forged(|manifest| manifest["tables"][0]["members"][1]["sha256"] = "0".repeat(64).into());
    assert_eq!(defect_of(&sha256), Defect::ChecksumDiffers("0/updates.csv.zst".to_owned()));
}

#[test]
fn lying_counts_and_totals_are_found_in_the_rows() {
    let name = || "0/inserts.csv.zst".to_owned();
    let rows = forged(|manifest| manifest["tables"][0]["members"][0]["rows"] = 3.into());
    assert_eq!(row_defect_of(&rows), Defect::RowsDiffer { member: name(), declared: 3, found: 2 });
    for raw_bytes in [16, 18] {
        let raw = forged(|manifest| {
            assert_eq!(manifest["tables"][0]["members"][0]["raw_bytes"], 17);
            manifest["tables"][0]["members"][0]["raw_bytes"] = raw_bytes.into();
        });
        assert_eq!(row_defect_of(&raw), Defect::RawSizeDiffers(name(), raw_bytes));
    }
    let changes: [fn(&mut Value); 4] = [
        |total| total["sum"] = "0.11".into(),
        |total| total["sum"] = "0.100".into(),
        |total| total["values"] = 2.into(),
        |total| total["non_finite"] = 1.into(),
    ];
    for change in changes {
        let total = forged(|manifest| change(&mut manifest["tables"][0]["members"][0]["totals"]["amt"]));
        assert!(matches!(row_defect_of(&total), Defect::TotalDiffers { column, .. } if column == "amt"));
    }
    let renamed = forged(|manifest| {
        let table = &mut manifest["tables"][0];
        table["columns"][1]["name"] = "sum".into();
        for member in table["members"].as_array_mut().unwrap().iter_mut().take(2) {
            let total = member["totals"].as_object_mut().unwrap().remove("amt").unwrap();
            member["totals"]["sum"] = total;
        }
    });
    assert_eq!(row_defect_of(&renamed), Defect::HeaderLineDiffers(name()));
}

/// The small bundle with this CSV as its inserts.
fn with_inserts(csv: &str) -> Vec<u8> {
    let content = encode_all(csv.as_bytes(), 3).unwrap();
    with_member(&small_bundle(), 0, &content, csv.len() as u64)
}

#[test]
fn rows_of_another_shape_are_found_with_their_number() {
    let cases = [
        ("id,amt\n1,0.10\n2\n", 2),
        ("id,amt\n1,0.10,\n2,\n", 1),
        ("id,amt\n1,0.10\nx,\n", 2),
        ("id,amt\n1,0.10\n2,", 2),
        ("id,amt\n1,0.10\n\"2,\n", 2),
        ("id,amt\n1,0.10\r\n2,\r\n", 1),
    ];
    for (csv, row) in cases {
        let defect = row_defect_of(&with_inserts(csv));
        assert!(matches!(defect, Defect::RowMalformed(_, number, _) if number == row), "{csv:?}: {defect}");
    }
    for csv in ["", "id", "1,0.10\n2,\n", "amt,id\n1,0.10\n2,\n", "id,amt\r\n1,0.10\n2,\n"] {
        let content = encode_all(csv.as_bytes(), 3).unwrap();
        let file = with_member(&small_bundle(), 0, &content, 17);
        let defect = row_defect_of(&file);
        let fits = matches!(defect, Defect::HeaderLineDiffers(_) | Defect::RawSizeDiffers(..));
        assert!(fits, "{csv:?}: {defect}");
    }
}

const GOOD_INSERTS: &str = "id,amt\n1,0.10\n2,\n";

#[test]
fn what_is_no_single_frame_cannot_be_decompressed() {
    let frame = encode_all(GOOD_INSERTS.as_bytes(), 3).unwrap();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"evil"].concat();
    let empty = encode_all(&b""[..], 3).unwrap();
    let (head, tail) = GOOD_INSERTS.split_at(9);
    let halves = [encode_all(head.as_bytes(), 3).unwrap(), encode_all(tail.as_bytes(), 3).unwrap()];
    let is_refused = |content: &[u8]| {
        let file = with_member(&small_bundle(), 0, content, GOOD_INSERTS.len() as u64);
        let defect = row_defect_of(&file);
        let right = matches!(
            defect,
            Defect::Compression(..) | Defect::RawSizeDiffers(..) | Defect::HeaderLineDiffers(_)
        );
        assert!(right, "{content:x?}: {defect}");
    };
    is_refused(GOOD_INSERTS.as_bytes());
    is_refused(&frame[..frame.len() - 1]);
    is_refused(&[&frame[..], &skippable].concat());
    is_refused(&[&frame[..], &empty].concat());
    is_refused(&[&frame[..], b"x"].concat());
    is_refused(&[&skippable[..], &frame].concat());
    is_refused(&skippable);
    is_refused(&halves.concat());
    assert!(pour_all(&with_member(&small_bundle(), 0, &frame, 17)).is_ok());
}

#[test]
fn a_bomb_stops_at_the_size_it_declares() {
    let bomb = encode_all(std::io::repeat(b'1').take(64 << 20), 19).unwrap();
    assert!(bomb.len() < 10_000);
    let row = [b"id,amt\n1,".to_vec(), vec![b'0'; 100]].concat();
    let file = with_member(&small_bundle(), 0, &bomb, row.len() as u64);
    assert!(matches!(row_defect_of(&file), Defect::HeaderLineDiffers(_)));
    let csv = [GOOD_INSERTS.as_bytes(), &vec![b'\n'; 64 << 20]].concat();
    let file = with_member(&small_bundle(), 0, &encode_all(&csv[..], 19).unwrap(), 17);
    let mut poured = Vec::new();
    let mut bundle = Bundle::open(Cursor::new(file)).unwrap();
    let table = bundle.manifest().tables[0].clone();
    let error = bundle.pour(&table, &table.members[0], &mut poured).unwrap_err();
    assert!(matches!(error, PourError::Defect(Defect::RawSizeDiffers(_, 17))), "{error}");
    assert!(poured.len() <= 17);
}

#[test]
fn a_frame_that_wants_much_memory_is_refused() {
    let mut encoder = Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(GOOD_INSERTS.as_bytes()).unwrap();
    let frame = encoder.finish().unwrap();
    let file = with_member(&small_bundle(), 0, &frame, GOOD_INSERTS.len() as u64);
    assert!(matches!(row_defect_of(&file), Defect::Compression(..)));
}
