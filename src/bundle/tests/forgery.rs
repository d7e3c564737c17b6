//! What somebody can do who seals the manifest anew: fields that do not belong, and that contradict
//! each other.

use serde_json::{Value, json};

use super::sample::{column, head, small_bundle, small_table, write};
use super::workshop::{canonical, defect_of, manifest_error_of, sealed, with_manifest, with_parts};
use crate::bundle::Defect;
use crate::bundle::layout::header;
use crate::domain::{MANIFEST_LIMIT, Manifest, ManifestError};

/// The small bundle after `change` to its manifest.
fn forged(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_manifest(&small_bundle(), change)
}

/// A manifest of the small bundle with this text in it replaced, under no new seal.
fn rewritten(from: &str, to: &str) -> Vec<u8> {
    with_parts(&small_bundle(), |parts| {
        let text = String::from_utf8(parts[0].1.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        parts[0].1 = text.replacen(from, to, 1).into_bytes();
    })
}

#[test]
fn a_manifest_that_is_only_sealed_anew_is_the_same() {
    assert_eq!(forged(|_| ()), small_bundle());
}

#[test]
fn another_version_says_which_side_is_too_old() {
    let cases =
        [(0, "the program that wrote the bundle"), (2, "this program"), (4_000_000_000_u32, "this program")];
    for (version, older) in cases {
        let found = format!("salesync-bundle/{version}");
        let file = forged(|manifest| {
            manifest["format"] = found.clone().into();
            manifest["a_field_of_that_version"] = 1.into();
        });
        assert_eq!(manifest_error_of(&file), ManifestError::Format { found, older });
    }
    for format in ["salesync-bundle/", "salesync-bundle/one", "salesync-bundle/01", "something/1", ""] {
        let file = forged(|manifest| manifest["format"] = format.into());
        assert!(matches!(manifest_error_of(&file), ManifestError::Unreadable(_)), "{format}");
    }
}

#[test]
fn only_canonical_json_is_a_manifest() {
    let cases = [
        ("{\"branch\"", "{ \"branch\""),
        ("{\"branch\":\"east\",", "{\"branch\":\"east\",\"branch\":\"east\","),
        ("\"east\"", "\"\\u0065ast\""),
        ("\"last\":true,\"part\":1", "\"part\":1,\"last\":true"),
    ];
    for (from, to) in cases {
        assert_eq!(manifest_error_of(&rewritten(from, to)), ManifestError::NotCanonical, "{to}");
    }
    let line_end = with_parts(&small_bundle(), |parts| parts[0].1.push(b'\n'));
    assert_eq!(manifest_error_of(&line_end), ManifestError::NotCanonical);
}

#[test]
fn one_way_only_to_write_a_value_is_a_manifest() {
    let id = "018DF000-0000-7000-8000-000000000001";
    let upper = forged(|manifest| manifest["bundle_id"] = id.into());
    assert_eq!(manifest_error_of(&upper), ManifestError::NotCanonical);
    let local = forged(|manifest| manifest["created_at"] = "2024-03-01T18:30:00.123456+01:00".into());
    assert_eq!(manifest_error_of(&local), ManifestError::NotCanonical);
    for taken_at in ["2024-03-01T18:29:59.500+01:00", "2024-03-01T17:29:59.5Z", "2024-03-01T17:29:59.500000Z"]
    {
        let other = forged(|manifest| manifest["cut"]["taken_at"] = taken_at.into());
        assert_eq!(manifest_error_of(&other), ManifestError::NotCanonical, "{taken_at}");
    }
    let null = forged(|manifest| manifest["tables"][0]["range"] = Value::Null);
    assert_eq!(manifest_error_of(&null), ManifestError::NotCanonical);
}

#[test]
fn a_manifest_without_its_seal_or_with_another_fails_its_checksum() {
    assert_eq!(manifest_error_of(&rewritten("\"east\"", "\"west\"")), ManifestError::Checksum);
    let unsealed = with_parts(&small_bundle(), |parts| {
        let mut value: Value = serde_json::from_slice(&parts[0].1).unwrap();
        value.as_object_mut().unwrap().remove("self_sha256");
        parts[0].1 = canonical(&mut value);
    });
    assert_eq!(manifest_error_of(&unsealed), ManifestError::Checksum);
}

#[test]
fn fields_that_are_unknown_missing_or_of_another_type_cannot_be_read() {
    let changes: [fn(&mut Value); 15] = [
        |manifest| manifest["unknown"] = 1.into(),
        |manifest| manifest["cut"]["unknown"] = 1.into(),
        |manifest| manifest["tables"][0]["unknown"] = 1.into(),
        |manifest| manifest["tables"][0]["columns"][0]["unknown"] = 1.into(),
        |manifest| manifest["tables"][0]["members"][0]["unknown"] = 1.into(),
        |manifest| manifest["tables"][0]["members"][0]["totals"]["id"]["unknown"] = 1.into(),
        |manifest| drop(manifest.as_object_mut().unwrap().remove("epoch")),
        |manifest| drop(manifest["cut"].as_object_mut().unwrap().remove("taken_at")),
        |manifest| manifest["cut"]["taken_at"] = "yesterday".into(),
        |manifest| manifest["sequence"] = 0.into(),
        |manifest| manifest["sequence"] = 1.0.into(),
        |manifest| manifest["sequence"] = (1_u64 << 63).into(),
        |manifest| manifest["branch"] = "../east".into(),
        |manifest| manifest["tables"][0]["mode"] = "all".into(),
        |manifest| manifest["tables"][0]["members"][0]["sha256"] = "00".into(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let error = manifest_error_of(&forged(change));
        assert!(matches!(error, ManifestError::Unreadable(_)), "change {number}: {error}");
    }
    for text in ["", "{", "[]", "null", &"[".repeat(100_000)] {
        let file = with_parts(&small_bundle(), |parts| parts[0].1 = text.as_bytes().to_vec());
        assert!(matches!(manifest_error_of(&file), ManifestError::Unreadable(_)), "{text:.10}");
    }
}

/// What the reader must say, and a change that makes it say so.
type Case = (&'static str, fn(&mut Value));

/// Every change must make no sense, and say `why`.
fn assert_senseless(cases: &[Case]) {
    for (why, change) in cases {
        match manifest_error_of(&forged(change)) {
            ManifestError::Senseless(said) => assert!(said.contains(why), "{why}: {said}"),
            other => panic!("{why}: {other}"),
        }
    }
}

#[test]
fn heads_that_contradict_themselves_make_no_sense() {
    assert_senseless(&[
        ("previous", |manifest| manifest["sequence"] = 2.into()),
        ("previous", |manifest| manifest["previous"] = "0".repeat(64).into()),
        ("parts count", |manifest| manifest["cut"]["part"] = 0.into()),
        ("parts count", |manifest| manifest["cut"]["part"] = 2.into()),
        ("watermark", |manifest| manifest["cut"]["watermark"] = "now()".into()),
        ("watermark", |manifest| manifest["cut"]["watermark"] = "".into()),
        ("before its cut", |manifest| manifest["cut"]["taken_at"] = "2024-03-01T17:30:00.123457Z".into()),
        ("before its cut", |manifest| manifest["created_at"] = "2024-03-01T17:29:59.499999Z".into()),
        ("tool", |manifest| manifest["tool"] = "\u{1b}[2J".into()),
        ("tool", |manifest| manifest["tool"] = "x".repeat(101).into()),
        ("no table", |manifest| manifest["tables"] = json!([])),
        ("twice", |manifest| {
            let table = manifest["tables"][0].clone();
            manifest["tables"].as_array_mut().unwrap().push(table);
        }),
    ]);
}

#[test]
fn tables_that_cannot_be_make_no_sense() {
    assert_senseless(&[
        ("a name has", |manifest| manifest["tables"][0]["name"]["table"] = "".into()),
        ("a name has", |manifest| manifest["tables"][0]["name"]["schema"] = "x".repeat(64).into()),
        ("column's name", |manifest| manifest["tables"][0]["columns"][1]["name"] = "a\0".into()),
        ("stands in it twice", |manifest| manifest["tables"][0]["columns"][1]["name"] = "id".into()),
        ("numbered from 1", |manifest| manifest["tables"][0]["columns"][0]["key"] = 2.into()),
        ("numbered from 1", |manifest| manifest["tables"][0]["columns"][1]["key"] = 1.into()),
        ("more than 1600", |manifest| {
            let column = |number: u32| json!({"key": number, "name": format!("c{number}"), "type": "text"});
            manifest["tables"][0]["columns"] = (1..=65_535).map(column).collect();
        }),
        ("a range belongs", |manifest| manifest["tables"][0]["mode"] = "range".into()),
        ("a range belongs", |manifest| {
            manifest["tables"][0]["range"] = json!({"after": null, "through": null});
        }),
        ("cannot be the type", |manifest| {
            manifest["tables"][0]["columns"][1]["type"] = "text; DROP TABLE sales".into();
        }),
        ("cannot be the type", |manifest| {
            manifest["tables"][0]["columns"][1]["type"] = "text default current_user".into();
        }),
        ("cannot be the type", |manifest| {
            manifest["tables"][0]["columns"][1]["type"] = "integer check(false)".into();
        }),
    ]);
}

#[test]
fn ranges_have_one_text_per_key_column_and_only_inserts() {
    let in_range = |range: Value| {
        move |manifest: &mut Value| {
            let table = &mut manifest["tables"][0];
            table["mode"] = "range".into();
            table["members"].as_array_mut().unwrap().truncate(1);
            table["range"] = range;
        }
    };
    for bound in [json!([]), json!(["1", "2"]), json!(["1\0"])] {
        for range in [json!({"after": bound, "through": null}), json!({"after": null, "through": bound})] {
            let error = manifest_error_of(&forged(in_range(range)));
            assert!(matches!(error, ManifestError::Senseless(why) if why.contains("a bound")), "{bound}");
        }
    }
    let with_updates = manifest_error_of(&forged(|manifest| {
        manifest["tables"][0]["mode"] = "range".into();
        manifest["tables"][0]["range"] = json!({"after": null, "through": null});
    }));
    assert!(matches!(with_updates, ManifestError::Senseless(why) if why.contains("no member")));
}

#[test]
fn members_that_cannot_be_make_no_sense() {
    assert_senseless(&[
        ("no member", |manifest| manifest["tables"][0]["members"][0]["name"] = "../x".into()),
        ("not in order", |manifest| {
            manifest["tables"][0]["members"].as_array_mut().unwrap().swap(0, 1);
        }),
        ("these sizes", |manifest| manifest["tables"][0]["members"][0]["rows"] = 0.into()),
        ("these sizes", |manifest| manifest["tables"][0]["members"][0]["bytes"] = 0.into()),
        ("these sizes", |manifest| manifest["tables"][0]["members"][0]["raw_bytes"] = 1.into()),
        ("larger than can be", |manifest| manifest["tables"][0]["members"][0]["bytes"] = u64::MAX.into()),
        ("larger than can be", |manifest| {
            for member in manifest["tables"][0]["members"].as_array_mut().unwrap() {
                member["rows"] = (1_u64 << 62).into();
                member["raw_bytes"] = (1_u64 << 62).into();
            }
        }),
        ("control total", |manifest| manifest["tables"][0]["members"][0]["totals"] = json!({})),
        ("control total", |manifest| {
            manifest["tables"][0]["members"][0]["totals"]["x"] = json!({"sum": "1", "values": 1});
        }),
        ("the total of", |manifest| {
            manifest["tables"][0]["members"][0]["totals"]["id"]["sum"] = "1e9".into();
        }),
        ("the total of", |manifest| {
            manifest["tables"][0]["members"][0]["totals"]["id"]["sum"] = "NaN".into();
        }),
        ("the total of", |manifest| manifest["tables"][0]["members"][0]["totals"]["id"]["values"] = 3.into()),
    ]);
}

#[test]
fn business_days_that_cannot_be_make_no_sense() {
    fn days(column: &str, days: &Value) -> Value {
        json!({"column": column, "summed": ["amt"], "days": days})
    }
    fn day(day: &str) -> Value {
        json!([day, 1, ["1.00"]])
    }
    let good = forged(|m| m["tables"][0]["day_totals"] = days("amt", &json!([day("2024-02-29")])));
    crate::bundle::Bundle::open(std::io::Cursor::new(good)).unwrap();
    assert_senseless(&[
        ("is no column", |m| m["tables"][0]["day_totals"] = days("date", &json!([]))),
        ("twice", |m| {
            m["tables"][0]["day_totals"] = days("id", &json!([day("2024-01-01"), day("2024-01-01")]));
        }),
        ("no business day", |m| m["tables"][0]["day_totals"] = days("id", &json!([day("'; DROP")]))),
        ("not of its summed columns", |m| {
            m["tables"][0]["day_totals"] = json!({"column": "id", "summed": ["id"], "days": []});
        }),
        ("one total per", |m| {
            m["tables"][0]["day_totals"] = days("id", &json!([["2024-01-01", 1, ["1.00", "1.00"]]]));
        }),
        ("the total of", |m| {
            m["tables"][0]["day_totals"] = days("id", &json!([["2024-01-01", 1, ["1,00"]]]));
        }),
    ]);
}

#[test]
fn a_manifest_over_the_limit_is_not_even_read() {
    let mut file = header("manifest.json", MANIFEST_LIMIT + 1).unwrap().to_vec();
    assert_eq!(defect_of(&file), Defect::ManifestTooLong(MANIFEST_LIMIT + 1));
    for size in [1 << 33, 1 << 62, u64::MAX] {
        file[..512].copy_from_slice(&header("manifest.json", size).unwrap());
        assert_eq!(defect_of(&file), Defect::ManifestTooLong(size));
    }
    file[..512].copy_from_slice(&header("manifest.json", MANIFEST_LIMIT).unwrap());
    assert_eq!(defect_of(&file), Defect::Truncated(512));
}

#[test]
fn a_manifest_over_the_limit_is_not_written_either() {
    let mut table = small_table();
    table.columns = (0..1600).map(|number| column(&format!("c{number}"), "text", None)).collect();
    table.columns[0].key = Some(1);
    table.rows.clear();
    let (mut manifest, ..) = write(head(), &[table]);
    let change = manifest.tables[0].clone();
    for number in 0..120 {
        let mut other = change.clone();
        other.name.table = format!("t{number}");
        manifest.tables.push(other);
    }
    assert!(matches!(manifest.to_bytes(), Err(ManifestError::TooLong(_))));
}

#[test]
fn nothing_is_sealed_that_would_be_refused() {
    let (good, ..) = write(head(), &[small_table()]);
    let mut wrong = good.clone();
    wrong.tables[0].columns[0].type_name = "x y z".to_owned();
    assert!(matches!(wrong.to_bytes(), Err(ManifestError::Senseless(_))));
    let bytes = good.to_bytes().unwrap();
    assert_eq!(sealed(serde_json::from_slice(&bytes).unwrap()), bytes);
    assert_eq!(Manifest::from_bytes(&bytes).unwrap(), good);
}
