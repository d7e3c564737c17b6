//! A private key in its file, which nobody but its owner may read.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::private_file::{Readers, write_new};

use crate::domain::{Failure, Kind, SigningKey};

/// More than any key needs.
const LONGEST: u64 = 4096;

/// Reads the key in this file. What else may be in it is not told.
pub(super) fn read_key(path: &Path) -> Result<SigningKey, Failure> {
    const DOING: &str = "reading the private key";
    let failed = |error: &io::Error| Failure::file(DOING, path, error);
    let wrong = |kind, why: String| Failure::new(kind, format!("{DOING} {}", path.display()), why);
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(Kind::Configuration, error.to_string())
            .hint("correct `key` in the section [signing], or make the key with `salesync keygen`"),
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
            "if nobody can have read it: chmod 600 {}; else make a new one with `salesync keygen`",
            path.display()
        )));
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        let why = format!("it belongs to user {}, and salesync runs as user {user}", metadata.uid());
        return Err(wrong(Kind::Permission, why).hint("give it to the user that runs salesync"));
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or_default()));
    let unreadable = "it is no Ed25519 private key in PKCS#8 PEM form";
    let hint = "put the right file there, or make a key with `salesync keygen`";
    match file.take(LONGEST).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(wrong(Kind::Configuration, unreadable.to_owned()).hint(hint))
        }
        Err(error) => Err(failed(&error)),
        Ok(_) => SigningKey::from_pem(&text)
            .map_err(|error| wrong(Kind::Configuration, error.to_string()).hint(hint)),
    }
}

/// Writes the key to a new file, and never over another.
pub(super) fn write_key(path: &Path, key: &SigningKey) -> Result<(), Failure> {
    let instead = "`salesync keygen --public FILE` prints its public key; for another key name another file";
    write_new("the private key", path, key.to_pem()?.as_bytes(), Readers::Owner, instead)
}
