//! How long certificates are still valid.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use x509_parser::pem::Pem;

use crate::cli::settings::Settings;
use crate::domain::{Check, Failure, Finding, Kind};

/// Time enough to get another one.
const SOON: TimeDelta = TimeDelta::days(30);

/// Of those that the configuration names.
pub(super) fn look(settings: &Settings, now: DateTime<Utc>) -> Vec<Finding> {
    let page = settings.serve.certificate.iter();
    let page = page.map(|certificate| ("the page's certificate", certificate.chain.clone()));
    let named = page.chain(settings.certificates());
    let mut findings: Vec<Finding> = named.map(|(what, path)| of_file(what, &path, now)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Certificates, "the configuration names no certificate"));
    }
    findings
}

fn of_file(what: &str, path: &Path, now: DateTime<Utc>) -> Finding {
    match ends(path) {
        Ok(end) => of(&format!("{what} ({})", path.display()), end, now),
        Err(failure) => Finding::of(Check::Certificates, &failure),
    }
}

/// One that ends then.
fn of(what: &str, end: DateTime<Utc>, now: DateTime<Utc>) -> Finding {
    let day = end.date_naive();
    if end <= now {
        let what = format!("{what} has expired on {day}");
        return Finding::warning(
            Check::Certificates,
            what,
            "get a new one, put it in its place, and restart what uses it",
        );
    }
    let told = format!("{what} is valid until {day}");
    if end - now < SOON {
        let cure = "get a new one in time, put it in its place, and restart what uses it";
        return Finding::warning(Check::Certificates, told, cure);
    }
    Finding::ok(Check::Certificates, told)
}

/// When the first of the certificates in a file expires: one that has makes the whole chain worthless.
fn ends(path: &Path) -> Result<DateTime<Utc>, Failure> {
    let text = fs::read(path).map_err(|error| Failure::file("reading the certificate", path, &error))?;
    let wrong = |why: String| {
        let doing = format!("reading the certificate {}", path.display());
        Failure::new(Kind::Configuration, doing, why)
            .hint("it must be a PEM file, as every authority hands it out")
    };
    let mut earliest: Option<DateTime<Utc>> = None;
    for pem in Pem::iter_from_buffer(&text) {
        let pem = pem.map_err(|error| wrong(error.to_string()))?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        let certificate = pem.parse_x509().map_err(|error| wrong(error.to_string()))?;
        let seconds = certificate.validity().not_after.timestamp();
        let end =
            DateTime::from_timestamp(seconds, 0).ok_or_else(|| wrong("its end is no time".to_owned()))?;
        earliest = Some(earliest.map_or(end, |earliest| earliest.min(end)));
    }
    earliest.ok_or_else(|| wrong("there is no certificate in it".to_owned()))
}
