//! The name of a node: a branch or the head office.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Failure, Kind};

/// The name of a branch or of head office: `[a-z][a-z0-9-]{0,62}`.
///
/// It is a routing key, a folder and a database value, so nothing that means something to any of
/// these can be in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if starts_well && text.len() <= 63 && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(Failure::new(
            Kind::Configuration,
            "reading a node name",
            format!("{shown:?} is not of the form [a-z][a-z0-9-]{{0,62}}"),
        )
        .hint("a node name starts with a-z and goes on with at most 62 of a-z, 0-9 and -"))
    }
}

impl TryFrom<String> for NodeName {
    type Error = Failure;

    fn try_from(text: String) -> Result<Self, Failure> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_name_is_a_safe_folder_and_routing_key() {
        for good in ["east", "a", "store-17", &"x".repeat(63)] {
            assert_eq!(good.parse::<NodeName>().unwrap().as_str(), good);
        }
        for bad in ["", "East", "1st", "-a", "a.b", "a/b", "a b", "..", "ost\u{e9}", &"x".repeat(64)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?} was accepted");
        }
    }
}
