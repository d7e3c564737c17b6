//! A branch's user at the broker: what it may do, as the broker's administrator imports it.

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::topology::{BUNDLES, RECEIPTS};
use crate::domain::{Failure, Kind, NodeName};

/// The rights of a branch's user in one virtual host, and on the exchange of the bundles, as they stand in a
/// definitions file: it declares nothing, publishes bundles under its own name, and reads its own receipts.
#[must_use]
pub fn branch_rights(vhost: &str, branch: &str) -> (Value, Value) {
    let pattern = |name: &str| format!("^{}$", name.replace('.', r"\."));
    let rights = json!({
        "vhost": vhost, "user": branch, "configure": "^$", "write": pattern(BUNDLES),
        "read": pattern(&format!("{RECEIPTS}.{branch}")),
    });
    let topic = json!({
        "vhost": vhost, "user": branch, "exchange": BUNDLES, "write": "^{username}$", "read": "^$",
    });
    (rights, topic)
}

/// What `rabbitmqctl import_definitions` makes a branch's user of. It has the password's hash, not the password.
/// Importing it again changes nothing.
pub fn branch_definitions(vhost: &str, branch: &NodeName, password: &str) -> Result<String, Failure> {
    let doing = "writing the broker's definitions";
    let mut salt = [0; 4];
    getrandom::fill(&mut salt).map_err(|error| Failure::new(Kind::Failed, doing, error))?;
    let (rights, topic) = branch_rights(vhost, branch.as_str());
    let definitions = json!({
        "users": [{
            "name": branch.as_str(), "password_hash": password_hash(salt, password),
            "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "",
        }],
        "permissions": [rights],
        "topic_permissions": [topic],
    });
    let text = serde_json::to_string_pretty(&definitions);
    text.map(|text| text + "\n").map_err(|error| Failure::new(Kind::Failed, doing, error))
}

/// As `RabbitMQ` keeps it: Base64 of the salt and the SHA-256 of salt and password.
fn password_hash(salt: [u8; 4], password: &str) -> String {
    let hash = Sha256::new().chain_update(salt).chain_update(password).finalize();
    Base64::encode_string(&[&salt[..], &hash[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hashed_as_the_brokers_documentation_does_it() {
        // Its own example: salt 908dc60a, password test12.
        let hash = password_hash([0x90, 0x8d, 0xc6, 0x0a], "test12");
        assert_eq!(hash, "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    }

    #[test]
    fn a_dot_in_a_right_stands_for_a_dot_only() {
        let (rights, topic) = branch_rights("salesync", "east");
        assert_eq!(rights["write"], r"^salesync\.bundles$");
        assert_eq!(rights["read"], r"^salesync\.receipts\.east$");
        assert_eq!((&rights["configure"], &topic["write"]), (&json!("^$"), &json!("^{username}$")));
    }
}
