//! Certificates and private keys, in PEM.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::{Error, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::domain::{Failure, Kind};

/// As whom to come: a certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain: one's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Identity {
    /// Both. A key that others may read proves nothing, and is refused; `setting` is where it is configured.
    pub(super) fn read(
        &self,
        setting: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Failure> {
        let chain = read_certificates(&self.certificate, setting)?;
        refuse_open_key(&self.key)?;
        Ok((chain, read_private_key(&self.key, setting)?))
    }
}

/// The certificates in this file, one at least. `setting` is where the file is configured.
pub fn read_certificates(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(unread("reading the certificate", path, Error::NoItemsFound, setting)),
        Err(error) => Err(unread("reading the certificate", path, error, setting)),
    }
}

/// The private key in this file. `setting` is where it is configured.
pub fn read_private_key(path: &Path, setting: &str) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| unread("reading the private key", path, error, setting))
}

/// What is in the file is not told: it may be a key.
fn unread(doing: &str, path: &Path, error: Error, setting: &str) -> Failure {
    match error {
        Error::Io(error) => {
            let failure = Failure::file(doing, path, &error);
            if failure.kind() == Kind::Permission {
                return failure;
            }
            failure.as_kind(Kind::Configuration).hint(format!("correct {setting}"))
        }
        _ => Failure::new(
            Kind::Configuration,
            format!("{doing} {}", path.display()),
            "there is none in PEM form, or none that can be read without a password",
        )
        .hint(format!("{setting}: it must be a PEM file, with BEGIN and END lines, and a key not encrypted")),
    }
}

/// As libpq wants it: the owner's alone, or root's and readable by a group.
fn refuse_open_key(path: &Path) -> Result<(), Failure> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden == 0 {
        return Ok(());
    }
    let why = format!("others than its owner may use it (mode {mode:04o})");
    let doing = format!("reading the private key {}", path.display());
    Err(Failure::new(Kind::Permission, doing, why).hint(format!("chmod 600 {}", path.display())))
}
