//! What is in the broker from its first start.

use serde_json::{Value, json};

use crate::broker::branch_rights;

/// The user with all rights in every virtual host.
pub(super) const USER: &str = "salesync";
pub(super) const PASSWORD: &str = "sandbox";

/// Virtual hosts, users, permissions and policies, declared by the broker before it accepts connections.
///
/// Each virtual host gives the user `salesync` (password `sandbox`) all rights and has the policy of
/// the bundle queues: a message rejected, or delivered too often, is dead-lettered to the exchange
/// `salesync.dead` at least once. Exchanges and queues are left to `salesync init`.
#[derive(Debug, Clone)]
pub struct Definitions {
    users: Vec<Value>,
    vhosts: Vec<Value>,
    permissions: Vec<Value>,
    topic_permissions: Vec<Value>,
    policies: Vec<Value>,
    settings: String,
    plugins: Vec<String>,
}

impl Definitions {
    /// The given virtual hosts. They cost the broker's start about 35 ms each.
    pub fn with_vhosts<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut definitions = Self {
            users: vec![user(USER, PASSWORD)],
            vhosts: Vec::new(),
            permissions: Vec::new(),
            topic_permissions: Vec::new(),
            policies: Vec::new(),
            settings: String::new(),
            plugins: Vec::new(),
        };
        for name in names {
            let name = name.as_ref();
            definitions.vhosts.push(json!({ "name": name }));
            definitions.permissions.push(permission(name, USER, [".*", ".*", ".*"]));
            definitions.policies.push(bundles_policy(name));
        }
        definitions
    }

    /// Adds a user with the rights of an enrolled branch in one of the virtual hosts: it may publish bundles
    /// under its own name only, and read only its own receipts. In all of them it has the password it was first given.
    #[must_use]
    pub fn with_branch(mut self, vhost: &str, branch: &str, password: &str) -> Self {
        if !self.users.iter().any(|known| known["name"] == branch) {
            self.users.push(user(branch, password));
        }
        let (rights, topic) = branch_rights(vhost, branch);
        self.permissions.push(rights);
        self.topic_permissions.push(topic);
        self
    }

    /// Adds lines to the node's `rabbitmq.conf`, in place of its own where they name the same key.
    #[must_use]
    pub fn with_settings(mut self, lines: &str) -> Self {
        self.settings.push_str(lines);
        self
    }

    /// Adds a plugin of those that come with the broker.
    #[must_use]
    pub fn with_plugin(mut self, name: &str) -> Self {
        self.plugins.push(name.to_owned());
        self
    }

    /// The file of enabled plugins.
    pub(super) fn plugins(&self) -> String {
        format!("[{}].\n", self.plugins.join(","))
    }

    /// What was added to the node's `rabbitmq.conf`.
    pub(super) fn settings(&self) -> &str {
        &self.settings
    }

    /// The definitions file of the first start.
    pub(super) fn to_json(&self) -> String {
        let mut all = self.all_but_users();
        all["users"] = json!(self.users);
        all.to_string()
    }

    /// What a node that knows the users already is given: users are not declared twice, because
    /// for a moment the second declaration turns away who is just logging in.
    pub(super) fn additions(&self) -> String {
        self.all_but_users().to_string()
    }

    fn all_but_users(&self) -> Value {
        json!({
            "vhosts": self.vhosts,
            "permissions": self.permissions,
            "topic_permissions": self.topic_permissions,
            "policies": self.policies,
        })
    }
}

fn user(name: &str, password: &str) -> Value {
    json!({ "name": name, "password": password, "tags": "" })
}

fn permission(vhost: &str, user: &str, [configure, write, read]: [&str; 3]) -> Value {
    json!({ "vhost": vhost, "user": user, "configure": configure, "write": write, "read": read })
}

/// At-least-once dead-lettering silently becomes at-most-once without `reject-publish`.
fn bundles_policy(vhost: &str) -> Value {
    json!({
        "vhost": vhost,
        "name": "salesync-bundles",
        "pattern": r"^salesync\.bundles\.",
        "apply-to": "queues",
        "priority": 0,
        "definition": {
            "dead-letter-exchange": "salesync.dead",
            "dead-letter-strategy": "at-least-once",
            "overflow": "reject-publish",
            "delivery-limit": 20,
        },
    })
}
