//! Where the page listens, and where it refuses to.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};

use super::login::users;
use crate::company::{Company, DELETES_ANYTHING, Node};
use crate::running::Running;

/// Configures this section, and starts the page with these arguments: it refuses, and says so.
fn refuses(company: &Company, sections: &str, arguments: &[&str], words: &[&str]) {
    let head = &company.head_office;
    head.configure("role = \"head-office\"", &company.broker_url, &format!("{DELETES_ANYTHING}{sections}"));
    let run = head.run(&[&["serve"], arguments].concat()).exits(78).says(words).says(&["hint: "]);
    assert_eq!(run.stdout(), "", "it listened");
}

#[test]
fn the_page_is_not_opened_to_others_without_users_and_a_secret_way() {
    let company = Company::of_sales(&["east"]);
    let everywhere = ["--listen", "0.0.0.0:0"];
    refuses(&company, "", &everywhere, &["nobody would have to log in", "[[serve.users]]"]);
    refuses(&company, "", &["--listen", "[::]:0"], &["nobody would have to log in"]);
    let users = users(&company.head_office, "");
    let users = users.strip_prefix(DELETES_ANYTHING).unwrap();
    refuses(&company, users, &everywhere, &["passwords would cross the network", "serve.tls_certificate"]);
    let proxy = "[serve]\nbehind_proxy = true\nhosts = [\"sales.example\"]\n";
    refuses(&company, proxy, &["--listen", "127.0.0.1:0"], &["a proxy brings people from elsewhere"]);
    let nameless = users.replace("[serve]\n", "[serve]\nbehind_proxy = true\n");
    refuses(&company, &nameless, &["--listen", "127.0.0.1:0"], &["by which name", "serve.hosts"]);
}

#[test]
fn a_section_that_makes_no_sense_is_told_as_such_and_no_password_is_repeated() {
    let company = Company::of_sales(&["east"]);
    let here = ["--listen", "127.0.0.1:0"];
    let user = |password: &str| {
        format!("[[serve.users]]\nname = \"anna\"\nrole = \"view\"\npassword = \"{password}\"\n")
    };
    refuses(
        &company,
        &user("open sesame"),
        &here,
        &["password of \"anna\"", "not hashed", "salesync hash-password"],
    );
    let said = company.head_office.run(&["serve"]).stderr();
    assert!(!said.contains("open sesame"), "{said}");
    let right = company.head_office.run_with(&["hash-password"], b"long enough").stdout();
    refuses(&company, &user(right.trim_end()).repeat(2), &here, &["two users are called \"anna\""]);
    let nameless = user(right.trim_end()).replace("anna", "an:na");
    refuses(&company, &nameless, &here, &["no colon"]);
    refuses(&company, "[serve]\ntls_key = \"x\"\n", &here, &["belong together"]);
    refuses(&company, "[serve]\nhosts = [\"https://sales.example\"]\n", &here, &["no name of a machine"]);
    let missing = "[serve]\ntls_key = \"gone.key\"\ntls_certificate = \"gone.crt\"\n";
    refuses(&company, missing, &here, &["reading the certificate", "gone.crt"]);
    fs::write(company.head_office.folder.join("gone.crt"), "no certificate").unwrap();
    fs::write(company.head_office.folder.join("gone.key"), "no key").unwrap();
    refuses(&company, missing, &here, &["gone."]);
}

#[test]
fn an_address_that_is_taken_or_not_ours_is_told_as_such() {
    let company = Company::of_sales(&["east"]);
    let running = Running::start(&company.head_office, &["serve", "--listen", "127.0.0.1:0"]);
    let url = running.has_printed_a_line();
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    refuses(&company, "", &["--listen", host], &["listening on", "another program has this port"]);
}

#[test]
fn a_password_that_would_be_guessed_is_not_hashed() {
    let company = Company::of_sales(&["east"]);
    let node = company.branch();
    node.run_with(&["hash-password"], b"1234567\n").exits(2).says(&["from 8 characters", "hint: "]);
    let [one, other] = [0, 1].map(|_| node.run_with(&["hash-password"], b"long enough\r\n").ok().stdout());
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, other, "without salt");
}

/// A page with a certificate of its own, and a browser that knows who has signed it.
struct Secret {
    _running: Running,
    host: String,
    config: Arc<ClientConfig>,
}

impl Secret {
    fn of(node: &Node, broker_url: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(node.folder.join("page.crt"), cert.pem()).unwrap();
        fs::write(node.folder.join("page.key"), signing_key.serialize_pem()).unwrap();
        let serve = users(node, "tls_certificate = \"page.crt\"\ntls_key = \"page.key\"");
        node.configure("role = \"head-office\"", broker_url, &serve);
        let running = Running::start(node, &["serve", "--listen", "127.0.0.1:0"]);
        let line = running.has_printed_a_line();
        let host = line.strip_prefix("https://").unwrap().trim_end_matches('/').to_owned();
        let mut known = RootCertStore::empty();
        known.add(cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_root_certificates(known).with_no_client_auth());
        Self { _running: running, host, config }
    }

    fn say(&self, words: &str) -> String {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut stream = StreamOwned::new(client, TcpStream::connect(&self.host).unwrap());
        stream.write_all(words.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn with_a_certificate_everything_is_secret_and_nothing_goes_without() {
    let company = Company::of_sales(&["east"]);
    let page = Secret::of(&company.head_office, &company.broker_url);
    let form = "name=anna&password=correct+horse+battery";
    let answer = page.say(&format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len(),
    ));
    assert!(answer.starts_with("HTTP/1.1 303 "), "{answer}");
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(
        cookie.starts_with("__Host-salesync-head=") && cookie.ends_with("; SameSite=Strict; Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let first = page
        .say(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"));
    assert!(first.starts_with("HTTP/1.1 200 ") && first.contains("anna"), "{first}");

    let mut plain = TcpStream::connect(&page.host).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"), "{answer:?}");
}
