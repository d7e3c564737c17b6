//! What a bundle tells of earlier ones: whoever seals the manifest can write anything there.

use std::io::Cursor;

use serde_json::{Value, json};

use super::sample::small_bundle;
use super::workshop::{manifest_error_of, with_manifest};
use crate::bundle::Bundle;
use crate::domain::ManifestError;

/// The small bundle as the 200th of its epoch, with what it tells of others.
fn telling(confirmations: Value) -> Vec<u8> {
    with_manifest(&small_bundle(), |manifest| {
        manifest["sequence"] = 200.into();
        manifest["previous"] = "0".repeat(64).into();
        manifest["confirmations"] = confirmations;
    })
}

fn told(sequence: u64, published_at: &str, confirmed_at: &str) -> Value {
    json!({"sequence": sequence, "published_at": published_at, "confirmed_at": confirmed_at})
}

#[test]
fn what_is_told_of_earlier_bundles_is_possible_bounded_and_optional() {
    const TIMES: [&str; 2] = ["2024-02-29T17:30:01.500Z", "2024-02-29T17:30:02Z"];
    let of = |sequence| told(sequence, TIMES[0], TIMES[1]);
    let many = |count: u64| (1..=count).map(of).collect::<Value>();
    for good in [json!([of(7)]), json!([of(7), of(199)]), many(64)] {
        let bundle = Bundle::open(Cursor::new(telling(good.clone()))).unwrap();
        assert_eq!(json!(bundle.manifest().confirmations), good);
    }
    for (why, confirmations) in [
        ("more than 64", many(65)),
        ("earlier ones", json!([of(200)])),
        ("earlier ones", json!([of(8), of(7)])),
        ("earlier ones", json!([of(7), of(7)])),
        ("at the time", json!([told(7, TIMES[1], TIMES[0])])),
        ("at the time", json!([told(7, TIMES[0], "+12024-02-29T17:30:02Z")])),
    ] {
        let error = manifest_error_of(&telling(confirmations));
        assert!(matches!(&error, ManifestError::Senseless(said) if said.contains(why)), "{why}: {error}");
    }
    for text in [json!([]), json!([told(7, "2024-02-29T17:30:01.5Z", TIMES[1])])] {
        assert_eq!(manifest_error_of(&telling(text)), ManifestError::NotCanonical);
    }
    let mut unknown = of(7);
    unknown["by"] = "whom".into();
    for text in [json!(null), json!([unknown]), json!([told(0, TIMES[0], TIMES[1])])] {
        let error = manifest_error_of(&telling(text));
        assert!(matches!(error, ManifestError::Unreadable(_)), "{error}");
    }
}
