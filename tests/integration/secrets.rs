//! No password and no key is anywhere but where it was put: not in what the program prints or says, not in files, tables,
//! pages or the servers' logs, in no form.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64ct::{Base64Unpadded, Encoding as _};
use memchr::memmem;
use postgres::Client;
use walkdir::WalkDir;

use crate::certificates::Authority;
use crate::company::{Company, Node, Run, SALES, SALES_2021};
use crate::database_tls::{ENCODED, Encrypted, PASSWORD, encrypted};
use crate::page::site::Site;
use crate::running::Running;
use crate::servers::{control_broker, fresh_vhost};

const BROKER: &str = "mqSecret+Wombat/7@";
const PAGE: &str = "pageSecret Numbat/7";
const WRONG: &str = "wrongSecret+Bilby/7@";

/// It plays on servers of its own, and takes no configuration.
const ELSEWHERE: [&str; 2] = ["demo", "help"];

/// Everything the program has brought forth so far, piece by piece with where it is from.
#[derive(Default)]
struct Evidence {
    pieces: Vec<(String, Vec<u8>)>,
    commands: BTreeSet<String>,
}

impl Evidence {
    fn add(&mut self, from: impl Into<String>, what: impl Into<Vec<u8>>) {
        self.pieces.push((from.into(), what.into()));
    }

    fn add_run(&mut self, run: &Run) {
        self.add(
            format!("{run:?}").chars().take(200).collect::<String>(),
            [run.stdout(), run.stderr()].concat(),
        );
    }

    /// Runs the command thrice: as it is, with all the talk, and for scripts.
    fn run(&mut self, node: &Node, arguments: &[&str]) {
        self.commands.insert(arguments[0].to_owned());
        for flag in ["--verbose", "-vv", "--json"] {
            let mut command = node.command(&[arguments, &[flag]].concat());
            self.add_run(&Running::of(command.env("RUST_BACKTRACE", "1").env("RUST_LOG", "trace")).ends());
        }
    }

    /// What lies in the node's folder, but not what a person has put there.
    fn add_files(&mut self, node: &Node) {
        for entry in WalkDir::new(&node.folder).into_iter().map(Result::unwrap) {
            let is_ours = entry.path().extension().is_some_and(|end| end == "key" || end == "toml");
            if entry.file_type().is_file() && !is_ours {
                self.add(entry.path().display().to_string(), fs::read(entry.path()).unwrap());
            }
        }
    }

    /// Every row of every table.
    fn add_tables(&mut self, name: &str, client: &mut Client) {
        let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        for table in client.query(tables, &[]).unwrap() {
            let table: String = table.get(0);
            let rows = client.query(&format!("SELECT t::text FROM {table} t"), &[]).unwrap();
            let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            self.add(format!("{name}: {table}"), rows.join("\n"));
        }
    }

    /// None of these is in any of it, in whatever form.
    fn has_none_of(&self, secrets: &[(&str, &str)]) {
        assert!(self.pieces.len() > 200, "only {} pieces", self.pieces.len());
        let mut leaks = Vec::new();
        for (name, secret) in secrets {
            for form in forms(secret) {
                let finder = memmem::Finder::new(&form);
                let found = self.pieces.iter().filter(|(_, piece)| finder.find(piece).is_some());
                leaks.extend(found.map(|(from, _)| format!("{name} as {form} in {from}")));
            }
        }
        assert_eq!(leaks, Vec::<String>::new());
    }
}

/// A secret as it is, in percent encoding, in hexadecimal, and in base64 at each of the three places where it can begin.
fn forms(secret: &str) -> Vec<String> {
    let mut percent = String::new();
    let mut hexadecimal = String::new();
    for byte in secret.bytes() {
        write!(hexadecimal, "{byte:02x}").unwrap();
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            percent.push(byte.into());
        } else {
            write!(percent, "%{byte:02X}").unwrap();
        }
    }
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), hexadecimal, percent];
    for before in 0..3 {
        let text = Base64Unpadded::encode_string(&[&vec![0; before], secret.as_bytes()].concat());
        // Letters that hold nothing but bits of the secret.
        let (from, to) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
        forms.push(text[from..to].to_owned());
    }
    forms
}

#[test]
fn every_form_of_a_secret_is_found() {
    let pair = Base64Unpadded::encode_string(b"anna:dbSecret+Quokka/7@, and more");
    for text in [
        "user=dbSecret+Quokka/7@ host",
        "postgres://u:dbSecret%2BQuokka%2F7%40@h/d",
        "u:dbsecret%2bquokka%2f7%40@h",
        "64625365637265742b51756f6b6b612f3740",
        &pair,
    ] {
        let found = forms("dbSecret+Quokka/7@").iter().filter(|form| text.contains(*form)).count();
        assert_eq!(found, 1, "{text}");
    }
}

/// A branch and a head office with secrets of every kind, at servers that ask for them.
struct Secretive {
    company: Company,
    broker_url: String,
    databases: [String; 2],
}

/// What is added to the configuration of both: a key to sign with, somebody who may see the page.
fn sections(node: &Node) -> String {
    let hash = node.run_with(&["hash-password"], PAGE.as_bytes()).ok().stdout();
    format!(
        "{SALES}[signing]\nkey = \"own.key\"\n[[serve.users]]\nname = \"anna\"\nrole = \"operate\"\npassword = \"{}\"\n",
        hash.trim_end()
    )
}

impl Secretive {
    fn at(server: &mut Encrypted) -> Self {
        let vhost = fresh_vhost();
        control_broker(&["add_user", "secretive", BROKER]);
        let name = vhost.rsplit_once('/').unwrap().1;
        control_broker(&["set_permissions", "-p", name, "secretive", ".*", ".*", ".*"]);
        let encoded = BROKER.replace('+', "%2B").replace('/', "%2F").replace('@', "%40");
        let broker_url = vhost.replace("salesync:sandbox@", &format!("secretive:{encoded}@"));
        let databases = ["secret_head", "secret_east"]
            .map(|name| [server.fresh_database(name), server.verified()].concat());
        let mut company = Company::on(broker_url.clone(), || "-".to_owned(), &["east"], SALES);
        company.head_office.database_url.clone_from(&databases[0]);
        company.branches[0].database_url.clone_from(&databases[1]);
        let secretive = Self { company, broker_url, databases };
        for node in secretive.nodes() {
            node.run(&["keygen", "--out", "own.key"]).ok();
        }
        secretive.configure(&secretive.broker_url);
        secretive
    }

    fn nodes(&self) -> [&Node; 2] {
        [&self.company.head_office, self.company.branch()]
    }

    fn configure(&self, broker_url: &str) {
        let [head, east] = self.nodes();
        let known = format!("[branches.east]\n{}", sections(head).replace(SALES, ""));
        head.configure("role = \"head-office\"", broker_url, &known);
        east.configure("role = \"branch\"", broker_url, &sections(east));
    }

    /// Everything goes well, or as well as it can.
    fn works(&self, evidence: &mut Evidence) {
        let [head, east] = self.nodes();
        fs::write(east.folder.join("sales.csv"), SALES_2021).unwrap();
        fs::write(east.folder.join("bad.csv"), "Date,Region\n2021,x\n").unwrap();
        head.run(&["init"]).ok();
        east.run(&["init", "--with-sales"]).ok();
        east.run(&["import", "sales.csv"]).ok();
        east.run(&["bundle"]).ok();
        head.run(&["apply"]).ok();
        let file = east.bundles()[0].display().to_string();
        let archive = east.folder.join("bundles").display().to_string();
        for arguments in [
            &["init"][..],
            &["import", "sales.csv"],
            &["import", "bad.csv"],
            &["bundle"],
            &["bundle", "--since", "all"],
            &["bundle", "--offline"],
            &["resend", "1"],
            &["sync", "--wait", "1ms"],
            &["status", "--check"],
            &["doctor"],
            &["prune", "--dry-run"],
            &["verify", &archive],
            &["inspect", &file, "--rows"],
            &["keygen"],
            &["keygen", "--public", "own.key"],
            &["replay", &archive, "--into-branch"],
            &["completions", "bash"],
            &["man"],
            &["apply"],
        ] {
            evidence.run(east, arguments);
        }
        for arguments in [
            &["init"][..],
            &["apply"],
            &["apply", &file, "--check"],
            &["apply", "gone.bundle"],
            &["replay", &archive],
            &["request", "east", "--full"],
            &["approve", "east", "1"],
            &["reject", "east", "1", "--reason", "why"],
            &["retry", "east"],
            &["compare"],
            &["status"],
            &["doctor"],
            &["prune"],
            &["bundle"],
            &["enroll", "north", "--out", "north.toml"],
            &["enroll", "east", "--out", "/none/east.toml"],
            &["revoke", "north"],
            &["revoke", "nobody"],
        ] {
            evidence.run(head, arguments);
        }
        let enrolment = head.folder.join("north.toml").display().to_string();
        for arguments in [
            &[
                "join",
                &enrolment,
                "--dir",
                "north",
                "--database",
                "postgres://localhost:1/none",
                "--wait",
                "1ms",
            ][..],
            &["join", "--wait", "1ms"],
            &["leave"],
        ] {
            evidence.run(east, arguments);
        }
        for password in [PAGE, "short"] {
            evidence.commands.insert("hash-password".to_owned());
            let run = head.run_with(&["hash-password", "-vv"], format!("{password}\n").as_bytes());
            evidence.add_run(&run);
        }
    }

    /// The pages of both, somebody who logs in, and somebody who fails to.
    fn serves(&self, evidence: &mut Evidence) -> Vec<String> {
        evidence.commands.insert("serve".to_owned());
        let mut cookies = Vec::new();
        for (node, paths) in self.nodes().into_iter().zip([
            &["/", "/bundles", "/sales", "/sales.csv", "/days", "/incidents", "/metrics", "/healthz"][..],
            &["/", "/sales/new", "/sync", "/bundles", "/metrics", "/healthz", "/nothing"],
        ]) {
            let site = Site::with(node, &["-vv"]);
            for (name, password) in [("anna", WRONG), (WRONG, WRONG), ("anna", PAGE)] {
                let page = site.log_in(name, password);
                // A name that somebody mistypes is shown to them again.
                if name == "anna" {
                    evidence.add("the login", page.text);
                }
            }
            cookies.push(site.cookie().split_once('=').expect("a session").1.to_owned());
            for path in paths {
                evidence.add(format!("{path} of {}", node.name), site.get(path).bytes);
            }
            evidence.add_run(&site.stops());
        }
        cookies
    }

    /// Nothing goes well: one cause after the other.
    fn fails(&self, evidence: &mut Evidence, server: &Encrypted) {
        let [head, east] = self.nodes();
        let wrong = WRONG.replace('+', "%2B").replace('/', "%2F").replace('@', "%40");
        let (database, broker) = (&self.databases[1], &self.broker_url);
        let stranger = Authority::called("a stranger").write(east.folder.join("stranger.pem"));
        let port_of = |url: &str| url.rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned();
        let of_database = port_of(database.split('?').next().unwrap());
        for url in [
            database.replace(ENCODED, &wrong),
            database.replace(&of_database, "1"),
            database.replace(&of_database, "70000"),
            database.replace("localhost", "127.0.0.1"),
            database.replace("verify-full", "disable"),
            database.replace("verify-full", PASSWORD),
            database.replace(&server.authority_file.display().to_string(), &stranger.display().to_string()),
            database.replace(ENCODED, PASSWORD),
            database.replace("localhost", "192.0.2.1").replace("verify-full", "prefer"),
            database.replace('?', &format!("?{ENCODED}=x&")),
            database.replace("secret_east", "gone"),
            database.replace("postgres://", "mysql://"),
            format!("host=localhost password={PASSWORD}"),
            PASSWORD.to_owned(),
        ] {
            for arguments in
                [&["status", "-vv"][..], &["bundle", "--json"], &["serve"], &["import", "sales.csv"]]
            {
                evidence
                    .add_run(&Running::of(east.command(arguments).env("SALESYNC_DATABASE_URL", &url)).ends());
            }
        }
        let of_broker = port_of(broker);
        let encoded = broker.split_once("secretive:").unwrap().1.split('@').next().unwrap();
        for url in [
            broker.replace(encoded, &wrong),
            broker.replace(&of_broker, "1"),
            broker.replace(&of_broker, "70000"),
            broker.replace("amqp:", "amqps:"),
            broker.replace("127.0.0.1", "192.0.2.1"),
            broker.replace(encoded, BROKER),
            format!("{broker}-gone"),
            format!("{broker}?heartbeat={encoded}"),
            broker.replace("amqp:", "http:"),
            BROKER.to_owned(),
        ] {
            for (node, arguments) in
                [(east, &["bundle", "-vv"][..]), (head, &["apply", "--json"]), (head, &["init", "-v"])]
            {
                evidence
                    .add_run(&Running::of(node.command(arguments).env("SALESYNC_BROKER_URL", &url)).ends());
            }
        }
        self.misplaces(evidence);
    }

    /// Secrets stand where they do not belong.
    fn misplaces(&self, evidence: &mut Evidence) {
        let [_, east] = self.nodes();
        let right = fs::read_to_string(east.folder.join("salesync.toml")).unwrap();
        for (from, to) in [
            ("[database]\nurl = ", "[database]\nuri = "),
            ("[database]\nurl = \"", "[database]\nurl = "),
            ("[broker]\nurl = \"", "[broker]\nurl = \"\"\""),
            ("node = \"east\"", &*format!("node = \"{}\"", self.databases[1])),
            ("role = \"branch\"", &format!("role = \"{PASSWORD}\"")),
            ("key = \"own.key\"", "key = \"salesync.toml\""),
            ("password = \"$argon2id", &format!("password = \"{PAGE}")),
        ] {
            assert!(right.contains(from), "{from:?} in {right}");
            fs::write(east.folder.join("salesync.toml"), right.replace(from, to)).unwrap();
            for arguments in [&["status", "-vv"][..], &["bundle", "--json"]] {
                evidence.add_run(&east.run(arguments));
            }
        }
        fs::write(east.folder.join("salesync.toml"), right).unwrap();
        for arguments in [&["status", &*self.databases[1]][..], &["--config", &self.broker_url, "status"]] {
            let run = east.run(arguments).exits(2).says(&["list of processes", "hint: change that password"]);
            evidence.add_run(&run);
        }
        fs::set_permissions(east.folder.join("own.key"), Permissions::from_mode(0o644)).unwrap();
        evidence.add_run(&east.run(&["bundle", "-vv"]).exits(77));
        fs::set_permissions(east.folder.join("own.key"), Permissions::from_mode(0o600)).unwrap();
    }
}

/// The letters of a private key's file, line by line.
fn lines_of_key(node: &Node) -> Vec<String> {
    let text = fs::read_to_string(node.folder.join("own.key")).unwrap();
    text.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
}

fn commands() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_salesync")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    let lines = list.lines().take_while(|line| !line.is_empty()).filter(|line| line.starts_with("  "));
    let names =
        lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[test]
fn no_secret_is_anywhere_but_where_it_was_put() {
    let mut server = encrypted();
    let secretive = Secretive::at(&mut server);
    let mut evidence = Evidence::default();
    secretive.works(&mut evidence);
    let cookies = secretive.serves(&mut evidence);
    secretive.fails(&mut evidence, &server);

    let untried: Vec<_> = commands()
        .into_iter()
        .filter(|name| !evidence.commands.contains(name) && !ELSEWHERE.contains(&&**name))
        .collect();
    assert_eq!(untried, Vec::<String>::new(), "commands that this test does not run");
    for node in secretive.nodes() {
        evidence.add_files(node);
    }
    for name in ["secret_head", "secret_east"] {
        evidence.add_tables(name, &mut server.superuser(name));
    }
    // The server is told passwords while roles are made, by the test.
    let log = String::from_utf8_lossy(&server.log()).into_owned();
    evidence.add("PostgreSQL's log", log.split_once("secret_head").expect("its log").1);

    let keys = secretive.nodes().map(lines_of_key).concat();
    let mut secrets = vec![
        ("the database's password", PASSWORD),
        ("the broker's password", BROKER),
        ("the page's password", PAGE),
        ("a wrong password", WRONG),
    ];
    secrets.extend(cookies.iter().map(|cookie| ("a session", &**cookie)));
    secrets.extend(keys.iter().map(|line| ("a private key", &**line)));
    assert!(secrets.len() >= 8, "{secrets:?}");
    evidence.has_none_of(&secrets);
}

#[test]
fn a_crash_leaves_no_memory_behind() {
    let company = Company::of_sales(&["east"]);
    let serve = Running::start(company.branch(), &["serve", "--listen", "127.0.0.1:0"]);
    serve.has_printed_a_line();
    let limits = fs::read_to_string(format!("/proc/{}/limits", serve.process_id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}
