//! `salesync verify`

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use chrono::Utc;
use serde::Serialize;

use super::args::Verify;
use super::context::Context;
use super::exit::Exit;
use super::named_keys::NamedKeys;
use crate::archive::{digest_of, find_bundles, open_bundle};
use crate::bundle::{Bundle, PourError, is_encrypted};
use crate::domain::{Digest, Epoch, Failure, Identities, Kind, Manifest, NodeName, Sequence};

#[derive(Debug, Default, Serialize)]
struct Report {
    files: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    file: String,
    branch: Option<String>,
    sequence: Option<u64>,
    ok: bool,
    error: Option<String>,
    /// What is known of its signature; nothing of a damaged file.
    signature: Option<Seal>,
    /// The key that it names.
    key_id: Option<String>,
    /// Whether the file is encrypted; none if there is no such file, or it cannot be read.
    encrypted: Option<bool>,
    /// SHA-256 of a file that is.
    file_sha256: Option<String>,
    /// Whether nothing is known of it that is wrong.
    #[serde(skip)]
    is_unchecked: bool,
}

/// What is known of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Seal {
    /// It was made with a key that was named.
    Good,
    /// No key was named.
    Unchecked,
    /// There is none.
    None,
}

/// The manifests seen, each with the one it says it follows, to check the chain between files.
type Chain = BTreeMap<(NodeName, Epoch, Sequence), (Digest, Option<Digest>)>;

/// What files are checked with.
struct Checker {
    keys: NamedKeys,
    identities: Identities,
    chain: Chain,
}

pub(super) fn run(context: &Context, args: &Verify) -> Result<Exit, Failure> {
    let identities = context.identities(args.reading.identity.as_deref())?;
    let mut checker = Checker { keys: NamedKeys::of(&args.keys)?, identities, chain: Chain::new() };
    let mut report = Report::default();
    let mut trouble = Ok(());
    for path in &args.paths {
        let files = find_bundles(path)?;
        if files.is_empty() {
            let doing = format!("looking for bundles in {}", path.display());
            return Err(
                Failure::new(Kind::Usage, doing, "there are none").hint("name a bundle file or an archive")
            );
        }
        for file in &files {
            let (line, failure) = checker.line(file);
            report.files.push(line);
            // One that cannot be read is told when all the others have been.
            trouble = trouble.and(failure.map_or(Ok(()), Err));
        }
        report.files.extend(files.windows(2).filter_map(|pair| gap(&pair[0], &pair[1])));
    }
    context.print(&report)?;
    trouble?;
    Ok(if report.files.iter().all(|line| line.ok) { Exit::Done } else { Exit::Damaged })
}

impl Checker {
    /// What is to be said of a file, and why it could not be read if so.
    fn line(&mut self, path: &Path) -> (Line, Option<Failure>) {
        let encrypted = File::open(path).and_then(|mut file| is_encrypted(&mut file)).ok();
        let digest = encrypted.filter(|is| *is).and_then(|_| digest_of(path).ok());
        let file_sha256 = digest.map(|digest| digest.to_string());
        let empty = Line { encrypted, file_sha256, ..Line::of(path.display().to_string()) };
        match self.check(path) {
            Ok((manifest, signature, key_id)) => {
                let (branch, sequence) = (Some(manifest.branch.to_string()), Some(manifest.sequence.get()));
                (Line { branch, sequence, ok: true, signature: Some(signature), key_id, ..empty }, None)
            }
            Err(failure) => {
                let is_unchecked = failure.kind() != Kind::Damaged;
                let line = Line { error: Some(failure.to_string()), is_unchecked, ..empty };
                (line, is_unchecked.then_some(failure))
            }
        }
    }

    /// Everything: shape, checksums, signature, rows, control totals, and the chain to the bundles before and after it,
    /// as far as they have been seen. Files may have any names, and come in any order.
    fn check(&mut self, path: &Path) -> Result<(Manifest, Seal, Option<String>), Failure> {
        let damaged =
            |why: String| Failure::new(Kind::Damaged, format!("checking the bundle {}", path.display()), why);
        let mut bundle = open_bundle(path, &self.identities)?;
        let manifest = bundle.manifest().clone();
        if number_in_name(path).is_some_and(|number| number != manifest.sequence.get()) {
            return Err(damaged(format!(
                "it is bundle {}, and not the one that its name says",
                manifest.sequence
            )));
        }
        if let Some((branch, epoch)) = place_in_archive(path)
            && (branch != manifest.branch.as_str() || epoch != manifest.epoch)
        {
            let (whose, of) = (&manifest.branch, manifest.epoch);
            return Err(damaged(format!(
                "it is a bundle of {whose}, epoch {of}, and in a folder of another"
            )));
        }
        let seal = self.check_seal(&mut bundle).map_err(damaged)?;
        for table in &manifest.tables {
            for member in &table.members {
                bundle.pour(table, member, &mut io::sink()).map_err(|error| match error {
                    PourError::Defect(defect) => damaged(defect.to_string()),
                    PourError::Source(error) | PourError::Sink(error) => {
                        Failure::file("reading", path, &error)
                    }
                })?;
            }
        }
        check_chain(&manifest, bundle.manifest_sha256(), &mut self.chain).map_err(damaged)?;
        let key_id = bundle.signature().map(|signature| signature.key().to_string());
        Ok((manifest, seal, key_id))
    }

    /// What is known of the bundle's signature; if keys were named it must be made with one of its branch's.
    fn check_seal<R: Read + Seek>(&self, bundle: &mut Bundle<R>) -> Result<Seal, String> {
        let Some(ring) = self.keys.ring_of(&bundle.manifest().branch)? else {
            return Ok(if bundle.signature().is_some() { Seal::Unchecked } else { Seal::None });
        };
        bundle.check_signature(&ring, Utc::now()).map_err(|distrust| distrust.to_string())?;
        Ok(Seal::Good)
    }
}

fn check_chain(manifest: &Manifest, digest: Digest, chain: &mut Chain) -> Result<(), String> {
    let Manifest { branch, epoch, sequence, previous, .. } = manifest;
    let key = |sequence| (branch.clone(), *epoch, sequence);
    if chain.get(&key(*sequence)).is_some_and(|(other, _)| *other != digest) {
        return Err("another bundle has the same branch, epoch and sequence".to_owned());
    }
    let before = Sequence::new(sequence.get() - 1).and_then(|before| chain.get(&key(before)));
    if before.is_some_and(|(before, _)| *previous != Some(*before)) {
        return Err("it does not follow the bundle before it: one of the two was exchanged".to_owned());
    }
    let after = chain.get(&key(sequence.next()));
    if after.is_some_and(|(_, follows)| *follows != Some(digest)) {
        return Err("the bundle after it does not follow it: one of the two was exchanged".to_owned());
    }
    chain.insert(key(*sequence), (digest, *previous));
    Ok(())
}

/// The bundles missing between two files that follow each other in an archive.
fn gap(before: &Path, after: &Path) -> Option<Line> {
    let (last, next) = (number_in_name(before)?, number_in_name(after)?);
    if before.parent() != after.parent() || last.checked_add(1)? >= next {
        return None;
    }
    let file = after.with_file_name(format!("{:010}.bundle", last + 1)).display().to_string();
    let error = Some(format!("it is missing, and so is everything before bundle {next}"));
    Some(Line { sequence: Some(last + 1), error, ..Line::of(file) })
}

/// Branch and epoch of the folder, if it is one of an archive.
fn place_in_archive(path: &Path) -> Option<(&str, Epoch)> {
    let folder = path.parent()?;
    let epoch = folder.file_name()?.to_str()?.parse().ok()?;
    Some((folder.parent()?.file_name()?.to_str()?, epoch))
}

/// The number in a file name of an archive; none if the file has been given another name.
fn number_in_name(path: &Path) -> Option<u64> {
    let name = path.file_stem()?.to_str()?;
    if name.len() == 10 { name.parse().ok() } else { None }
}

impl Line {
    /// Of a file of which nothing is known.
    fn of(file: String) -> Self {
        Self {
            file,
            branch: None,
            sequence: None,
            ok: false,
            error: None,
            signature: None,
            key_id: None,
            encrypted: None,
            file_sha256: None,
            is_unchecked: false,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.files {
            let Line { file, branch, sequence, error, signature, key_id, file_sha256, .. } = line;
            let key = key_id.as_deref().unwrap_or_default();
            let signed = match signature {
                Some(Seal::Good) => format!("signed with key {key}"),
                Some(Seal::Unchecked) => format!("signed with key {key}, not checked"),
                Some(Seal::None) | None => "not signed".to_owned(),
            };
            let encrypted = if file_sha256.is_some() { ", encrypted" } else { "" };
            let digest = file_sha256.iter().map(|digest| format!("; its SHA-256 is {digest}"));
            match (branch, sequence, error) {
                (Some(branch), Some(sequence), None) => {
                    writeln!(f, "{file}: {branch} {sequence}, ok{encrypted}, {signed}")?;
                }
                (_, _, error) => {
                    let word = if line.is_unchecked { "NOT CHECKED" } else { "DAMAGED" };
                    let error = error.as_deref().unwrap_or_default();
                    writeln!(f, "{file}: {word}, {error}{}", digest.collect::<String>())?;
                }
            }
        }
        Ok(())
    }
}
