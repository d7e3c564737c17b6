//! A private key in its file, which nobody but its owner may read.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::private_file::{Readers, write_new};

use crate::domain::{Failure, Identity, Kind, SigningKey};

/// More than any file of keys needs.
const LONGEST: u64 = 16 << 10;

/// How a file of keys is spoken of where something is wrong with it.
struct Words {
    setting: &'static str,
    command: &'static str,
    is_none: &'static str,
}

const SIGNING: Words = Words {
    setting: "`key` in the section [signing]",
    command: "salesync keygen",
    is_none: "it is no Ed25519 private key in PKCS#8 PEM form",
};
const ENCRYPTION: Words = Words {
    setting: "`identity` in the section [encryption]",
    command: "salesync keygen --encryption",
    is_none: "it is no file of age's private keys",
};

/// Reads the key that this node signs with.
pub(super) fn read_key(path: &Path) -> Result<SigningKey, Failure> {
    read(path, &SIGNING, SigningKey::from_pem)
}

/// Reads the keys that encrypted bundles are read with.
pub(super) fn read_identities(path: &Path) -> Result<Vec<Identity>, Failure> {
    read(path, &ENCRYPTION, Identity::all_in)
}

/// Reads what is in this file. What else may be in it is not told.
fn read<T, E: Display>(
    path: &Path,
    words: &Words,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, Failure> {
    const DOING: &str = "reading the private key";
    let Words { setting, command, is_none } = words;
    let failed = |error: &io::Error| Failure::file(DOING, path, error);
    let wrong = |kind, why: String| Failure::new(kind, format!("{DOING} {}", path.display()), why);
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(Kind::Configuration, error.to_string())
            .hint(format!("correct {setting}, or make the key with `{command}`")),
        _ => failed(&error),
    })?;
    let metadata = file.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(wrong(Kind::Configuration, "it is no file".to_owned()).hint("name the file with the key"));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let why = format!("others than its owner may use it (mode {mode:04o})");
        return Err(wrong(Kind::Permission, why).hint(format!(
            "if nobody can have read it: chmod 600 {}; else make a new one with `{command}`",
            path.display()
        )));
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        let why = format!("it belongs to user {}, and salesync runs as user {user}", metadata.uid());
        return Err(wrong(Kind::Permission, why)
            .hint("run this as the user it belongs to, or give it to the user that runs salesync"));
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or_default()));
    let hint = format!("put the right file there, or make a key with `{command}`");
    match file.take(LONGEST).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(wrong(Kind::Configuration, (*is_none).to_owned()).hint(hint))
        }
        Err(error) => Err(failed(&error)),
        Ok(_) => parse(&text).map_err(|error| wrong(Kind::Configuration, error.to_string()).hint(hint)),
    }
}

/// Writes the key that this node signs with to a new file, and never over another.
pub(super) fn write_key(path: &Path, key: &SigningKey) -> Result<(), Failure> {
    write(path, &SIGNING, &key.to_pem()?)
}

/// The same with a key that encrypted bundles are read with.
pub(super) fn write_identity(path: &Path, identity: &Identity) -> Result<(), Failure> {
    write(path, &ENCRYPTION, &identity.to_text())
}

fn write(path: &Path, words: &Words, text: &str) -> Result<(), Failure> {
    let Words { command, .. } = words;
    let instead =
        format!("`{command} --public FILE` prints its public key; for another key name another file");
    write_new("the private key", path, text.as_bytes(), Readers::Owner, &instead)
}
