//! The page's own certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::domain::{Failure, Kind};

/// Where a certificate and its key are, in PEM.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The chain: the page's own first.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificate {
    /// What makes connections secret.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, Failure> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&self.chain).and_then(Iterator::collect);
        let chain = chain.map_err(|error| unread(&self.chain, error))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unread(&self.key, error))?;
        let wrong = |error| {
            let doing = format!("using the certificate {}", self.chain.display());
            Failure::new(Kind::Configuration, doing, error)
                .hint("serve.tls_certificate names the chain, the page's own certificate first; serve.tls_key its key")
        };
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
        Ok(TlsAcceptor::from(Arc::new(config.map_err(wrong)?)))
    }
}

fn unread(path: &Path, error: Error) -> Failure {
    let doing = "reading the certificate";
    match error {
        Error::Io(error) => {
            let failure = Failure::file(doing, path, &error);
            if failure.kind() == Kind::Permission {
                return failure;
            }
            failure.as_kind(Kind::Configuration).hint("correct serve.tls_certificate and serve.tls_key")
        }
        error => Failure::new(Kind::Configuration, format!("{doing} {}", path.display()), error)
            .hint("it must be a PEM file, as every authority hands it out"),
    }
}
