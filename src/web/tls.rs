//! The page's own certificate.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::domain::{Failure, Kind};
use crate::tls::{read_certificates, read_private_key};

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
        let chain = read_certificates(&self.chain, "serve.tls_certificate")?;
        let key = read_private_key(&self.key, "serve.tls_key")?;
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
