//! Encrypted bundles: they read as the ones they were made of, with the right key, whole, and in no other way.

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write as _};
use std::path::PathBuf;

use age::secrecy::SecretString;

use super::sample::{Table, column, head, pour_all, small_bundle, write};
use crate::bundle::{Bundle, Defect, EncryptedFile, ReadError, encryption_overhead, is_encrypted};
use crate::domain::{Digest, Identities, Identity, Locked, MemberKind, Recipient};

/// This file, encrypted to these.
fn encrypted(file: &[u8], recipients: &[Recipient]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = EncryptedFile::begin(recipients, &mut bytes).unwrap();
    writer.write_all(file).unwrap();
    let digest = writer.end().unwrap();
    assert_eq!(digest, Digest::of(&bytes), "the hash is another file's");
    bytes
}

fn keys(identities: Vec<Identity>) -> Identities {
    Identities::new(Ok(identities))
}

/// A key for tests, and what reads with it.
fn pair() -> (Recipient, Identities) {
    let identity = Identity::generate();
    (identity.recipient(), keys(vec![identity]))
}

/// What opening finds wrong.
fn defect_with(file: &[u8], identities: &Identities) -> Defect {
    match Bundle::open_with(Cursor::new(file), identities) {
        Err(ReadError::Defect(defect)) => defect,
        Err(error) => panic!("taken for something else than damage: {error}"),
        Ok(_) => panic!("the bundle was accepted"),
    }
}

/// A bundle with members of these sizes, about: rows that cannot be compressed much.
fn large_bundle(sizes: &[usize]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut rows = |size: usize| -> String {
        let row = |number| {
            let digits: String = (0..512).map(|_| random.alphanumeric()).collect();
            format!("{number},{digits}\n")
        };
        (0..size / 400).map(row).collect()
    };
    let tables: Vec<_> = sizes
        .iter()
        .zip(["public.a", "public.b", "public.c"])
        .map(|(size, name)| {
            let columns = vec![column("id", "bigint", Some(1)), column("text", "text", None)];
            Table::new(name, columns).with(MemberKind::Inserts, rows(*size))
        })
        .collect();
    write(head(), &tables).2
}

#[test]
fn an_encrypted_bundle_reads_as_the_one_it_was_made_of() {
    let (recipient, identities) = pair();
    // Within one piece of the encryption, over several, with members that begin in the middle of them.
    for plain in [small_bundle(), large_bundle(&[70_000]), large_bundle(&[150_000, 3_000, 90_000])] {
        let file = encrypted(&plain, std::slice::from_ref(&recipient));
        assert!(is_encrypted(&mut Cursor::new(&file)).unwrap());
        assert!(!is_encrypted(&mut Cursor::new(&plain)).unwrap());
        assert_eq!(age_decrypts(&file, &identities), plain, "another program reads another file");
        let mut bundle = Bundle::open_with(Cursor::new(&file), &identities).unwrap();
        assert_eq!((bundle.size(), bundle.is_encrypted()), (file.len() as u64, true));
        let manifest = bundle.manifest().clone();
        assert_eq!(&manifest, Bundle::open(Cursor::new(&plain)).unwrap().manifest());
        // Backwards, so that it has to be looked for each time.
        let mut poured = Vec::new();
        for table in manifest.tables.iter().rev() {
            for member in table.members.iter().rev() {
                let mut rows = Vec::new();
                bundle.pour(table, member, &mut rows).unwrap();
                poured.push((member.name.clone(), rows));
            }
        }
        poured.reverse();
        assert!(poured == pour_all(&plain).unwrap(), "other rows");
    }
}

/// What the library alone, without any of our code, reads.
fn age_decrypts(file: &[u8], identities: &Identities) -> Vec<u8> {
    let decryptor = age::Decryptor::new(file).unwrap();
    let keys = identities.keys().unwrap();
    let mut plain = Vec::new();
    let mut reader = decryptor.decrypt(keys.iter().map(Identity::key)).unwrap();
    reader.read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn it_takes_one_of_the_keys_it_is_encrypted_to() {
    let [first, second, third] = [0, 1, 2].map(|_| Identity::generate());
    let file = encrypted(&small_bundle(), &[first.recipient(), second.recipient()]);
    let locked = |identities: &Identities| match Bundle::open_with(Cursor::new(&file), identities) {
        Err(ReadError::Locked(locked)) => Some(locked),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    assert_eq!(locked(&Identities::default()), Some(Locked::NoIdentity));
    assert_eq!(locked(&keys(vec![third])), Some(Locked::NoneFits(1)));
    assert_eq!(locked(&keys(vec![Identity::generate(), second])), None);
    assert_eq!(locked(&keys(vec![first])), None);
    // A password is none of them, and no time is spent on it.
    let mut password = age::scrypt::Recipient::new(SecretString::from("secret".to_owned()));
    password.set_work_factor(2);
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&password as _)).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer.write_all(&small_bundle()).unwrap();
    writer.finish().unwrap();
    let found = Bundle::open_with(Cursor::new(&file), &pair().1);
    assert!(matches!(found, Err(ReadError::Locked(Locked::NoneFits(1)))), "{found:?}");
}

/// Every byte of the header, what nobody is meant by among that; of the content some, and all of its seal.
#[test]
fn whatever_is_changed_in_an_encrypted_bundle_it_is_refused() {
    let (recipient, identities) = pair();
    let good = encrypted(&small_bundle(), &[recipient]);
    let content = good.windows(5).position(|bytes| bytes == b"\n--- ").unwrap() + 49;
    let some = (content..good.len() - 16).step_by(23).chain(good.len() - 16..good.len());
    for at in (0..content).chain(some) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        match Bundle::open_with(Cursor::new(&changed), &identities) {
            Err(ReadError::Defect(_) | ReadError::Locked(Locked::NoneFits(1))) => {}
            Err(error) => panic!("{at}: {error}"),
            Ok(_) => panic!("byte {at} counts for nothing"),
        }
        let cut = defect_with(&good[..at], &identities);
        let words = [Defect::EncryptionHeader, Defect::EncryptedContent];
        assert!(at < 19 || words.contains(&cut), "cut short to {at}: {cut}");
    }
    let extended = [&good[..], b"\0"].concat();
    assert_eq!(defect_with(&extended, &identities), Defect::EncryptedContent);
    assert!(matches!(defect_with(&good[content..], &identities), Defect::HeaderDamaged(0)));
}

#[test]
fn pieces_of_an_encrypted_bundle_cannot_be_moved_left_out_or_lent() {
    const PIECE: usize = (64 << 10) + 16;
    let (recipient, identities) = pair();
    let plain = large_bundle(&[250_000]);
    let [one, other] = [0, 1].map(|_| encrypted(&plain, std::slice::from_ref(&recipient)));
    let begin = |file: &[u8]| file.windows(5).position(|bytes| bytes == b"\n--- ").unwrap() + 49 + 16;
    let at = begin(&one);
    let (first, second, rest) = (&one[at..][..PIECE], &one[at + PIECE..][..PIECE], &one[at + 2 * PIECE..]);
    let lent = &other[begin(&other)..][..PIECE];
    for (what, pieces) in [
        ("moved", [second, first, rest]),
        ("left out", [first, rest, b""]),
        ("twice", [first, first, &one[at + PIECE..]]),
        ("cut at the end of a piece", [first, second, b""]),
        ("another file's", [lent, second, rest]),
    ] {
        let changed = [&one[..at], &pieces.concat()].concat();
        assert_eq!(defect_with(&changed, &identities), Defect::EncryptedContent, "{what}");
    }
}

#[test]
fn what_is_inside_is_checked_as_ever() {
    let (recipient, identities) = pair();
    let plain = small_bundle();
    let defect = |file: &[u8]| defect_with(&encrypted(file, std::slice::from_ref(&recipient)), &identities);
    assert!(matches!(defect(b""), Defect::Truncated(0)));
    assert!(matches!(
        defect(b"no bundle, but as long as the header of one".repeat(20).as_slice()),
        Defect::HeaderDamaged(0)
    ));
    assert!(matches!(defect(&plain[..plain.len() - 1]), Defect::Truncated(_)));
    assert_eq!(defect(&[&plain[..], b"x"].concat()), Defect::TrailingBytes(1));
    // Encrypted twice is not a bundle either.
    assert!(matches!(defect(&encrypted(&plain, std::slice::from_ref(&recipient))), Defect::HeaderDamaged(0)));
}

#[test]
fn a_header_is_read_only_as_far_as_one_can_be_long() {
    let stanza = format!("-> X25519 {}\n{}\n", "A".repeat(43), "A".repeat(43));
    let header = |count| ["age-encryption.org/v1\n", &stanza.repeat(count), "--- "].concat();
    let identities = pair().1;
    let mut long = header(10_000).into_bytes();
    long.resize(2 << 20, b'A');
    assert_eq!(defect_with(&long, &identities), Defect::EncryptionHeader);
    assert_eq!(defect_with(b"age-encryption.org/v1\n", &identities), Defect::EncryptionHeader);
    let later = header(1).replace("v1", "v2") + &"A".repeat(100);
    assert_eq!(defect_with(later.as_bytes(), &identities), Defect::EncryptionVersion);
    // As many as may be configured have room.
    let (recipient, identities) = pair();
    let mut all: Vec<Recipient> = (0..49).map(|_| pair().0).collect();
    all.push(recipient);
    assert!(Bundle::open_with(Cursor::new(encrypted(&small_bundle(), &all)), &identities).is_ok());
}

#[test]
fn a_file_grows_by_no_more_than_is_reckoned_with() {
    for recipients in [1, 2, 50] {
        let all: Vec<Recipient> = (0..recipients).map(|_| pair().0).collect();
        for size in [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 300_000] {
            let file = encrypted(&vec![0; size], &all);
            let growth = (file.len() - size) as u64;
            let allowed = encryption_overhead(recipients, file.len() as u64);
            assert!(growth <= allowed, "{size} bytes to {recipients}: {growth}, and not {allowed}");
        }
    }
}

/// A disk that fails behind so many bytes.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.position() >= self.1 {
            return Err(io::Error::from_raw_os_error(5));
        }
        let left = usize::try_from(self.1 - self.0.position()).unwrap().min(buffer.len());
        self.0.read(&mut buffer[..left])
    }
}

impl Seek for Failing {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

#[test]
fn a_failing_disk_is_not_taken_for_damage() {
    let (recipient, identities) = pair();
    let file = encrypted(&small_bundle(), &[recipient]);
    for bytes in [0, 10, 30, 600, file.len() as u64 - 1] {
        let found = Bundle::open_with(Failing(Cursor::new(file.clone()), bytes), &identities);
        assert!(matches!(found, Err(ReadError::Io(_))), "after {bytes} bytes: {:?}", found.err());
    }
}

/// Files of tests: one that this program has encrypted, and one by `age` 1.1.1, its authors' own program.
const GOLDEN: [&str; 2] = ["0000000001.bundle", "by-age.bundle"];

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "encrypted", name].iter().collect()
}

fn golden_plain() -> Vec<u8> {
    fs::read(golden("../bundles/v1-signed/0000000001.bundle")).unwrap()
}

#[test]
fn the_golden_encrypted_bundles_are_read_by_us_and_by_the_library_alone() {
    let identities = keys(Identity::all_in(&fs::read_to_string(golden("identity.txt")).unwrap()).unwrap());
    for name in GOLDEN {
        let file = fs::read(golden(name)).unwrap();
        let bundle = Bundle::open_with(Cursor::new(&file), &identities).unwrap();
        let plain = golden_plain();
        assert_eq!(bundle.manifest_sha256(), Bundle::open(Cursor::new(&plain)).unwrap().manifest_sha256());
        assert!(age_decrypts(&file, &identities) == plain, "{name} has another content");
    }
}

#[test]
#[ignore = "writes a file into the source tree; for a new version of the format"]
fn write_golden_encrypted_bundle() {
    let identities = Identity::all_in(&fs::read_to_string(golden("identity.txt")).unwrap()).unwrap();
    fs::write(golden(GOLDEN[0]), encrypted(&golden_plain(), &[identities[0].recipient()])).unwrap();
}
