//! `salesync verify`

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::args::Verify;
use super::context::Context;
use super::exit::Exit;
use crate::archive::{find_bundles, open_bundle};
use crate::bundle::PourError;
use crate::domain::{Digest, Epoch, Failure, Kind, Manifest, NodeName, Sequence};

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
}

/// The manifests seen, each with the one it says it follows, to check the chain between files.
type Chain = BTreeMap<(NodeName, Epoch, Sequence), (Digest, Option<Digest>)>;

pub(super) fn run(context: &Context, args: &Verify) -> Result<Exit, Failure> {
    let mut report = Report::default();
    let mut chain = Chain::new();
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
            let (line, failure) = line(file, &mut chain);
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

/// What is to be said of a file, and why it could not be read if so.
fn line(path: &Path, chain: &mut Chain) -> (Line, Option<Failure>) {
    let file = path.display().to_string();
    match check(path, chain) {
        Ok(manifest) => {
            let (branch, sequence) = (Some(manifest.branch.to_string()), Some(manifest.sequence.get()));
            (Line { file, branch, sequence, ok: true, error: None }, None)
        }
        Err(failure) => {
            let error = Some(failure.to_string());
            let line = Line { file, branch: None, sequence: None, ok: false, error };
            (line, (failure.kind() != Kind::Damaged).then_some(failure))
        }
    }
}

/// Everything: shape, checksums, rows, control totals, and the chain to the bundles before and after it, as far
/// as they have been seen. Files may have any names, and come in any order.
fn check(path: &Path, chain: &mut Chain) -> Result<Manifest, Failure> {
    let damaged =
        |why: String| Failure::new(Kind::Damaged, format!("checking the bundle {}", path.display()), why);
    let mut bundle = open_bundle(path)?;
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
        return Err(damaged(format!("it is a bundle of {whose}, epoch {of}, and in a folder of another")));
    }
    for table in &manifest.tables {
        for member in &table.members {
            bundle.pour(table, member, &mut io::sink()).map_err(|error| match error {
                PourError::Defect(defect) => damaged(defect.to_string()),
                PourError::Source(error) | PourError::Sink(error) => Failure::file("reading", path, &error),
            })?;
        }
    }
    check_chain(&manifest, bundle.manifest_sha256(), chain).map_err(damaged)?;
    Ok(manifest)
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
    Some(Line { file, branch: None, sequence: Some(last + 1), ok: false, error })
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { file, branch, sequence, error, .. } in &self.files {
            match (branch, sequence, error) {
                (Some(branch), Some(sequence), None) => writeln!(f, "{file}: {branch} {sequence}, ok")?,
                (_, _, error) => writeln!(f, "{file}: DAMAGED, {}", error.as_deref().unwrap_or_default())?,
            }
        }
        Ok(())
    }
}
