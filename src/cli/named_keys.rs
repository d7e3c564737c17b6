//! Public keys that are named on the command line, for whoever checks bundles without head office's configuration.

use std::fs;
use std::path::Path;

use super::args::Keys;
use crate::domain::{Failure, KeyRing, Kind, NodeName, NotAKey, PublicKey};

/// The keys that were named, those of one branch and those that count for all.
pub(super) struct NamedKeys(Vec<(Option<NodeName>, PublicKey)>);

impl NamedKeys {
    /// Those of the arguments, and of the file that they name.
    pub(super) fn of(args: &Keys) -> Result<Self, Failure> {
        let mut keys: Vec<_> = args.keys.iter().map(|key| (None, *key)).collect();
        if let Some(path) = &args.key_file {
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::file("reading the keys in", path, &error))?;
            for (number, line) in (1..).zip(text.lines()) {
                keys.extend(read_line(path, number, line)?);
            }
        }
        Ok(Self(keys))
    }

    /// The keys that count for this branch; none if no key was named at all, and it is wrong if all are of others.
    pub(super) fn ring_of(&self, branch: &NodeName) -> Result<Option<KeyRing>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let counts = |of: &Option<NodeName>| of.as_ref().is_none_or(|of| of == branch);
        let mut keys = self.0.iter().filter(|(of, _)| counts(of)).map(|(_, key)| *key).peekable();
        if keys.peek().is_none() {
            return Err(format!("no key of {branch} was named"));
        }
        Ok(Some(KeyRing::of(keys)))
    }
}

/// A line of the file: a key, or a branch and its key.
fn read_line(path: &Path, number: u32, line: &str) -> Result<Option<(Option<NodeName>, PublicKey)>, Failure> {
    let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
    let wrong = |why: String| {
        Failure::new(Kind::Usage, format!("reading {}, line {number}", path.display()), why)
            .hint("a line is a public key, or a branch and its public key; what follows # is no part of it")
    };
    let (branch, key) = match words[..] {
        [] => return Ok(None),
        [key] => (None, key),
        [branch, key] => (Some(branch.parse::<NodeName>().map_err(|error| wrong(error.to_string()))?), key),
        _ => return Err(wrong("it has more than two words".to_owned())),
    };
    Ok(Some((branch, key.parse().map_err(|error: NotAKey| wrong(error.to_string()))?)))
}
