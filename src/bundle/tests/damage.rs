//! What happens to files by themselves: bytes change, ends are cut off, members move.

use std::ops::Range;

use super::sample::small_bundle;
use super::workshop::{Part, defect_of, take_apart, with_parts};
use crate::bundle::Defect;
use crate::bundle::layout::padding;
use crate::domain::{ManifestError, Signature};

/// What a byte of the file belongs to.
#[derive(Debug, Clone, Copy)]
enum Place {
    Header,
    Manifest,
    Member,
    Padding,
    FirstEndBlock,
    SecondEndBlock,
}

/// Where everything in a bundle is.
fn places(file: &[u8]) -> Vec<(Range<usize>, Place)> {
    let mut places = Vec::new();
    let mut at = 0;
    let mut next = |length: usize, place| {
        places.push((at..at + length, place));
        at += length;
    };
    for (index, (_, content)) in take_apart(file).iter().enumerate() {
        next(512, Place::Header);
        next(content.len(), if index == 0 { Place::Manifest } else { Place::Member });
        next(usize::try_from(padding(content.len() as u64)).unwrap(), Place::Padding);
    }
    next(512, Place::FirstEndBlock);
    next(512, Place::SecondEndBlock);
    assert_eq!(at, file.len());
    places
}

/// True if the defect is one that a changed byte at this place must have.
fn fits(place: Place, defect: &Defect) -> bool {
    match place {
        Place::Header | Place::FirstEndBlock => matches!(defect, Defect::HeaderDamaged(_)),
        Place::Padding | Place::SecondEndBlock => matches!(defect, Defect::PaddingDamaged(_)),
        Place::Member => matches!(defect, Defect::ChecksumDiffers(_)),
        Place::Manifest => matches!(
            defect,
            Defect::Manifest(
                ManifestError::Unreadable(_)
                    | ManifestError::Checksum
                    | ManifestError::NotCanonical
                    | ManifestError::Format { .. }
            )
        ),
    }
}

#[test]
fn every_changed_byte_is_found_and_told_by_its_place() {
    let good = small_bundle();
    std::thread::scope(|scope| {
        for (range, place) in places(&good) {
            let mut file = good.clone();
            scope.spawn(move || {
                for at in range {
                    let right = file[at];
                    let flips = (0..8).map(|bit| right ^ (1 << bit));
                    for wrong in flips.chain([0x00, 0xff]).filter(|&wrong| wrong != right) {
                        file[at] = wrong;
                        let defect = defect_of(&file);
                        assert!(fits(place, &defect), "{right:#04x} -> {wrong:#04x} at {at}: {defect:?}");
                    }
                    file[at] = right;
                }
            });
        }
    });
}

#[test]
fn a_file_cut_off_at_any_length_is_truncated_there() {
    let good = small_bundle();
    for length in 0..good.len() {
        assert_eq!(defect_of(&good[..length]), Defect::Truncated(length as u64));
    }
}

#[test]
fn bytes_behind_the_end_are_counted() {
    let good = small_bundle();
    for extra in [1, 512, 1024, 100_000] {
        for byte in [0, b'x'] {
            let mut file = good.clone();
            file.resize(good.len() + extra, byte);
            assert_eq!(defect_of(&file), Defect::TrailingBytes(extra as u64));
        }
    }
    let twice = [good.clone(), good].concat();
    assert!(matches!(defect_of(&twice), Defect::TrailingBytes(_)));
}

fn name(parts: &[Part], place: usize) -> String {
    parts[place].0.clone()
}

#[test]
fn moved_members_are_told_from_missing_ones() {
    let good = small_bundle();
    let parts = take_apart(&good);
    let swapped = with_parts(&good, |parts| parts.swap(1, 2));
    assert_eq!(defect_of(&swapped), Defect::MemberOutOfOrder(name(&parts, 1)));
    let last_first = with_parts(&good, |parts| parts.swap(1, 3));
    assert_eq!(defect_of(&last_first), Defect::MemberOutOfOrder(name(&parts, 1)));
    for place in 1..parts.len() {
        let dropped = with_parts(&good, |parts| drop(parts.remove(place)));
        assert_eq!(defect_of(&dropped), Defect::MemberMissing(name(&parts, place)));
        let doubled = with_parts(&good, |parts| parts.insert(place, parts[place].clone()));
        assert_eq!(defect_of(&doubled), Defect::MemberDoubled(name(&parts, place)));
        let doubled_last = with_parts(&good, |parts| parts.push(parts[place].clone()));
        assert_eq!(defect_of(&doubled_last), Defect::MemberDoubled(name(&parts, place)));
    }
}

#[test]
fn members_of_other_names_are_unexpected() {
    let good = small_bundle();
    for other in ["0/inserts.csv", "0/Inserts.csv.zst", "1/inserts.csv.zst", "manifest.json", "x"] {
        let renamed = with_parts(&good, |parts| other.clone_into(&mut parts[1].0));
        assert_eq!(defect_of(&renamed), Defect::MemberUnexpected(other.to_owned()));
        let added = with_parts(&good, |parts| parts.push((other.to_owned(), b"x".to_vec())));
        assert_eq!(defect_of(&added), Defect::MemberUnexpected(other.to_owned()));
    }
}

#[test]
fn the_manifest_comes_first() {
    let good = small_bundle();
    let second = with_parts(&good, |parts| parts.swap(0, 1));
    assert_eq!(defect_of(&second), Defect::NoManifest("0/inserts.csv.zst".to_owned()));
    let none = with_parts(&good, |parts| drop(parts.remove(0)));
    assert_eq!(defect_of(&none), Defect::NoManifest("0/inserts.csv.zst".to_owned()));
    assert_eq!(defect_of(&[0; 1024]), Defect::NoManifest(String::new()));
}

#[test]
fn exchanged_contents_differ_from_their_checksums() {
    let good = small_bundle();
    let exchanged = with_parts(&good, |parts| {
        let longer = parts[1].1.clone();
        parts[2].1 = longer;
    });
    assert!(matches!(defect_of(&exchanged), Defect::SizeDiffers { .. } | Defect::ChecksumDiffers(_)));
    let longer = with_parts(&good, |parts| parts[1].1.push(0));
    assert!(
        matches!(defect_of(&longer), Defect::SizeDiffers { declared, found, .. } if found == declared + 1)
    );
    let shorter = with_parts(&good, |parts| assert!(parts[3].1.pop().is_some()));
    assert!(
        matches!(defect_of(&shorter), Defect::SizeDiffers { declared, found, .. } if found == declared - 1)
    );
}

#[test]
fn a_signature_is_second_has_72_bytes_and_is_there_once() {
    let good = small_bundle();
    let signature = |size: usize| ("manifest.sig".to_owned(), vec![7; size]);
    let signed = with_parts(&good, |parts| parts.insert(1, signature(72)));
    let bundle = crate::bundle::Bundle::open(std::io::Cursor::new(signed)).unwrap();
    assert_eq!(bundle.signature(), Some(&Signature::from_bytes(&[7; 72])));
    for size in [0, 64, 71, 73] {
        let wrong = with_parts(&good, |parts| parts.insert(1, signature(size)));
        assert_eq!(defect_of(&wrong), Defect::SignatureSize(size as u64));
    }
    let unexpected = Defect::MemberUnexpected("manifest.sig".to_owned());
    let late = with_parts(&good, |parts| parts.insert(2, signature(72)));
    assert_eq!(defect_of(&late), unexpected);
    let twice = with_parts(&good, |parts| parts.splice(1..1, [signature(72), signature(72)]).for_each(drop));
    assert_eq!(defect_of(&twice), unexpected);
}

#[test]
fn headers_that_only_tar_would_accept_are_refused() {
    let good = small_bundle();
    let changes: [fn(&mut tar::Header); 6] = [
        |header| header.set_mtime(1),
        |header| header.set_mode(0o600),
        |header| header.set_uid(1),
        |header| header.set_entry_type(tar::EntryType::Symlink),
        |header| header.set_username("root").unwrap(),
        |header| header.as_mut_bytes()[124] = b' ',
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut file = good.clone();
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&file[..512]);
        change(&mut header);
        header.set_cksum();
        file[..512].copy_from_slice(header.as_bytes());
        assert_eq!(defect_of(&file), Defect::HeaderDamaged(0), "change {number}");
    }
}
