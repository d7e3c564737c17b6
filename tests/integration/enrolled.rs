//! A company in which everybody signs: every node has a key, every branch a broker user of its own, and all know
//! each other's public keys.

use std::fs;
use std::path::PathBuf;

use salesync::broker::{Broker, BrokerAddress, ConnectOptions};
use salesync::domain::{PublicKey, SigningKey};

use crate::company::{Company, Node, SALES};
use crate::delivery::enqueue_by;
use crate::servers::{as_branch, fresh_database, fresh_vhost};

/// Where each node's key is.
pub const KEY: &str = "signing.key";

/// Prepared nodes with `public.sales`; branches can be east and west.
pub fn enrolled(branches: &[&str]) -> Company {
    let company = Company::on(fresh_vhost(), fresh_database, branches, "");
    let head = &company.head_office;
    head.run(&["keygen", "--out", KEY]).ok();
    let mut known = Vec::new();
    for branch in &company.branches {
        branch.run(&["keygen", "--out", KEY]).ok();
        known.push(format!("[branches.{}]\npublic_key = \"{}\"\n", branch.name, public_key(branch)));
    }
    know_branches(&company, &known.concat());
    for branch in &company.branches {
        know_head_office(&company, branch, &format!("public_key = \"{}\"\n", public_key(head)));
        branch.run(&["init", "--with-sales"]).ok();
    }
    company
}

/// Configures head office, which signs, with these sections about the branches.
pub fn know_branches(company: &Company, sections: &str) {
    let options = format!("[signing]\nkey = \"{KEY}\"\n{sections}");
    company.head_office.configure("role = \"head-office\"", &company.broker_url, &options);
    company.head_office.run(&["init"]).ok();
}

/// Configures a branch, which signs, with this about head office.
pub fn know_head_office(company: &Company, branch: &Node, keys: &str) {
    let options = format!("{SALES}[signing]\nkey = \"{KEY}\"\n[head_office]\n{keys}");
    branch.configure("role = \"branch\"", &as_branch(&company.broker_url, &branch.name), &options);
}

/// The bundles in their places in head office's archive.
pub fn archived(head: &Node) -> Vec<PathBuf> {
    let mut found = head.bundles();
    found.retain(|path| !path.to_string_lossy().contains("/_rejected/"));
    found
}

/// The node's key, as somebody who has stolen it has it.
pub fn key_of(node: &Node) -> SigningKey {
    SigningKey::from_pem(&fs::read_to_string(node.folder.join(KEY)).unwrap()).unwrap()
}

/// The node's public key.
pub fn public_key(node: &Node) -> PublicKey {
    key_of(node).public()
}

/// A connection to the broker as this branch's own user.
pub fn broker_of(company: &Company, branch: &str) -> Broker {
    let address = BrokerAddress::parse(&as_branch(&company.broker_url, branch)).unwrap();
    Broker::connect(&address, &ConnectOptions::default()).unwrap()
}

/// Puts a bundle into the queue of a branch as its own broker user would.
pub fn enqueue_as(company: &Company, branch: &str, payload: &[u8]) {
    enqueue_by(broker_of(company, branch), branch, payload);
}
