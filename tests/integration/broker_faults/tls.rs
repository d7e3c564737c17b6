//! A broker that speaks TLS and wants to know who comes, with certificates that are to be trusted or not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use salesync::sandbox::{BrokerServer, free_port};

use super::{
    ROLE, TROUBLED, assert_goes_on, assert_told, at_branch, at_head_office, company_at, pending, troubled,
};
use crate::certificates::{Authority, Certified};
use crate::company::{Company, Node, Run};
use crate::documents::text_of;
use crate::enrolled::public_key;
use crate::running::Running;
use crate::servers::fresh_database;

/// The broker's certificate for `localhost`, and the authority that vouches for it and for its clients.
pub(super) struct Certificates {
    authority: Authority,
    folder: PathBuf,
    pub(super) port: u16,
}

impl Certificates {
    pub(super) fn made_in(folder: &Path) -> Self {
        let authority = Authority::called("the broker's authority");
        authority.write(folder.join("authority.pem"));
        let ours = Self { authority, folder: folder.to_owned(), port: free_port().unwrap() };
        ours.present(&ours.authority.server("localhost"));
        ours
    }

    /// Lines of `rabbitmq.conf` that open the TLS port.
    pub(super) fn settings(&self) -> String {
        let file = |name| self.folder.join(name).display().to_string();
        format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n\
             auth_mechanisms.1 = PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n",
            self.port,
            file("authority.pem"),
            file("broker.pem"),
            file("broker.key"),
        )
    }

    fn present(&self, certified: &Certified) {
        // The broker runs under another account where the tests are run by root.
        for (name, text) in [("broker.pem", &certified.certificate), ("broker.key", &certified.key)] {
            fs::write(self.folder.join(name), text).unwrap();
        }
    }

    /// From now on the broker shows this certificate.
    fn change(&self, server: &BrokerServer, certified: &Certified) {
        self.present(certified);
        server.control(&["eval", "ssl:clear_pem_cache()."]).unwrap();
    }
}

/// Whom a node believes, and as whom it comes.
struct Trust {
    authority: Option<PathBuf>,
    identity: Option<[PathBuf; 2]>,
}

impl Trust {
    /// What it says in the section about the broker.
    fn configure(&self, node: &Node) {
        let line = |key: &str, path: &PathBuf| format!("{key} = \"{}\"\n", path.display());
        let mut lines = self.authority.as_ref().map(|path| line("ca_file", path)).unwrap_or_default();
        if let Some([certificate, key]) = &self.identity {
            lines.push_str(&line("client_certificate", certificate));
            lines.push_str(&line("client_key", key));
        }
        let path = node.folder.join("salesync.toml");
        let text = fs::read_to_string(&path).unwrap().replace("[broker]\n", &format!("[broker]\n{lines}"));
        fs::write(path, text).unwrap();
    }
}

fn assert_both_told(fault: &str, company: &Company, url: &str, trust: &Trust) {
    at_branch(company, url);
    at_head_office(company, url);
    for (node, command) in [(company.branch(), "bundle"), (&company.head_office, "apply")] {
        trust.configure(node);
        assert_told(fault, command, Running::start(node, &[command]).ends());
    }
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
    let stranger = Authority::called("a stranger");
    let authority = Some(ours.folder.join("authority.pem"));
    let identity = Some(ours.authority.client("east").write(folder.path(), "east"));
    let right = Trust { authority: authority.clone(), identity: identity.clone() };

    let another = Some(stranger.write(folder.path().join("stranger.pem")));
    let believes_another = Trust { authority: another, identity: identity.clone() };
    assert_both_told("a certificate of an unknown authority", &company, &url("localhost"), &believes_another);
    assert_both_told("a certificate for another host", &company, &url("127.0.0.1"), &right);
    ours.change(&server, &ours.authority.expired_server("localhost"));
    assert_both_told("a certificate that has expired", &company, &url("localhost"), &right);
    ours.change(&server, &ours.authority.server("localhost"));
    let nobody = Trust { authority: authority.clone(), identity: None };
    assert_both_told("the broker wants a client certificate", &company, &url("localhost"), &nobody);
    let forged = Some(stranger.client("east").write(folder.path(), "forged"));
    let forged = Trust { authority, identity: forged };
    assert_both_told("the broker does not take the client certificate", &company, &url("localhost"), &forged);

    at_branch(&company, &url("localhost"));
    right.configure(company.branch());
    company.branch().run(&["bundle"]).ok();
    // Without `ca_file` it is the system's authorities that count, or those of this file.
    at_head_office(&company, &url("localhost"));
    Trust { authority: None, identity }.configure(&company.head_office);
    let system = company.head_office.run(&["apply"]).exits(78);
    system.says(&["not signed by an authority", "ca_file in [broker]"]);
    run_trusting(&company.head_office, &ours.folder.join("authority.pem"), "apply").ok();
    company.assert_equal("public.sales");
    assert_goes_on(&company);
    assert_the_recipe_is_right(&company, &server);
    assert_branch_is_given_the_authority(&company, &server);
}

/// What `docs/security.md` tells everybody to do makes certificates that are taken, on both sides.
fn assert_the_recipe_is_right(company: &Company, server: &BrokerServer) {
    let (text, ours) = (text_of("docs/security.md"), &TROUBLED.certificates);
    let (_, recipe) = text.split_once("### Certificates of your own").unwrap();
    let recipe = recipe.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = recipe.replace("broker.example", "localhost");
    let made = Command::new("bash").args(["-ec", &script]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name: &str| folder.path().join(name);
    let read = |name: &str| fs::read_to_string(file(name)).unwrap();
    let before = fs::read_to_string(ours.folder.join("authority.pem")).unwrap();
    fs::write(ours.folder.join("authority.pem"), read("ca.pem")).unwrap();
    ours.change(server, &Certified { certificate: read("localhost.pem"), key: read("localhost.key") });
    let by_recipe =
        Trust { authority: Some(file("ca.pem")), identity: Some([file("east.pem"), file("east.key")]) };
    at_branch(company, &format!("amqps://salesync:sandbox@localhost:{}/tls", ours.port));
    by_recipe.configure(company.branch());
    company.branch().sell("Tape");
    company.branch().run(&["bundle"]).ok();
    fs::write(ours.folder.join("authority.pem"), before).unwrap();
    ours.change(server, &ours.authority.server("localhost"));
    assert_goes_on(company);
}

/// A branch that knows nothing is enrolled: by what is in its file it believes the broker, and head office can read what
/// it seals.
fn assert_branch_is_given_the_authority(company: &Company, server: &BrokerServer) {
    let (head, ours) = (&company.head_office, &TROUBLED.certificates);
    let url = format!("amqps://salesync:sandbox@localhost:{}/tls", ours.port);
    // As some keep them: the authority's private key stands before its certificate.
    let Certified { certificate, key } = ours.authority.itself();
    fs::write(head.folder.join("both.pem"), format!("{key}{certificate}")).unwrap();
    let identity = Some(ours.authority.client("head").write(&head.folder, "client"));
    let recipient = head.run(&["keygen", "--encryption", "--out", "old.age"]).ok().stdout();
    let newest = head.run(&["keygen", "--encryption", "--out", "new.age"]).ok().stdout();
    let keys = ["old.age", "new.age"].map(|file| fs::read_to_string(head.folder.join(file)).unwrap());
    fs::write(head.folder.join("old.age"), keys.concat()).unwrap();
    let sections =
        "[branches.east]\n[signing]\nkey = \"signing.key\"\n[encryption]\nidentity = \"old.age\"\n";
    head.configure(ROLE[1], &url, sections);
    Trust { authority: Some("both.pem".into()), identity }.configure(head);
    head.run(&["keygen"]).ok();
    let report = head.run(&["enroll", "tls-north", "--out", "north.toml", "--json"]).ok().json();
    assert_eq!(report["recipient"], newest.trim());
    assert!(report["authority"].as_str().unwrap().ends_with("both.pem"), "{report}");
    assert!(report["note"].as_str().unwrap().contains("`client_certificate` and `client_key`"), "{report}");
    let offered = fs::read_to_string(head.folder.join("north.toml")).unwrap();
    assert!(offered.ends_with(&certificate) && !offered.contains("PRIVATE"), "{offered}");
    assert!(!offered.contains(recipient.trim()), "{offered}");
    let definitions = head.folder.join("north.broker.json");
    let copy = TROUBLED.sandbox.path().join("north.broker.json");
    fs::copy(definitions, &copy).unwrap();
    server.control(&["import_definitions", copy.to_str().unwrap()]).unwrap();

    let folder = head.folder.with_file_name("tls-north");
    fs::create_dir(&folder).unwrap();
    let north = Node { name: "tls-north".to_owned(), folder, database_url: fresh_database() };
    ours.authority.client("north").write(&north.folder, "client");
    let own = "[broker]\nclient_certificate = \"client.pem\"\nclient_key = \"client.key\"\n";
    fs::write(north.folder.join("north.toml"), offered.replace("[broker]\n", own)).unwrap();
    // A file that is there is not overwritten, and nothing else is written then.
    let authority = north.folder.join("broker-ca.pem");
    fs::write(&authority, "another").unwrap();
    let join = ["join", "north.toml", "--database", &north.database_url, "--with-sales", "--wait", "0s"];
    let told = north.run(&join).exits(1).stdout();
    assert!(told.contains("broker-ca.pem: there is a file already"), "{told}");
    assert!(!north.folder.join("salesync.toml").exists());
    fs::remove_file(&authority).unwrap();
    let told = north.run(&join).exits(75).stdout();
    assert!(told.contains("broker: logged in as tls-north"), "{told}");
    assert_eq!(fs::read_to_string(&authority).unwrap(), certificate);
    assert_eq!(fs::metadata(&authority).unwrap().permissions().mode() & 0o777, 0o644);
    let configured = fs::read_to_string(north.folder.join("salesync.toml")).unwrap();
    assert!(
        !configured.contains("BEGIN") && configured.contains("ca_file = \"broker-ca.pem\""),
        "{configured}"
    );

    // It seals for head office, without a word about encryption from anybody at the branch.
    north.sell("Ink");
    north.run(&["bundle"]).ok();
    let key = public_key(&north).to_string();
    head.run(&["enroll", "tls-north", "--confirm", &key]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales WHERE branch = 'tls-north'"), "1");
    assert!(fs::read(&north.bundles()[0]).unwrap().starts_with(b"age-encryption.org/v1"));

    // Without a password its certificate is the login.
    let (_, login) = configured.split_once("amqps://tls-north:").unwrap();
    let password = login.split_once('@').unwrap().0;
    fs::write(north.folder.join("salesync.toml"), configured.replace(&format!(":{password}@"), "@")).unwrap();
    north.sell("Pens");
    assert_told("no password, and a certificate for another user", "bundle", north.run(&["bundle"]));
    ours.authority.client("tls-north").write(&north.folder, "client");
    let allow = |ways: &str| {
        server.control(&["eval", &format!("application:set_env(rabbit, auth_mechanisms, [{ways}]).")])
    };
    allow("'PLAIN'").unwrap();
    let fault = "no password, and a broker that takes no certificate for one";
    assert_told(fault, "bundle", north.run(&["bundle"]));
    allow("'PLAIN', 'EXTERNAL'").unwrap();
    north.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT count(*) FROM public.sales WHERE branch = 'tls-north'"), "2");
}

/// Runs the program, with the authority in this file as the system's only one.
fn run_trusting(node: &Node, authority: &Path, command: &str) -> Run {
    Running::of(node.command(&[command]).env("SSL_CERT_FILE", authority)).ends()
}
