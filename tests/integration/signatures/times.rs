//! When a key counts: by head office's clock, when the bundle came.

use std::fs::{self, File};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::company::{Company, Node};
use crate::delivery::{rejection, seal, text};
use crate::enrolled::{KEY, archived, enrolled, know_branches, public_key};
use crate::servers::fresh_database;

/// So many minutes from now, as it stands in the configuration.
fn moment(minutes: i64) -> String {
    (Utc::now() + TimeDelta::minutes(minutes)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A key of a branch, with more about it.
fn key(public: impl std::fmt::Display, more: &str) -> String {
    format!("{{ key = \"{public}\"{more} }}")
}

fn know(company: &Company, keys: &[String]) {
    know_branches(company, &format!("[branches.east]\npublic_keys = [{}]\n", keys.join(", ")));
}

/// The branch makes another key and goes on with it; returns the one it had.
fn rotate(branch: &Node) -> String {
    let old = public_key(branch).to_string();
    fs::rename(branch.folder.join(KEY), branch.folder.join("old.key")).unwrap();
    branch.run(&["keygen"]).ok();
    assert_ne!(public_key(branch).to_string(), old);
    old
}

#[test]
fn two_keys_are_valid_until_the_old_one_is_revoked() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    let old = rotate(east);
    let new = public_key(east);
    // Its bundles are refused until head office knows the new key.
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    assert!(rejection(head, &["apply", "--json"]).contains("none of east's"));
    know(&company, &[key(&old, ""), key(new, "")]);
    head.run(&["retry", "east"]).ok();
    // What was sealed with the old one and comes late is taken as well.
    fs::rename(east.folder.join(KEY), east.folder.join("new.key")).unwrap();
    fs::rename(east.folder.join("old.key"), east.folder.join(KEY)).unwrap();
    east.sell("Paper");
    company.sync();
    company.assert_equal("public.sales");
    know(&company, &[key(&old, &format!(", revoked_at = {}", moment(-1))), key(new, "")]);
    east.sell("Tape");
    east.run(&["bundle"]).ok();
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("was revoked at") && reason.contains("came after that"), "{reason}");
    // Signed with the key that counts, in a new epoch, everything is well again.
    fs::rename(east.folder.join("new.key"), east.folder.join(KEY)).unwrap();
    east.run(&["bundle", "--since", "all"]).exits_with_any(&[0, 3]);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_key_counts_from_its_day_on_and_not_before() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let old = rotate(east);
    know(&company, &[key(old, ""), key(public_key(east), &format!(", not_before = \"{}\"", moment(60)))]);
    seal(east, 1);
    let reason = rejection(head, &["apply", "--json", text(&east.bundles()[0])]);
    assert!(reason.contains("which is valid from"), "{reason}");
}

/// What came before the key was revoked stays good, also when the database is lost; what comes after does not,
/// whatever its own clock says.
#[test]
fn what_head_office_has_received_before_a_key_was_revoked_stays_good() {
    let mut company = enrolled(&["east"]);
    let east = company.branch();
    seal(east, 3);
    let files = east.bundles();
    let stick = |number: usize| text(&files[number]).to_owned();
    company.head_office.run(&["apply", &stick(0), &stick(2)]).exits(3);
    // A moment passes between the receipt of those and that of the second.
    let revoked = DateTime::<Utc>::from(SystemTime::now());
    let after = (revoked + TimeDelta::milliseconds(1)).to_rfc3339_opts(SecondsFormat::Nanos, true);
    let public = public_key(east);
    know(&company, &[key(public, &format!(", revoked_at = \"{after}\""))]);
    let head = &company.head_office;
    assert!(rejection(head, &["apply", "--json", &stick(1)]).contains("was revoked at"));
    // The first is a duplicate, wherever it comes from; the third, which is held, stays held.
    assert_eq!(head.run(&["apply", "--json", &stick(0)]).exits_with_any(&[0, 3]).json()["duplicates"], 1);
    assert_eq!(head.run(&["apply", "--json", &stick(2)]).exits(3).json()["rejected"], serde_json::json!([]));

    company.head_office.database_url = fresh_database();
    know(&company, &[key(public, &format!(", revoked_at = \"{after}\""))]);
    let head = &company.head_office;
    // Carried from the branch it comes now.
    assert!(rejection(head, &["apply", "--json", &stick(0)]).contains("was revoked at"));
    // In head office's own archive it came then.
    let report = head.run(&["replay", "bundles", "--json"]).exits(3).json();
    assert_eq!(report["applied"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!((&report["held"], &report["rejected"]), (&1.into(), &serde_json::json!([])));
    // With the second, had it come in time, all are there.
    let place = archived(head)[0].with_file_name("0000000002.bundle");
    fs::copy(&files[1], &place).unwrap();
    let file = File::options().append(true).open(&place).unwrap();
    file.set_modified((revoked - TimeDelta::minutes(1)).into()).unwrap();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

/// A branch that has worked for years without a key is enrolled.
#[test]
fn what_came_before_the_first_key_needs_no_signature() {
    let mut company = enrolled(&["east"]);
    know_branches(&company, "[branches.east]\n");
    let east = company.branch();
    fs::rename(east.folder.join(KEY), east.folder.join("later.key")).unwrap();
    let signing = fs::read_to_string(east.folder.join("salesync.toml")).unwrap();
    let unsigned = signing.replace(&format!("[signing]\nkey = \"{KEY}\"\n"), "");
    fs::write(east.folder.join("salesync.toml"), unsigned).unwrap();
    for product in ["Ink", "Pens"] {
        east.sell(product);
        company.sync();
    }
    // One more is on its way when the key comes.
    east.sell("Paper");
    east.run(&["bundle"]).ok();
    fs::write(east.folder.join("salesync.toml"), signing).unwrap();
    fs::rename(east.folder.join("later.key"), east.folder.join(KEY)).unwrap();
    let enrolled_at = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let public = public_key(east);
    know(&company, &[key(public, &format!(", not_before = \"{enrolled_at}\""))]);
    assert_eq!(rejection(&company.head_office, &["apply", "--json"]), "it is not signed");
    company.branch().run(&["bundle", "--since", "all"]).exits_with_any(&[0, 3]);
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    // The archive rebuilds everything, its first half without signatures.
    company.head_office.database_url = fresh_database();
    know(&company, &[key(public, &format!(", not_before = \"{enrolled_at}\""))]);
    let report = company.head_office.run(&["replay", "bundles", "--json"]).ok().json();
    assert_eq!(report["applied"].as_array().unwrap().len(), 3, "{report}");
    company.assert_equal("public.sales");
    // Without that date it had to have signed from the beginning.
    company.head_office.database_url = fresh_database();
    know(&company, &[key(public, "")]);
    let report = company.head_office.run(&["replay", "bundles", "--json"]).exits(3).json();
    assert_eq!(report["rejected"].as_array().unwrap().len(), 2, "{report}");
    company.assert_equal("public.sales");
}
