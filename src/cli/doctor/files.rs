//! What is on this machine besides the archive: configuration, secrets, keys.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chrono::Utc;

use super::certificates;
use crate::cli::settings::{Role, Settings};
use crate::domain::{Check, Failure, Finding};

/// Where cron and systemd find what is secret (cron/README.md).
const ENVIRONMENT: &str = "/etc/salesync/environment";
/// Anybody on the machine may read it.
const OTHERS_READ: u32 = 0o004;
/// Somebody else than its owner may change it.
const OTHERS_WRITE: u32 = 0o022;

/// What was found.
pub(super) fn look(settings: &Settings) -> Vec<Finding> {
    let file = settings.file().display();
    let mut findings = vec![Finding::ok(Check::File, format!("{file} can be read, and has no unknown key"))];
    findings.extend(secrets(settings));
    findings.push(own_key(settings));
    findings.extend((settings.role == Role::Branch).then(|| known_keys(settings)));
    findings.extend(certificates::look(settings, Utc::now()));
    findings
}

fn secrets(settings: &Settings) -> Vec<Finding> {
    let environment =
        env::var_os("SALESYNC_ENVIRONMENT").map_or_else(|| PathBuf::from(ENVIRONMENT), PathBuf::from);
    let mut findings = Vec::new();
    findings.extend(exposed(settings.file(), settings.holds_secrets(), "and send the sales elsewhere"));
    if environment.exists() {
        findings.extend(exposed(&environment, true, "and send the sales elsewhere"));
    }
    for path in settings.branch_files() {
        findings.extend(exposed(&path, false, "and have head office believe keys of theirs"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Secrets, "what is secret can be read by nobody else"));
    }
    findings
}

/// What others may do with a file that they should not, and what comes of it if they can change it.
fn exposed(path: &Path, is_secret: bool, harm: &str) -> Option<Finding> {
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.mode() & 0o7777,
        // Whoever runs this may see less of it than whoever runs the rest.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return None,
        Err(error) => return Some(Finding::of(Check::Secrets, &Failure::file("looking at", path, &error))),
    };
    let shown = path.display();
    if mode & OTHERS_WRITE != 0 {
        let what = format!("others may change {shown} (mode {mode:04o}), {harm}");
        return Some(Finding::warning(Check::Secrets, what, format!("chmod go-w {shown}")));
    }
    (is_secret && mode & OTHERS_READ != 0).then(|| {
        let what = format!("everybody on this machine may read the secrets in {shown} (mode {mode:04o})");
        let cure = format!("chmod o= {shown}, and change the passwords in it if somebody may have read them");
        Finding::warning(Check::Secrets, what, cure)
    })
}

fn own_key(settings: &Settings) -> Finding {
    let what = match settings.role {
        Role::Branch => "bundles are not signed",
        Role::HeadOffice => "receipts and requests are not signed",
    };
    match settings.signing_key() {
        Err(failure) => Finding::of(Check::OwnKey, &failure),
        Ok(None) => Finding::note(Check::OwnKey, what).cure(
            "make a key with `salesync keygen`, and name it as `key` in [signing] (README, \"Signing\")",
        ),
        Ok(Some(key)) => Finding::ok(
            Check::OwnKey,
            format!("key {} signs, and only its owner may read it", key.public().id()),
        ),
    }
}

/// Whom a branch believes.
fn known_keys(settings: &Settings) -> Finding {
    let ring = &settings.head_office;
    let now = Utc::now();
    let is_valid = |from: Option<_>, end: Option<_>| {
        from.is_none_or(|from| from <= now) && end.is_none_or(|end| end > now)
    };
    if ring.keys().is_empty() {
        let what = "receipts and requests are believed from anybody who can write to this branch's queue";
        return Finding::note(Check::KnownKeys, what)
            .cure("set head office's public_key in [head_office] (README, \"Signing\")");
    }
    if ring.keys().iter().any(|trusted| is_valid(trusted.not_before, trusted.revoked_at)) {
        return Finding::ok(Check::KnownKeys, "head office has to sign");
    }
    let what = "no key of head office counts now, so none of its answers is believed";
    Finding::warning(Check::KnownKeys, what, "put head office's present key into [head_office]")
}
