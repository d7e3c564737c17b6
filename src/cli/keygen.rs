//! `salesync keygen`

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::Keygen;
use super::context::Context;
use super::exit::Exit;
use super::key_file::{read_key, write_key};
use crate::domain::{Failure, Kind, PublicKey, SigningKey};

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    key_id: String,
    public_key: PublicKey,
}

pub(super) fn run(context: &Context, args: &Keygen) -> Result<Exit, Failure> {
    let report = if let Some(file) = &args.public {
        Report::new(file, &read_key(file)?)
    } else {
        let file = args.out.clone().map_or_else(|| configured(context), Ok)?;
        let key = SigningKey::generate()?;
        write_key(&file, &key)?;
        Report::new(&file, &key)
    };
    context.print(&report)?;
    Ok(Exit::Done)
}

/// Where this node expects its key.
fn configured(context: &Context) -> Result<PathBuf, Failure> {
    let settings = context.settings()?;
    settings.signing_key_file().map(Path::to_owned).ok_or_else(|| {
        let why = "the configuration names no file for it";
        Failure::new(Kind::Usage, "making a key", why)
            .hint("name one with --out FILE, or as `key` in the section [signing]")
    })
}

impl Report {
    fn new(file: &Path, key: &SigningKey) -> Self {
        let public_key = key.public();
        Self { file: file.display().to_string(), key_id: public_key.id().to_string(), public_key }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.public_key)
    }
}
