//! `salesync keygen`

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::Keygen;
use super::context::Context;
use super::exit::Exit;
use super::key_file::{read_identities, read_key, write_identity, write_key};
use super::settings::Settings;
use crate::domain::{Failure, Identity, Kind, PublicKey, Recipient, SigningKey};

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    key_id: String,
    public_key: PublicKey,
}

#[derive(Debug, Serialize)]
struct EncryptionReport {
    file: String,
    recipients: Vec<Recipient>,
}

pub(super) fn run(context: &Context, args: &Keygen) -> Result<Exit, Failure> {
    if args.encryption { make_identity(context, args) } else { make_key(context, args) }?;
    Ok(Exit::Done)
}

fn make_key(context: &Context, args: &Keygen) -> Result<(), Failure> {
    let report = if let Some(file) = &args.public {
        Report::new(file, &read_key(file)?)
    } else {
        let file = new_file(context, args, Settings::signing_key_file, "`key` in the section [signing]")?;
        let key = SigningKey::generate()?;
        write_key(&file, &key)?;
        Report::new(&file, &key)
    };
    context.print(&report)
}

fn make_identity(context: &Context, args: &Keygen) -> Result<(), Failure> {
    let (file, identities) = if let Some(file) = &args.public {
        (file.clone(), read_identities(file)?)
    } else {
        let setting = "`identity` in the section [encryption]";
        let file = new_file(context, args, Settings::identity_file, setting)?;
        let identity = Identity::generate();
        write_identity(&file, &identity)?;
        (file, vec![identity])
    };
    let recipients = identities.iter().map(Identity::recipient).collect();
    context.print(&EncryptionReport { file: file.display().to_string(), recipients })
}

/// The file that was named, or where this node expects its key.
fn new_file(
    context: &Context,
    args: &Keygen,
    configured: impl Fn(&Settings) -> Option<&Path>,
    setting: &str,
) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.out {
        return Ok(file.clone());
    }
    configured(&context.settings()?).map(Path::to_owned).ok_or_else(|| {
        let why = "the configuration names no file for it";
        Failure::new(Kind::Usage, "making a key", why)
            .hint(format!("name one with --out FILE, or as {setting}"))
    })
}

impl Report {
    fn new(file: &Path, key: &SigningKey) -> Self {
        let public_key = key.public();
        Self { file: file.display().to_string(), key_id: public_key.id().to_string(), public_key }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.public_key)
    }
}

impl Display for EncryptionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recipients.iter().try_for_each(|recipient| writeln!(f, "{recipient}"))
    }
}
