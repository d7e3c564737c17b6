//! What a client believes, put into rustls' terms.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::failure::Settings;
use super::files::{Identity, read_certificates};
use crate::domain::{Failure, Kind};

/// The files of a connection, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The only authorities that are believed; `None` for those of the system, or of `SSL_CERT_FILE`.
    pub authority: Option<PathBuf>,
    /// As whom to come, where the server wants to know.
    pub identity: Option<Identity>,
}

impl TlsFiles {
    /// The same, with relative paths meant from this folder.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        let identity = self.identity.map(|identity| Identity {
            certificate: folder.join(identity.certificate),
            key: folder.join(identity.key),
        });
        Self { authority: self.authority.map(|path| folder.join(path)), identity }
    }
}

/// How much of the server's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: whoever answers is believed.
    Nothing,
    /// An authority that is believed has signed it, for whomever.
    Authority,
    /// The same, for the host that is spoken to.
    Name,
}

/// A client that believes what these files say. `settings` are the names under which they are configured.
pub fn client_config(
    files: &TlsFiles,
    verification: Verification,
    settings: &Settings,
) -> Result<ClientConfig, Failure> {
    let wrong = |error| Failure::new(Kind::Configuration, "preparing TLS", error);
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(wrong)?;
    let builder = match verification {
        Verification::Name => builder.with_root_certificates(authorities(files, settings)?),
        Verification::Authority => {
            let roots = Arc::new(authorities(files, settings)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            let chain = verifier
                .map_err(|error| Failure::new(Kind::Configuration, "preparing TLS", error))
                .map(Some)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName { chain, provider }))
        }
        Verification::Nothing => {
            let verifier = AnyName { chain: None, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let Some(identity) = &files.identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = identity.read(settings.identity)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        let doing = format!("using the certificate {}", identity.certificate.display());
        Failure::new(Kind::Configuration, doing, error).hint(format!(
            "{}: the certificate's file has one's own first, the other its private key",
            settings.identity
        ))
    })
}

fn authorities(files: &TlsFiles, settings: &Settings) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    let Some(path) = &files.authority else {
        // A system's collection may hold what cannot be read; a server whose authority is missing is refused.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    for certificate in read_certificates(path, settings.authority)? {
        store.add(certificate).map_err(|error| {
            let doing = format!("using the authority's certificate {}", path.display());
            Failure::new(Kind::Configuration, doing, error).hint(format!("correct {}", settings.authority))
        })?;
    }
    Ok(store)
}

/// Leaves the name alone: checks the chain if there is one to check, and that the server has the certificate's key.
#[derive(Debug)]
struct AnyName {
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name comes last: all else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
