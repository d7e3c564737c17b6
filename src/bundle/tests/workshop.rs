//! Takes bundles apart and puts them together again, as somebody would who can do everything but
//! find two texts with one SHA-256.

use std::io::{Cursor, Read};

use serde_json::Value;

use crate::bundle::layout::{END_MARK, MANIFEST_NAME, header, padding, read_header};
use crate::bundle::{Bundle, Defect, PourError, ReadError};
use crate::domain::{Digest, ManifestError};

use super::sample::pour_all;

/// A member's name and content.
pub(super) type Part = (String, Vec<u8>);

/// The members of a good bundle, the manifest first.
pub(super) fn take_apart(file: &[u8]) -> Vec<Part> {
    let mut source = Cursor::new(file);
    let mut parts = Vec::new();
    while let Some(entry) = read_header(&mut source, 0).unwrap() {
        let mut content = vec![0; usize::try_from(entry.size).unwrap()];
        source.read_exact(&mut content).unwrap();
        source.set_position(source.position() + padding(entry.size));
        parts.push((entry.name, content));
    }
    parts
}

/// A file of these members with canonical headers.
pub(super) fn put_together(parts: &[Part]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, content) in parts {
        let size = content.len() as u64;
        file.extend(header(name, size).unwrap());
        file.extend(content);
        file.resize(file.len() + usize::try_from(padding(size)).unwrap(), 0);
    }
    file.extend(END_MARK);
    file
}

/// The same bundle after its members went through `change`.
pub(super) fn with_parts(file: &[u8], change: impl FnOnce(&mut Vec<Part>)) -> Vec<u8> {
    let mut parts = take_apart(file);
    change(&mut parts);
    put_together(&parts)
}

/// The manifest as JSON, with a seal that fits it.
pub(super) fn sealed(mut value: Value) -> Vec<u8> {
    value.as_object_mut().unwrap().remove("self_sha256");
    let seal = Digest::of(&canonical(&mut value)).to_string();
    value["self_sha256"] = seal.into();
    canonical(&mut value)
}

/// Its bytes as a manifest has them.
pub(super) fn canonical(value: &mut Value) -> Vec<u8> {
    value.sort_all_objects();
    serde_json::to_vec(value).unwrap()
}

/// The same bundle with another manifest under the right seal.
pub(super) fn with_manifest(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_parts(file, |parts| {
        assert_eq!(parts[0].0, MANIFEST_NAME);
        let mut value = serde_json::from_slice(&parts[0].1).unwrap();
        change(&mut value);
        parts[0].1 = sealed(value);
    })
}

/// The same bundle with other bytes in the member of the first table at this place, and a manifest
/// that owns to them.
pub(super) fn with_member(file: &[u8], place: usize, content: &[u8], raw_bytes: u64) -> Vec<u8> {
    let replaced = with_parts(file, |parts| parts[1 + place].1 = content.to_vec());
    with_manifest(&replaced, |manifest| {
        let member = &mut manifest["tables"][0]["members"][place];
        member["bytes"] = content.len().into();
        member["sha256"] = Digest::of(content).to_string().into();
        member["raw_bytes"] = raw_bytes.into();
    })
}

/// What opening finds wrong.
pub(super) fn defect_of(file: &[u8]) -> Defect {
    match Bundle::open(Cursor::new(file)) {
        Err(ReadError::Defect(defect)) => defect,
        Err(error) => panic!("taken for something else than damage: {error}"),
        Ok(_) => panic!("the bundle was accepted"),
    }
}

/// What opening finds wrong with the manifest.
pub(super) fn manifest_error_of(file: &[u8]) -> ManifestError {
    match defect_of(file) {
        Defect::Manifest(error) => error,
        other => panic!("another defect was found: {other}"),
    }
}

/// What pouring finds wrong with a bundle that opens.
pub(super) fn row_defect_of(file: &[u8]) -> Defect {
    Bundle::open(Cursor::new(file)).expect("only the rows can tell");
    match pour_all(file) {
        Err(PourError::Defect(defect)) => defect,
        Err(error) => panic!("taken for a failing disk: {error}"),
        Ok(_) => panic!("the rows were accepted"),
    }
}
