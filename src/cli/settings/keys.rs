//! The keys in the configuration: whom this node believes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::Error as _;

use super::BranchSettings;
use crate::domain::{Failure, KeyRing, Kind, NodeName, PublicKey, TrustedKey};
use crate::head_office::Enrolment;

/// One of several keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeySection {
    pub(super) key: PublicKey,
    #[serde(default, deserialize_with = "moment")]
    pub(super) not_before: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) revoked_at: Option<DateTime<Utc>>,
}

/// The section about head office, at a branch.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadOfficeSection {
    pub(super) public_key: Option<PublicKey>,
    #[serde(default)]
    pub(super) public_keys: Vec<KeySection>,
}

/// The keys of the node whose section is called `section`: the only one, or several with their times.
pub(super) fn key_ring(
    section: &str,
    only: Option<PublicKey>,
    several: &[KeySection],
) -> Result<KeyRing, Failure> {
    let wrong = |why: String| Failure::new(Kind::Configuration, format!("reading [{section}]"), why);
    if only.is_some() && !several.is_empty() {
        return Err(wrong("there is a public_key and also public_keys".to_owned())
            .hint("put all of them into public_keys, with their times"));
    }
    if let Some(only) = only {
        return Ok(KeyRing::of([only]));
    }
    let several = several.iter().map(|section| TrustedKey {
        key: section.key,
        not_before: section.not_before,
        revoked_at: section.revoked_at,
    });
    let keys: Vec<TrustedKey> = several.collect();
    for (place, trusted) in keys.iter().enumerate() {
        let id = trusted.key.id();
        if keys[..place].iter().any(|other| other.key.id() == id) {
            return Err(wrong(format!("key {id} is there twice")).hint("say it once, with its times"));
        }
        if trusted.not_before.zip(trusted.revoked_at).is_some_and(|(from, end)| from > end) {
            return Err(wrong(format!("key {id} is revoked before it is valid"))
                .hint("not_before is when it begins to be valid, revoked_at when that ends"));
        }
    }
    Ok(KeyRing::new(keys))
}

/// The keys of all branches. A key that two of them had would let one speak for the other.
pub(super) fn enrolment(branches: &BTreeMap<NodeName, BranchSettings>) -> Result<Enrolment, Failure> {
    let mut owners: BTreeMap<String, &NodeName> = BTreeMap::new();
    let mut rings = BTreeMap::new();
    for (name, settings) in branches {
        let ring = key_ring(&format!("branches.{name}"), settings.public_key, &settings.public_keys)?;
        for trusted in ring.keys() {
            if let Some(other) = owners.insert(trusted.key.to_string(), name) {
                let why = format!("key {} is also that of {other}", trusted.key.id());
                let doing = format!("reading [branches.{name}]");
                return Err(Failure::new(Kind::Configuration, doing, why)
                    .hint("every branch makes a key of its own with `salesync keygen`"));
            }
        }
        rings.insert(name.clone(), ring.signing_from(settings.enrolled_at));
    }
    let encrypted_from =
        branches.iter().filter_map(|(name, settings)| Some((name.clone(), settings.encrypted_from?)));
    Ok(Enrolment::new(rings).encrypted_from(encrypted_from.collect()))
}

/// Reads a time with its zone, in quotes or without.
pub(super) fn moment<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = match toml::Value::deserialize(source)? {
        toml::Value::String(text) => text,
        toml::Value::Datetime(time) => time.to_string(),
        _ => return Err(D::Error::custom("a time is written 2026-11-21T18:00:00Z")),
    };
    DateTime::parse_from_rfc3339(&text)
        .map(|time| Some(time.to_utc()))
        .map_err(|error| D::Error::custom(format!("a time is written 2026-11-21T18:00:00Z: {error}")))
}
