//! An authority's certificates on their way from one node to another: these, and nothing else that may stand beside them.

use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::{LineEnding, encode_string};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::files::read_certificates;
use crate::domain::{Failure, Kind};

/// How a certificate begins in a PEM file.
pub const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// The certificates in this file, in PEM. A private key that may be in it as well stays where it is. `setting` is where the
/// file is configured.
pub fn export_authority(path: &Path, setting: &str) -> Result<String, Failure> {
    let doing = format!("handing on the authority's certificate {}", path.display());
    let chain = read_certificates(path, setting)?;
    written(&chain)
        .map_err(|why| Failure::new(Kind::Configuration, doing, why).hint(format!("correct {setting}")))
}

/// The same of a text from elsewhere, which has to be just this, to the last line.
pub fn check_authority(text: &str) -> Result<String, Failure> {
    let wrong = |why: String| {
        Failure::new(Kind::Configuration, "reading the authority's certificate", why).hint(
            "it must be the certificates of authorities in PEM form, as `enroll` writes them, and nothing else",
        )
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|_| wrong("it is not in PEM form".to_owned()))?;
    let written = written(&chain).map_err(wrong)?;
    let is_the_same = text.trim_end().lines().map(str::trim_end).eq(written.lines());
    if is_the_same {
        Ok(written)
    } else {
        Err(wrong("there is something else beside the certificates".to_owned()))
    }
}

fn written(chain: &[CertificateDer<'_>]) -> Result<String, String> {
    let mut store = RootCertStore::empty();
    let mut text = String::new();
    for certificate in chain {
        store.add(certificate.clone()).map_err(|error| error.to_string())?;
        text +=
            &encode_string("CERTIFICATE", LineEnding::LF, certificate).map_err(|error| error.to_string())?;
    }
    Ok(text)
}
