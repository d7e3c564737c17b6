//! A signed bundle: whatever is changed in it, it is not taken for its branch's any more.

use std::io::Cursor;

use chrono::Utc;

use super::sample::{head, known_key, small_bundle, small_table, write_signed};
use super::workshop::{take_apart, with_manifest, with_parts};
use crate::bundle::{Bundle, ReadError};
use crate::domain::{Distrust, KeyRing, Signature, SigningKey};

fn signed_bundle() -> Vec<u8> {
    write_signed(&known_key(), head(), &[small_table()]).2
}

/// What the owner's keys say of a file that opens.
fn checked(file: &[u8]) -> Result<(), Distrust> {
    let mut bundle = Bundle::open(Cursor::new(file)).unwrap();
    let checked = bundle.check_signature(&KeyRing::of([known_key().public()]), Utc::now());
    assert_eq!(bundle.proven_by().is_some(), checked.is_ok());
    checked
}

#[test]
fn a_signature_changes_nothing_else_in_the_file() {
    let (signed, mut parts) = (signed_bundle(), take_apart(&signed_bundle()));
    assert_eq!(checked(&signed), Ok(()));
    assert_eq!(parts.remove(1).0, "manifest.sig");
    assert_eq!(parts, take_apart(&small_bundle()));
    assert_eq!(signed.len(), small_bundle().len() + 1024);
}

/// Every single byte: of the manifest, of the signature, of tar, of the members.
#[test]
fn whatever_byte_of_a_signed_bundle_is_changed_it_is_refused() {
    let good = signed_bundle();
    let size = take_apart(&good)[0].1.len();
    let signature = 512 + size.next_multiple_of(512) + 512;
    let mut distrusted = 0;
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        match Bundle::open(Cursor::new(&changed)) {
            Err(ReadError::Defect(_)) => {}
            Err(error) => panic!("{at}: {error}"),
            Ok(_) => {
                assert!(
                    (signature..signature + Signature::SIZE).contains(&at),
                    "byte {at} counts for nothing"
                );
                assert!(checked(&changed).is_err(), "byte {at} of the signature counts for nothing");
                distrusted += 1;
            }
        }
    }
    assert_eq!(distrusted, Signature::SIZE);
}

/// The seal inside is no help against somebody who makes it anew.
#[test]
fn a_manifest_that_is_sealed_anew_needs_a_new_signature() {
    let id = known_key().public().id();
    let forged = with_manifest(&signed_bundle(), |manifest| manifest["branch"] = "west".into());
    assert_eq!(checked(&forged), Err(Distrust::Forged(id)));
    let other = SigningKey::generate().unwrap();
    let by_another = write_signed(&other, head(), &[small_table()]).2;
    assert_eq!(checked(&by_another), Err(Distrust::UnknownKey(other.public().id())));
    let stripped = with_parts(&signed_bundle(), |parts| drop(parts.remove(1)));
    assert_eq!(checked(&stripped), Err(Distrust::Unsigned));
    let borrowed = with_parts(&by_another, |parts| parts[1].1 = take_apart(&signed_bundle())[1].1.clone());
    assert_eq!(checked(&borrowed), Ok(()), "the same manifest, and the same signature of it");
}
