//! Golden bundles: files of every released version of the format, kept for ever and never edited.
//!
//! They are not written anew, because what they prove is that this program reads what was written
//! then. A new version of the format gets a folder of its own, an entry in [`GOLDEN`], and its files
//! from `cargo test write_missing_golden_bundles -- --ignored`, which leaves those that are there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use chrono::Utc;

use super::golden_content::bundles;
use super::sample::{known_key, pour_all};
use crate::bundle::Bundle;
use crate::domain::{Digest, KeyRing};

/// Each version's folder, and the SHA-256 of the manifests of its bundles in order. Those in a folder `-signed` are
/// signed with the key whose secret bytes are all 1.
const GOLDEN: [(&str, [&str; 2]); 2] = [
    (
        "v1",
        [
            "66f7dae4c5e217192ff4263d1ba653f5358d765699ab8c4fd362721a15c82449",
            "bca8aec63ed34166fc9fef643545c51ea135e9499315c52a0c25c80b369aa991",
        ],
    ),
    (
        "v1-signed",
        [
            "66f7dae4c5e217192ff4263d1ba653f5358d765699ab8c4fd362721a15c82449",
            "bca8aec63ed34166fc9fef643545c51ea135e9499315c52a0c25c80b369aa991",
        ],
    ),
];

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "bundles"].iter().collect()
}

fn file_name(sequence: usize) -> String {
    format!("{sequence:010}.bundle")
}

fn names_in(folder: PathBuf) -> BTreeSet<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn every_golden_folder_and_file_is_known_to_this_test() {
    let versions: BTreeSet<_> = GOLDEN.iter().map(|(version, _)| (*version).to_owned()).collect();
    assert_eq!(names_in(folder()), versions);
    for (version, digests) in GOLDEN {
        let expected: BTreeSet<_> = (1..=digests.len()).map(file_name).collect();
        assert_eq!(names_in(folder().join(version)), expected, "{version}");
    }
}

#[test]
fn every_golden_bundle_still_opens_pours_and_continues_its_chain() {
    for (version, digests) in GOLDEN {
        let mut previous = None;
        for (sequence, recorded) in (1..).zip(digests) {
            let path = folder().join(version).join(file_name(sequence));
            let mut bundle = Bundle::open(File::open(&path).unwrap()).unwrap();
            let expected: Digest = recorded.parse().unwrap();
            assert_eq!(bundle.manifest_sha256(), expected, "{}", path.display());
            assert_eq!(bundle.manifest().sequence.get(), sequence as u64);
            assert_eq!(bundle.manifest().previous, previous);
            pour_all(&fs::read(&path).unwrap()).unwrap();
            let proven = bundle.check_signature(&KeyRing::of([known_key().public()]), Utc::now());
            let is_signed = version.ends_with("-signed");
            assert_eq!(proven.is_ok(), is_signed, "{}: {proven:?}", path.display());
            previous = Some(expected);
        }
    }
}

/// The rows must be the same to the byte; compressed they may differ, if only in another release of
/// zstd.
#[test]
fn todays_writer_says_the_same_as_the_golden_bundles() {
    for (sequence, (mut manifest, _, file)) in (1..).zip(bundles(None)) {
        let golden = fs::read(folder().join("v1").join(file_name(sequence))).unwrap();
        assert_eq!(pour_all(&file).unwrap(), pour_all(&golden).unwrap());
        let golden = Bundle::open(std::io::Cursor::new(golden)).unwrap().manifest().clone();
        manifest.previous = golden.previous;
        for (table, golden) in manifest.tables.iter_mut().zip(&golden.tables) {
            for (member, golden) in table.members.iter_mut().zip(&golden.members) {
                (member.bytes, member.sha256) = (golden.bytes, golden.sha256);
            }
        }
        assert_eq!(manifest, golden);
    }
}

#[test]
#[ignore = "writes files into the source tree; for a new version of the format"]
fn write_missing_golden_bundles() {
    for (version, key) in [("v1", None), ("v1-signed", Some(&known_key()))] {
        let folder = folder().join(version);
        fs::create_dir_all(&folder).unwrap();
        for (sequence, (_, digest, bytes)) in (1..).zip(bundles(key)) {
            let path = folder.join(file_name(sequence));
            match File::create_new(&path) {
                Ok(mut file) => {
                    file.write_all(&bytes).unwrap();
                    println!("{} has the manifest {digest}", path.display());
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
}
