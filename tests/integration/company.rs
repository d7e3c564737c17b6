//! A company in a test: a head office and branches, each with its database, folder and configuration,
//! all on one virtual host. Commands are run as a user runs them: the real program, with nothing of
//! the test's environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use postgres::{Client, NoTls};
use salesync::broker::{Broker, BrokerAddress, ConnectOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::rights::{Side, become_dba, program_url, role_for, url_for_command};
use crate::servers::{drop_database, fresh_database, fresh_folder, fresh_vhost};

/// A head office and its branches.
pub struct Company {
    pub head_office: Node,
    pub branches: Vec<Node>,
    pub broker_url: String,
    _databases: Databases,
    _folder: TempDir,
}

/// They go with the company: those of all tests together would have 15 GB.
struct Databases(Vec<String>);

impl Drop for Databases {
    fn drop(&mut self) {
        self.0.iter().for_each(|url| drop_database(url));
    }
}

/// A head office or a branch.
pub struct Node {
    pub name: String,
    pub folder: PathBuf,
    /// For a superuser; the program gets one for a role without more rights than it needs.
    pub database_url: String,
}

/// What the salespeople's table is called, with its business day.
pub const SALES: &str = "[[table]]\nname = \"public.sales\"\nday = \"date\"\n";

/// Head office's sections where bundles may delete as much as they like.
pub const DELETES_ANYTHING: &str = "[branches.east]\n[apply]\nmax_delete_fraction = 1\n";

/// How the tests' own connections print and read values.
const TEXT_FORM: &str = "
    SET timezone = 'UTC'; SET lc_monetary = 'C'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmloption = 'content'; SET array_nulls = on;
    SET standard_conforming_strings = on; SET quote_all_identifiers = off; SET search_path = public;
    SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
    SET session_replication_role = origin; SET statement_timeout = 0; SET transform_null_equals = off";

/// Six sales of two regions, as a CSV file.
pub const SALES_2021: &str = include_str!("../../src/cli/demo/sales-2021.csv");

impl Company {
    /// Prepared nodes: branches with `public.sales`, captured.
    pub fn of_sales(branches: &[&str]) -> Self {
        let company = Self::new(branches, SALES);
        company.head_office.run(&["init"]).ok();
        company.branches.iter().for_each(|branch| drop(branch.run(&["init", "--with-sales"]).ok()));
        company
    }

    /// Nodes with configuration files and empty databases. `options` are added to every branch's file.
    pub fn new(branches: &[&str], options: &str) -> Self {
        Self::on(fresh_vhost(), fresh_database, branches, options)
    }

    /// The same on this virtual host, and with these databases.
    pub fn on(broker_url: String, database: impl Fn() -> String, branches: &[&str], options: &str) -> Self {
        let folder = fresh_folder();
        let node = |name: &str, role: &str, options: &str| {
            let node =
                Node { name: name.to_owned(), folder: folder.path().join(name), database_url: database() };
            fs::create_dir(&node.folder).unwrap();
            node.configure(&format!("role = \"{role}\""), &broker_url, options);
            node
        };
        let known = branches.iter().map(|name| format!("[branches.{name}]")).collect::<Vec<_>>().join("\n");
        let head_office = node("head", "head-office", &known);
        let branches: Vec<_> = branches.iter().map(|name| node(name, "branch", options)).collect();
        let nodes = branches.iter().chain([&head_office]);
        let databases = Databases(nodes.map(|node| node.database_url.clone()).collect());
        Self { head_office, branches, broker_url, _databases: databases, _folder: folder }
    }

    /// The only branch.
    pub fn branch(&self) -> &Node {
        let [branch] = &self.branches[..] else { panic!("the company has several branches") };
        branch
    }

    /// A connection to the company's broker.
    pub fn broker(&self) -> Broker {
        Broker::connect(&BrokerAddress::parse(&self.broker_url).unwrap(), &ConnectOptions::default()).unwrap()
    }

    /// Every branch bundles, head office applies.
    pub fn sync(&self) {
        self.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).ok()));
        self.head_office.run(&["apply"]).ok();
    }

    /// The table is the same at every branch and at head office, to the last byte of every value.
    pub fn assert_equal(&self, table: &str) {
        for branch in &self.branches {
            let here = branch.rows(table, "true");
            let there = self.head_office.rows(table, &format!("branch = '{}'", branch.name));
            let differing = here.iter().zip(&there).find(|(here, there)| here != there);
            assert_eq!(differing, None, "{table} of {} differs", branch.name);
            assert_eq!(here.len(), there.len(), "{table} of {} has another number of rows", branch.name);
        }
    }
}

impl Node {
    /// Writes the configuration file. `options` come before the sections, or are sections themselves.
    pub fn configure(&self, role: &str, broker_url: &str, options: &str) {
        let (plain, sections) = match options.find('[') {
            Some(0) => ("", options),
            Some(at) if options[..at].ends_with('\n') => options.split_at(at),
            _ => (options, ""),
        };
        let text = format!(
            "node = \"{}\"\n{role}\n{plain}\n[database]\nurl = \"{}\"\n[broker]\nurl = \"{broker_url}\"\n{sections}",
            self.name,
            program_url(&self.database_url, Side::of(role)),
        );
        fs::write(self.folder.join("salesync.toml"), text).unwrap();
    }

    /// Runs the program in the node's folder.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"")
    }

    /// The same with something on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        Run { arguments: arguments.join(" "), output }
    }

    /// The command, ready to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_salesync"));
        command.args(arguments).current_dir(&self.folder).env_clear().env("HOME", &self.folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if role_for(arguments).is_some() && self.folder.join("salesync.toml").exists() {
            command.env("SALESYNC_DATABASE_URL", self.program_url_for(arguments));
        }
        command
    }

    /// The URL that the program has in its configuration.
    pub fn program_url(&self) -> String {
        self.program_url_for(&[])
    }

    /// The program's URL for a command: some are run by roles of their own.
    pub fn program_url_for(&self, arguments: &[&str]) -> String {
        let configuration = fs::read_to_string(self.folder.join("salesync.toml")).unwrap();
        let url = configuration.lines().find_map(|line| line.strip_prefix("url = \"postgres")).unwrap();
        let url = format!("postgres{}", url.trim_end_matches('"'));
        url_for_command(&url, arguments)
    }

    /// A connection of the DBA's, whose values print alike whatever the database's own settings are.
    pub fn client(&self) -> Client {
        let mut client = Client::connect(&self.database_url, NoTls).unwrap();
        client.batch_execute(TEXT_FORM).unwrap();
        become_dba(&mut client);
        client
    }

    /// Records one sale of this product; each has another amount.
    pub fn sell(&self, product: &str) {
        self.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT '2021-05-02', 'East', '{product}', n, 9.99, n * 9.99, 0.70, n * 9.99 + 0.70
             FROM (SELECT count(*) + 1 FROM public.sales) AS s(n)"
        ));
    }

    /// Records sales whose bundle has about a third of a megabyte, in one part.
    pub fn sell_much(&self) {
        self.sql(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT '2021-05-03', 'East', md5(n::text) || md5((-n)::text), 1, 1, 1, 0, 1
             FROM generate_series(1, 10000) n",
        );
    }

    /// Runs SQL.
    pub fn sql(&self, sql: &str) {
        let shown: String = sql.chars().take(1000).collect();
        self.client().batch_execute(sql).unwrap_or_else(|error| panic!("{error:?} in {shown}"));
    }

    /// The archive's bundles, by name.
    pub fn bundles(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.folder.join("bundles"), &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "bundle") {
            found.push(path);
        }
    }
}

/// A finished run of the program.
#[derive(Debug)]
pub struct Run {
    arguments: String,
    output: Output,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
        let arguments = arguments.collect::<Vec<_>>().join(" ");
        Self {
            arguments,
            output: command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .output()
                .unwrap(),
        }
    }

    /// A run that has ended already.
    pub fn ended(arguments: String, output: Output) -> Self {
        Self { arguments, output }
    }

    /// It ended with one of these statuses.
    pub fn exits_with_any(self, statuses: &[i32]) -> Self {
        let is_one = self.output.status.code().is_some_and(|status| statuses.contains(&status));
        assert!(is_one, "{}: salesync {}\n{}", self.output.status, self.arguments, self.stderr());
        self
    }

    /// It succeeded.
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// It ended with this status.
    pub fn exits(self, status: i32) -> Self {
        let found = self.output.status.code();
        assert_eq!(found, Some(status), "salesync {}\n{}{}", self.arguments, self.stdout(), self.stderr());
        self
    }

    /// What it printed.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// What it said.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()))
    }

    /// What it said contains all of these.
    pub fn says(self, words: &[&str]) -> Self {
        let said = self.stderr();
        for word in words {
            assert!(said.contains(word), "salesync {} did not say {word:?} but:\n{said}", self.arguments);
        }
        self
    }
}
