//! PostgreSQL over TLS: a server that takes nothing else, and the parameters of libpq's URLs.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postgres::{Client, NoTls};
use salesync::sandbox::{PostgresServer, Sandbox, wait_until};
use tempfile::TempDir;

use crate::certificates::{Authority, Certified};
use crate::company::{Company, Node, Run, SALES};
use crate::running::Running;
use crate::servers::{fresh_database, fresh_sandbox};

/// The password of the role `scram`.
pub const PASSWORD: &str = "dbSecret+Quokka/7@";
/// The same in a URL.
pub const ENCODED: &str = "dbSecret%2BQuokka%2F7%40";

/// `certified` needs a certificate, `scram` a password and TLS, `plain` a password and no TLS; the superuser is ours.
const RULES: &str = "
    hostnossl all salesync  127.0.0.1/32 trust
    hostssl   all certified 127.0.0.1/32 trust clientcert=verify-full
    hostssl   all scram     127.0.0.1/32 scram-sha-256
    hostnossl all plain     127.0.0.1/32 scram-sha-256
";

/// A server with TLS that shows a certificate for `localhost`. Its log has every statement.
pub struct Encrypted {
    server: PostgresServer,
    admin: Client,
    authority: Authority,
    pub authority_file: PathBuf,
    _sandbox: Sandbox,
}

static ENCRYPTED: LazyLock<Mutex<Encrypted>> = LazyLock::new(|| Mutex::new(Encrypted::start()));

/// The server; whoever has it may change its certificate.
pub fn encrypted() -> MutexGuard<'static, Encrypted> {
    ENCRYPTED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Encrypted {
    fn start() -> Self {
        let sandbox = fresh_sandbox();
        let settings = ["password_encryption=scram-sha-256", "log_statement=all", "log_connections=on"];
        let server = PostgresServer::start_with(&sandbox, "encrypted", &settings).unwrap();
        let mut admin = Client::connect(&server.url("postgres"), NoTls).unwrap();
        for role in ["scram", "plain", "certified"] {
            admin.batch_execute(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")).unwrap();
        }
        admin.batch_execute("GRANT scram TO plain, certified").unwrap();
        let authority = Authority::called("the database's authority");
        let authority_file = authority.write(sandbox.path().join("authority.pem"));
        let mut encrypted = Self { server, admin, authority, authority_file, _sandbox: sandbox };
        let data = encrypted.server.data_folder();
        encrypted.authority.write(data.join("root.crt"));
        fs::write(data.join("pg_hba.conf"), RULES).unwrap();
        for setting in ["ssl = on", "ssl_ca_file = 'root.crt'"] {
            encrypted.admin.batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
        }
        encrypted.present(&encrypted.authority.server("localhost"));
        encrypted
    }

    /// From now on the server shows this certificate; it may take it a moment.
    fn present(&mut self, certified: &Certified) {
        let data = self.server.data_folder();
        let owner = fs::metadata(&data).unwrap();
        for (name, text) in [("server.crt", &certified.certificate), ("server.key", &certified.key)] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.admin.batch_execute("SELECT pg_reload_conf()").unwrap();
    }

    /// The URL of a new database, for the role `scram` with its password, and these parameters.
    pub fn fresh_database(&mut self, name: &str) -> String {
        self.admin.batch_execute(&format!("CREATE DATABASE {name} OWNER scram")).unwrap();
        self.url("scram", "localhost", name)
    }

    fn url(&self, role: &str, host: &str, database: &str) -> String {
        format!("postgres://{role}:{ENCODED}@{host}:{}/{database}", self.server.port())
    }

    /// What makes the server's certificate right.
    pub fn verified(&self) -> String {
        format!("?sslmode=verify-full&sslrootcert={}", self.authority_file.display())
    }

    /// A connection of the superuser to this database.
    pub fn superuser(&self, database: &str) -> Client {
        Client::connect(&self.server.url(database), NoTls).unwrap()
    }

    /// What the server has written down so far.
    pub fn log(&self) -> Vec<u8> {
        fs::read(self.server.data_folder().parent().unwrap().join("postgres.log")).unwrap()
    }
}

/// A branch, without a broker, and the files that it needs.
struct Branch {
    company: Company,
    folder: TempDir,
}

impl Branch {
    fn at(url: &str) -> Self {
        let nowhere = "amqp://nobody:nothing@127.0.0.1:1/none".to_owned();
        // Head office, the first that is made, has nothing to do here.
        let is_made = Cell::new(false);
        let databases = || if is_made.replace(true) { url } else { "postgres://salesync@127.0.0.1:1/none" };
        let company = Company::on(nowhere, || databases().to_owned(), &["east"], SALES);
        Self { company, folder: tempfile::tempdir().unwrap() }
    }

    fn node(&mut self, url: String) -> &Node {
        let broker = self.company.broker_url.clone();
        let node = &mut self.company.branches[0];
        node.database_url = url;
        node.configure("role = \"branch\"", &broker, SALES);
        node
    }

    /// Asks for its status over this URL.
    fn status(&mut self, url: String) -> Run {
        self.node(url).run(&["status"])
    }
}

#[test]
fn postgresql_is_spoken_to_over_tls_as_libpq_means_it() {
    let mut server = encrypted();
    let url = server.fresh_database("tls");
    let ca = server.verified();
    // The server has read its certificate when the first connection has come about.
    let mut east = Branch::at(&format!("{url}{ca}&channel_binding=require"));
    wait_until(Duration::from_secs(30), "a first connection over TLS", || {
        Ok((east.company.branch().run(&["init", "--with-sales"]).stderr().is_empty()).then_some(()))
    })
    .unwrap();

    let authority = server.authority_file.display().to_string();
    let stranger = Authority::called("a stranger");
    let another = stranger.write(east.folder.path().join("stranger.pem")).display().to_string();
    for right in [
        format!("{ca}&channel_binding=require"),
        format!("?sslmode=verify-ca&sslrootcert={authority}"),
        format!("?sslmode=require&sslrootcert={authority}"),
        "?sslmode=require".to_owned(),
        "?sslmode=prefer".to_owned(),
        String::new(),
    ] {
        east.status(format!("{url}{right}")).ok();
    }
    for (wrong, status, words) in [
        ("?sslmode=disable", 77, ["no encryption", "sslmode=verify-full"]),
        ("?sslmode=verify-full", 78, ["not signed by an authority", "sslrootcert in database.url"]),
        (&*format!("?sslmode=verify-full&sslrootcert={another}"), 78, ["not signed by", "sslrootcert"]),
        (&*format!("?sslmode=require&sslrootcert={another}"), 78, ["not signed by", "sslrootcert"]),
        (
            "?sslmode=verify-full&sslrootcert=/none.pem",
            78,
            ["reading the certificate /none.pem", "sslrootcert"],
        ),
    ] {
        east.status(format!("{url}{wrong}")).exits(status).says(&words).says(&["hint: "]);
    }
    let node = east.node(format!("{url}?sslmode=verify-full"));
    Running::of(node.command(&["status"]).env("SSL_CERT_FILE", &authority)).ends().ok();
    let by_number = server.url("scram", "127.0.0.1", "tls");
    let words = ["the server's certificate is for localhost, not for 127.0.0.1", "name the host"];
    east.status(format!("{by_number}{ca}")).exits(78).says(&words);
    east.status(format!("{by_number}?sslmode=verify-ca&sslrootcert={authority}")).ok();
    // As libpq: where TLS is only preferred, it is done without.
    let plain = server.url("plain", "localhost", "tls");
    east.status(plain.clone()).ok();
    east.status(format!("{plain}?sslmode=require")).exits(77).says(&["pg_hba.conf"]);
    let words = ["channel binding", "PGPASSWORD"];
    east.status(format!("{plain}?sslmode=disable&channel_binding=require")).exits(77).says(&words);
    east.status(plain.replace(&format!(":{ENCODED}"), ""))
        .exits(77)
        .says(&["password missing", "PGPASSWORD"]);

    let expired = server.authority.expired_server("localhost");
    server.present(&expired);
    wait_until(Duration::from_secs(30), "the expired certificate to be refused", || {
        Ok(east.status(format!("{url}{ca}")).stderr().contains("expired").then_some(()))
    })
    .unwrap();
    let words = ["the server's certificate has expired on 2026-01-01T00:00:00Z", "clock"];
    east.status(format!("{url}{ca}")).exits(78).says(&words);
    east.status(format!("{url}?sslmode=require")).ok();
    let itself = server.authority.itself();
    server.present(&itself);
    wait_until(Duration::from_secs(30), "the authority's own certificate to be refused", || {
        Ok(east.status(format!("{url}{ca}")).stderr().contains("an authority's own").then_some(()))
    })
    .unwrap();
    east.status(format!("{url}{ca}")).exits(78).says(&["CA:TRUE", "hint: "]);
    let renewed = server.authority.server("localhost");
    server.present(&renewed);
    wait_until(Duration::from_secs(30), "the new certificate to be taken", || {
        Ok(east.status(format!("{url}{ca}")).stderr().is_empty().then_some(()))
    })
    .unwrap();
}

#[test]
fn a_server_that_wants_a_client_certificate_gets_it() {
    let mut server = encrypted();
    let url = server.fresh_database("certified");
    let ca = server.verified();
    let mut east = Branch::at(&format!("{url}{ca}"));
    wait_until(Duration::from_secs(30), "a first connection over TLS", || {
        Ok((east.company.branch().run(&["init", "--with-sales"]).stderr().is_empty()).then_some(()))
    })
    .unwrap();
    let folder = east.folder.path().to_owned();
    let certified = server.url("certified", "localhost", "certified").replace(&format!(":{ENCODED}"), "");
    let with = |certified_by: &Authority, name: &str| {
        let [certificate, key] = certified_by.client(name).write(&folder, name);
        format!("{certified}{ca}&sslcert={}&sslkey={}", certificate.display(), key.display())
    };
    let words = ["client certificate", "sslcert and sslkey"];
    east.status(format!("{certified}{ca}")).exits(77).says(&words);
    east.status(with(&server.authority, "somebody")).exits(77).says(&["hint: "]);
    let stranger = Authority::called("a stranger");
    let words = ["the server does not take the client certificate (UnknownCA)", "sslcert and sslkey"];
    east.status(with(&stranger, "certified")).exits(77).says(&words);
    let right = with(&server.authority, "certified");
    east.status(right.clone()).ok();
    let checked = east.node(right.clone()).run(&["doctor"]).stdout();
    for what in ["the certificate for the database", "the database's authority"] {
        assert!(checked.contains(what) && checked.contains("is valid until"), "{checked}");
    }
    fs::set_permissions(folder.join("certified.key"), Permissions::from_mode(0o644)).unwrap();
    east.status(right.clone()).exits(77).says(&["others than its owner may use it (mode 0644)", "chmod 600"]);
    fs::set_permissions(folder.join("certified.key"), Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.join("certified.key"), "-----BEGIN s3cret\n").unwrap();
    let run = east.status(right).exits(78).says(&["reading the private key", "PEM"]);
    assert!(!run.stderr().contains("s3cret"), "{}", run.stderr());
}

#[test]
fn a_server_without_tls_and_a_line_without_secrecy_are_refused() {
    let url = fresh_database();
    let mut east = Branch::at(&url);
    east.company.branch().run(&["init", "--with-sales"]).ok();
    for mode in ["require", "verify-full"] {
        let run = east.status(format!("{url}?sslmode={mode}"));
        run.exits(78).says(&["the server does not speak TLS", "ssl = on"]);
    }
    east.status(format!("{url}?sslmode=prefer")).ok();
    let far = "postgres://salesync@192.0.2.1:5432/sales";
    let words = ["might cross the network unencrypted", "sslmode=verify-full", "allow_plaintext"];
    east.status(far.to_owned()).exits(78).says(&words);
    east.status(format!("{far}?sslmode=prefer")).exits(78).says(&words);
}
