//! What head office knows of its branches: sections of the configuration, or a file for each in `branches.d` beside it,
//! which says the same. `enroll` and `revoke` write such files; people may, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use tempfile::NamedTempFile;

use super::keys::{KeySection, enrolment, moment};
use super::{Settings, located};
use crate::cli::units::time_in_file;
use crate::domain::{Failure, Kind, NodeName, PublicKey};

/// Beside the configuration file.
const FOLDER: &str = "branches.d";

/// What head office knows of a branch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct BranchSettings {
    /// Silence longer than this is an alarm.
    #[serde(default, deserialize_with = "time_in_file")]
    pub(in crate::cli) expect_every: Option<Duration>,
    /// Its key, if it has just one.
    #[serde(default)]
    pub(super) public_key: Option<PublicKey>,
    /// Its keys, each with the time for which it is valid.
    #[serde(default)]
    pub(super) public_keys: Vec<KeySection>,
    /// From then on its bundles have to be encrypted.
    #[serde(default, deserialize_with = "moment")]
    pub(super) encrypted_from: Option<DateTime<Utc>>,
    /// From then on it has to sign, also while it has no key.
    #[serde(default, deserialize_with = "moment")]
    pub(in crate::cli) enrolled_at: Option<DateTime<Utc>>,
    /// It has left, and nothing more is expected of it.
    #[serde(default, deserialize_with = "moment")]
    pub(in crate::cli) left_at: Option<DateTime<Utc>>,
}

/// The folder of the branches' files, for a configuration file in the folder `base`.
pub(super) fn folder(base: &Path) -> PathBuf {
    base.join(FOLDER)
}

/// The files of the folder that are about a branch, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: &io::Error| Failure::file("looking for the branches' files in", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(&error))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(&error))?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Adds the branches that have files of their own; which they are.
pub(super) fn add(
    folder: &Path,
    branches: &mut BTreeMap<NodeName, BranchSettings>,
) -> Result<BTreeSet<NodeName>, Failure> {
    let mut own = BTreeSet::new();
    for path in files(folder)? {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(Kind::Configuration, format!("reading {}", path.display()), why)
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name: NodeName = stem.parse().map_err(|failure: Failure| {
            wrong(&failure.why()).hint("the file of a branch is called as the branch, and .toml")
        })?;
        let text = fs::read_to_string(&path).map_err(|error| Failure::file("reading", &path, &error))?;
        let settings = toml::from_str(&text).map_err(|error| {
            wrong(&located(&text, &error))
                .hint("it has what a section [branches.NAME] has (README, \"Configuration\")")
        })?;
        if branches.insert(name.clone(), settings).is_some() {
            return Err(wrong(&format!(
                "there is also a section [branches.{name}] in the configuration file"
            ))
            .hint("keep one of them; `enroll` and `revoke` change the file"));
        }
        own.insert(name);
    }
    Ok(own)
}

impl BranchSettings {
    /// A branch that is new, or enrolled once more: from now on it has to sign, if it had not before. Its keys stay.
    pub(in crate::cli) fn enrolled(self, now: DateTime<Utc>) -> Self {
        Self { enrolled_at: self.enrolled_at.or(Some(now)), left_at: None, ..self }
    }

    /// Takes a key as the branch's from now on. False if it was already.
    pub(in crate::cli) fn confirm(&mut self, key: PublicKey) -> Result<bool, Failure> {
        let doing = format!("confirming key {}", key.id());
        self.list_keys();
        match self.public_keys.iter().find(|section| section.key == key) {
            Some(section) if section.revoked_at.is_some() => {
                Err(Failure::new(Kind::Usage, doing, "it has been revoked").hint(
                    "a revoked key does not come back: the branch makes another with `salesync keygen`",
                ))
            }
            Some(_) => Ok(false),
            None => {
                // Not from now: what was received meanwhile, and rejected for want of the key, may be tried again.
                self.public_keys.push(KeySection { key, not_before: self.enrolled_at, revoked_at: None });
                Ok(true)
            }
        }
    }

    /// Revokes every key that is not, from this moment on, and notes that the branch has left. Which keys.
    pub(in crate::cli) fn leave(&mut self, since: DateTime<Utc>, now: DateTime<Utc>) -> Vec<PublicKey> {
        self.list_keys();
        let open = self.public_keys.iter_mut().filter(|section| section.revoked_at.is_none());
        let revoked = open.map(|section| {
            // A key that began to count after that has never counted.
            section.revoked_at = Some(section.not_before.map_or(since, |from| from.max(since)));
            section.key
        });
        let revoked = revoked.collect();
        self.enrolled_at.get_or_insert(since);
        self.left_at.get_or_insert(now);
        revoked
    }

    fn list_keys(&mut self) {
        let only = self.public_key.take();
        self.public_keys.extend(only.map(|key| KeySection { key, not_before: None, revoked_at: None }));
    }

    /// As it stands in its file. Nothing in it needs to be quoted but by its own form.
    fn to_toml(&self, branch: &NodeName) -> String {
        let mut text = format!(
            "# The branch {branch}. `salesync enroll` and `salesync revoke` write this file; what you change here\n\
             # counts from the next bundle on, and comments are lost when they write it again.\n"
        );
        // Writing to a String cannot fail.
        if let Some(time) = self.expect_every {
            let _ = writeln!(text, "expect_every = \"{}\"", humantime::format_duration(time));
        }
        if let Some(key) = self.public_key {
            let _ = writeln!(text, "public_key = \"{key}\"");
        }
        if let Some(moment) = self.enrolled_at {
            let _ =
                writeln!(text, "enrolled_at = {}  # from then on everything has to be signed", time(moment));
        }
        if let Some(moment) = self.encrypted_from {
            let _ = writeln!(text, "encrypted_from = {}", time(moment));
        }
        if let Some(moment) = self.left_at {
            let _ = writeln!(text, "left_at = {}", time(moment));
        }
        if !self.public_keys.is_empty() {
            text.push_str("public_keys = [\n");
            for KeySection { key, not_before, revoked_at } in &self.public_keys {
                let times = [("not_before", not_before), ("revoked_at", revoked_at)];
                let times =
                    times.map(|(name, at)| at.map_or(String::new(), |at| format!(", {name} = {}", time(at))));
                let _ = writeln!(text, "    {{ key = \"{key}\"{} }},  # id {}", times.concat(), key.id());
            }
            text.push_str("]\n");
        }
        text
    }
}

fn time(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Settings {
    /// What the branch's own file says, to be changed.
    pub(in crate::cli) fn branch(&self, branch: &NodeName) -> Result<BranchSettings, Failure> {
        let wrong = |why: String| Failure::new(Kind::Configuration, format!("looking up {branch}"), why);
        match self.branches.get(branch) {
            Some(settings) if self.own_files.contains(branch) => Ok(settings.clone()),
            Some(_) => Err(wrong(format!("it is a section [branches.{branch}] of the configuration file"))
                .hint(format!(
                    "move what is in that section to {}, where `enroll` and `revoke` can change it",
                    self.branch_file(branch).display()
                ))),
            None => Err(wrong("head office knows no such branch".to_owned()).hint(format!(
                "`salesync enroll {branch}` makes it one; `salesync status` lists those that it knows"
            ))),
        }
    }

    /// Where the file of a branch is.
    pub(in crate::cli) fn branch_file(&self, branch: &NodeName) -> PathBuf {
        self.branch_folder.join(format!("{branch}.toml"))
    }

    /// The branches' own files, and before them their folder; nothing if there are none.
    pub(in crate::cli) fn branch_files(&self) -> Vec<PathBuf> {
        let folder = self.own_files.first().map(|_| self.branch_folder.clone());
        folder.into_iter().chain(self.own_files.iter().map(|branch| self.branch_file(branch))).collect()
    }

    /// Writes the branch's own file: whole and on disk, or not at all.
    pub(in crate::cli) fn write_branch(
        &self,
        branch: &NodeName,
        settings: &BranchSettings,
    ) -> Result<(), Failure> {
        let mut branches = self.branches.clone();
        branches.insert(branch.clone(), settings.clone());
        enrolment(&branches)?;
        let (folder, path) = (&self.branch_folder, self.branch_file(branch));
        let write = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut draft = NamedTempFile::new_in(folder)?;
            // Nothing in it is secret, and the page may run as another user.
            draft.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            draft.write_all(settings.to_toml(branch).as_bytes())?;
            draft.as_file().sync_all()?;
            draft.persist(&path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| Failure::file("writing", &path, &error))
    }
}
