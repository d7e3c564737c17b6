//! Nothing makes the reader panic, and nothing but the original is taken for it.

use std::io::Cursor;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;

use super::sample::{pour_all, small_bundle};
use super::workshop::{sealed, take_apart, with_manifest, with_member, with_parts};
use crate::bundle::Bundle;
use crate::domain::Manifest;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(small_bundle);
static GOOD_MANIFEST: LazyLock<Vec<u8>> = LazyLock::new(|| take_apart(&GOOD)[0].1.clone());

/// A change to a file.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Swap(prop::sample::Index, prop::sample::Index),
}

impl Change {
    fn make(&self, file: &mut Vec<u8>) {
        if file.len() < 512 {
            return;
        }
        match self {
            Self::Set(at, byte) => *at.get_mut(file) = *byte,
            Self::Cut(at, length) => {
                let at = at.index(file.len());
                drop(file.drain(at..(at + length).min(file.len())));
            }
            Self::Repeat(at, length) => {
                let at = at.index(file.len());
                let piece = file[at..(at + length).min(file.len())].to_vec();
                file.splice(at..at, piece);
            }
            Self::Insert(at, bytes) => {
                let at = at.index(file.len());
                file.splice(at..at, bytes.iter().copied());
            }
            Self::Swap(one, other) => {
                let (one, other) = (one.index(file.len() / 512) * 512, other.index(file.len() / 512) * 512);
                (0..512).for_each(|at| file.swap(one + at, other + at));
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let length = || prop_oneof![1_usize..20, Just(512), Just(1024), 1_usize..3000];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (at(), length()).prop_map(|(at, length)| Change::Cut(at, length)),
        (at(), length()).prop_map(|(at, length)| Change::Repeat(at, length)),
        (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
    ]
}

/// Any JSON, with the names and texts of a manifest among its own.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z0-9:-]{0,12}",
        Just("salesync-bundle/1".to_owned()),
        Just("0/inserts.csv.zst".to_owned()),
        Just("range".to_owned()),
        Just("bigint".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "format", "tables", "columns", "members", "range", "key", "cut", "part", "rows", "bytes", "totals",
        "x",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// Every place in a JSON value, as a pointer.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    let below = |key: &str| format!("{here}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| places(item, below(&at.to_string()), found));
        }
        Value::Object(fields) => fields.iter().for_each(|(key, item)| places(item, below(key), found)),
        _ => {}
    }
    found.push(here);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_are_no_bundle(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(Bundle::open(Cursor::new(bytes)).is_err());
    }

    #[test]
    fn random_bytes_behind_a_good_beginning_are_no_bundle(
        kept in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let mut file = GOOD[..kept.index(GOOD.len())].to_vec();
        file.extend(bytes);
        prop_assert!(file == *GOOD || Bundle::open(Cursor::new(file)).is_err());
    }

    #[test]
    fn a_changed_bundle_is_refused(changes in prop::collection::vec(change(), 1..5)) {
        let mut file = GOOD.clone();
        for change in &changes {
            change.make(&mut file);
        }
        prop_assert!(file == *GOOD || Bundle::open(Cursor::new(file)).is_err());
    }

    #[test]
    fn a_changed_manifest_is_refused(changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = GOOD_MANIFEST.clone();
        for change in &changes {
            change.make(&mut bytes);
        }
        prop_assert!(bytes == *GOOD_MANIFEST || Manifest::from_bytes(&bytes).is_err());
    }

    #[test]
    fn random_json_is_no_manifest(value in json()) {
        prop_assert!(Manifest::from_bytes(&serde_json::to_vec(&value).unwrap()).is_err());
        let mut fields = serde_json::Map::from_iter([("format".to_owned(), "salesync-bundle/1".into())]);
        fields.insert("tables".to_owned(), value);
        prop_assert!(Manifest::from_bytes(&sealed(fields.into())).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Some forgeries say something else that makes sense; then they are bundles of their own, and
    /// keep their text.
    #[test]
    fn a_manifest_sealed_over_another_value_never_reads_as_the_original(
        at in any::<prop::sample::Index>(),
        value in json(),
    ) {
        let original = Manifest::from_bytes(&GOOD_MANIFEST).unwrap();
        let mut forged: Value = serde_json::from_slice(&GOOD_MANIFEST).unwrap();
        let mut found = Vec::new();
        places(&forged, String::new(), &mut found);
        found.pop();
        *forged.pointer_mut(&found[at.index(found.len())]).unwrap() = value;
        let bytes = sealed(forged);
        if let Ok(read) = Manifest::from_bytes(&bytes) {
            prop_assert_eq!(bytes == *GOOD_MANIFEST, read == original);
            prop_assert_eq!(&read.to_bytes().unwrap(), &bytes);
        }
        let file = with_parts(&GOOD, |parts| parts[0].1 = bytes);
        let _ = pour_all(&file);
    }

    #[test]
    fn random_bytes_in_the_place_of_rows_are_refused(
        content in prop::collection::vec(any::<u8>(), 1..300),
        compressed in any::<bool>(),
    ) {
        let csv = [b"id,amt\n", &content[..]].concat();
        let content = if compressed { zstd::encode_all(&csv[..], 1).unwrap() } else { content };
        let file = with_member(&GOOD, 0, &content, csv.len() as u64);
        prop_assert!(pour_all(&file).is_err());
    }

    #[test]
    fn rows_of_random_csv_never_make_the_reader_panic(csv in "[0-9,\"\n\r.a-]{1,40}", rows in 1_u64..4) {
        let csv = format!("id,amt\n{csv}\n");
        let file = with_member(&GOOD, 0, &zstd::encode_all(csv.as_bytes(), 1).unwrap(), csv.len() as u64);
        let file = with_manifest(&file, |manifest| {
            manifest["tables"][0]["members"][0]["rows"] = rows.into();
        });
        let _ = pour_all(&file);
    }
}
