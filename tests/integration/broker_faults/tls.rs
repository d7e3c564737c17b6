//! A broker with TLS, and certificates that are to be trusted or not.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use salesync::sandbox::free_port;

use super::{
    TROUBLED, assert_goes_on, assert_told, at_branch, at_head_office, company_at, pending, troubled,
};
use crate::company::{Company, Node, Run};
use crate::running::Running;

/// The broker's certificate for `localhost`, and the authority that vouches for it.
pub(super) struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    pub(super) port: u16,
}

impl Certificates {
    pub(super) fn made_in(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, folder.to_str().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Self {
            authority: write("authority.pem", authority.pem()),
            certificate: write("broker.pem", certificate.pem()),
            key: write("broker.key", key.serialize_pem()),
            port: free_port().unwrap(),
        }
    }

    /// Lines of `rabbitmq.conf` that open the TLS port.
    pub(super) fn settings(&self) -> String {
        format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
            self.port,
            self.authority.display(),
            self.certificate.display(),
            self.key.display(),
        )
    }
}

/// Runs the program, trusting the authority in this file only.
fn run_trusting(node: &Node, authority: &Path, command: &str) -> Run {
    Running::of(node.command(&[command]).env("SSL_CERT_FILE", authority)).ends()
}

fn assert_both_told(fault: &str, company: &Company, url: &str, authority: &Path) {
    at_branch(company, url);
    at_head_office(company, url);
    assert_told(fault, "bundle", run_trusting(company.branch(), authority, "bundle"));
    assert_told(fault, "apply", run_trusting(&company.head_office, authority, "apply"));
    assert_eq!(pending(company), "1");
}

#[test]
fn only_the_right_certificate_of_a_trusted_authority_is_taken() {
    let server = troubled();
    let ours = &TROUBLED.certificates;
    let company = company_at(&server.url("tls"));
    company.branch().sell("Paper");
    let url = |host: &str| format!("amqps://salesync:sandbox@{host}:{}/tls", ours.port);
    let folder = tempfile::tempdir().unwrap();
    let another = Certificates::made_in(folder.path()).authority;
    assert_both_told("a certificate of an unknown authority", &company, &url("localhost"), &another);
    assert_both_told("a certificate for another host", &company, &url("127.0.0.1"), &ours.authority);

    at_branch(&company, &url("localhost"));
    at_head_office(&company, &url("localhost"));
    run_trusting(company.branch(), &ours.authority, "bundle").ok();
    run_trusting(&company.head_office, &ours.authority, "apply").ok();
    company.assert_equal("public.sales");
    assert_goes_on(&company);
}
