//! The configuration file, with what the environment overrides.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use postgres::Client;
use serde::Deserialize;

use crate::archive::Archive;
use crate::branch::{PartLimits, SMALLEST_BUNDLE};
use crate::broker::{Broker, BrokerAddress, ConnectOptions};
use crate::database::{self, DatabaseUrl, connect, is_prepared};
use crate::domain::{Failure, Kind, NodeName, TableName};
use crate::head_office::{Policy, SchemaChanges};

/// Everything that is configured.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) node: NodeName,
    pub(super) role: Role,
    /// Tracked tables, each with its business-day column if it has one.
    pub(super) tables: BTreeMap<TableName, Option<String>>,
    /// The column with the money of the tables that have one.
    pub(super) amounts: BTreeMap<TableName, String>,
    pub(super) archive: Archive,
    pub(super) limits: PartLimits,
    /// How long it must be quiet before a follower takes what has changed.
    pub(super) debounce: Duration,
    /// Head office's branches.
    pub(super) branches: BTreeMap<NodeName, BranchSettings>,
    /// What head office does without asking a person.
    pub(super) policy: Policy,
    broker_options: ConnectOptions,
    database_url: Option<String>,
    broker_url: Option<String>,
}

/// What this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    Branch,
    HeadOffice,
}

/// What head office knows of a branch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BranchSettings {
    /// Silence longer than this is an alarm.
    #[serde(default, deserialize_with = "duration")]
    pub(super) expect_every: Option<Duration>,
}

/// A follower that is asked to stop notices it this late at worst.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(10);
/// What to do where the file that was named is not there.
const NAMED: &str = "correct --config or SALESYNC_CONFIG, or put the file there";
/// What no broker takes.
const LARGEST_BUNDLE: u64 = 512 << 20;

impl Settings {
    /// Reads the file that `--config` names, or the first there is of the usual ones.
    pub(super) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let path = find(named)?;
        let text = fs::read_to_string(&path).map_err(|error| {
            let failure = Failure::file("reading the configuration", &path, &error);
            if failure.kind() == Kind::Permission { failure } else { in_file(&path, error).hint(NAMED) }
        })?;
        let file: File = toml::from_str(&text).map_err(|error| {
            in_file(&path, located(&text, &error)).hint("README, \"Configuration\", has every key")
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        file.into_settings(base).map_err(|failure| {
            let located = in_file(&path, &failure);
            failure.advice().map_or_else(|| in_file(&path, &failure), |hint| located.hint(hint))
        })
    }

    fn database_url(&self) -> Result<DatabaseUrl, Failure> {
        let url = env::var("SALESYNC_DATABASE_URL").ok().or_else(|| self.database_url.clone());
        let missing =
            || Failure::new(Kind::Configuration, "looking for the database", "no URL is configured");
        url.ok_or_else(|| missing().hint("set SALESYNC_DATABASE_URL, or `url` in the section [database]"))?
            .parse()
    }

    fn broker_address(&self) -> Result<BrokerAddress, Failure> {
        let url = env::var("SALESYNC_BROKER_URL").ok().or_else(|| self.broker_url.clone());
        let missing = || Failure::new(Kind::Configuration, "looking for the broker", "no URL is configured");
        BrokerAddress::parse(
            &url.ok_or_else(|| missing().hint("set SALESYNC_BROKER_URL, or `url` in the section [broker]"))?,
        )
    }

    /// Connects to the node's database; `command` is seen in the server's list of sessions.
    pub(super) fn connect_database(&self, command: &str) -> Result<Client, Failure> {
        connect(&self.database_url()?, &format!("salesync {command}"))
    }

    /// The same, after `salesync init` has been run.
    pub(super) fn connect_prepared_database(&self, command: &str) -> Result<Client, Failure> {
        let mut client = self.connect_database(command)?;
        let role = match self.role {
            Role::Branch => database::Role::Branch,
            Role::HeadOffice => database::Role::HeadOffice,
        };
        if is_prepared(&mut client, &self.node, role)? {
            return Ok(client);
        }
        let doing = "looking for the salesync schema";
        Err(Failure::new(Kind::Configuration, doing, "this database has none")
            .hint("run `salesync init` first"))
    }

    /// Connects to the node's broker.
    pub(super) fn connect_broker(&self) -> Result<Broker, Failure> {
        Broker::connect(&self.broker_address()?, &self.broker_options)
    }

    /// The command is one for this role only.
    pub(super) fn require(&self, role: Role) -> Result<(), Failure> {
        if self.role == role {
            return Ok(());
        }
        let (is, works) = match role {
            Role::Branch => ("head office", "at a branch"),
            Role::HeadOffice => ("a branch", "at head office"),
        };
        let why = format!("{} is {is}, and this command works {works}", self.node);
        Err(Failure::new(Kind::Usage, "looking at this node's role", why)
            .hint("run it there, or name that node's configuration with --config"))
    }
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    node: NodeName,
    role: Role,
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    table: Vec<TableSection>,
    #[serde(default)]
    database: DatabaseSection,
    #[serde(default)]
    broker: BrokerSection,
    #[serde(default)]
    archive: ArchiveSection,
    #[serde(default)]
    bundle: BundleSection,
    #[serde(default)]
    branches: BTreeMap<NodeName, BranchSettings>,
    #[serde(default)]
    apply: ApplySection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableSection {
    name: String,
    day: Option<String>,
    amount: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseSection {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BrokerSection {
    url: Option<String>,
    #[serde(default)]
    allow_plaintext: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArchiveSection {
    dir: PathBuf,
}

impl Default for ArchiveSection {
    fn default() -> Self {
        Self { dir: PathBuf::from("bundles") }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BundleSection {
    max_bytes: ByteSize,
    compression_level: i32,
    #[serde(deserialize_with = "duration")]
    debounce: Duration,
}

impl Default for BundleSection {
    fn default() -> Self {
        Self { max_bytes: ByteSize::mib(4), compression_level: 9, debounce: Duration::from_millis(250) }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplySection {
    schema_changes: Option<SchemaChangesWord>,
    max_delete_fraction: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SchemaChangesWord {
    Apply,
    Hold,
}

impl File {
    fn into_settings(self, base: &Path) -> Result<Settings, Failure> {
        let (limits, policy) = (self.bundle.limits()?, self.apply.policy()?);
        let mut tables = BTreeMap::new();
        for name in &self.tables {
            tables.insert(name.parse()?, None);
        }
        let mut amounts = BTreeMap::new();
        for section in self.table {
            let name: TableName = section.name.parse()?;
            amounts.extend(section.amount.map(|amount| (name.clone(), amount)));
            tables.insert(name, section.day);
        }
        // Absolute, because reports and the ledger name files to people who are elsewhere.
        let archive = std::path::absolute(base.join(self.archive.dir)).map_err(|error| {
            Failure::new(Kind::Configuration, "reading archive.dir", error)
                .hint("name a folder for the bundles")
        })?;
        Ok(Settings {
            archive: Archive::new(archive, &self.node),
            node: self.node,
            role: self.role,
            tables,
            amounts,
            limits,
            debounce: self.bundle.debounce,
            branches: self.branches,
            policy,
            broker_options: ConnectOptions {
                allow_plaintext: self.broker.allow_plaintext,
                ..ConnectOptions::default()
            },
            database_url: self.database.url,
            broker_url: self.broker.url,
        })
    }
}

impl ApplySection {
    fn policy(&self) -> Result<Policy, Failure> {
        let usual = Policy::default();
        let schema_changes = self.schema_changes.map_or(usual.schema_changes, |word| match word {
            SchemaChangesWord::Apply => SchemaChanges::Apply,
            SchemaChangesWord::Hold => SchemaChanges::Hold,
        });
        let max_delete_fraction = self.max_delete_fraction.unwrap_or(usual.max_delete_fraction);
        if !(0.0..=1.0).contains(&max_delete_fraction) {
            let why = "max_delete_fraction must be from 0 to 1";
            return Err(Failure::new(Kind::Configuration, "reading [apply]", why)
                .hint("0.2 holds what would delete more than a fifth of a branch's rows; 1 holds nothing"));
        }
        Ok(Policy { schema_changes, max_delete_fraction })
    }
}

impl BundleSection {
    fn limits(&self) -> Result<PartLimits, Failure> {
        let wrong = |why: &str| Failure::new(Kind::Configuration, "reading [bundle]", why);
        if !(SMALLEST_BUNDLE..=LARGEST_BUNDLE).contains(&self.max_bytes.as_u64()) {
            return Err(wrong("max_bytes must be from 64 KiB to 512 MiB")
                .hint("4 MiB suits most lines; RabbitMQ 4 refuses more than 16 MiB unless told otherwise"));
        }
        if !(1..=19).contains(&self.compression_level) {
            return Err(wrong("compression_level must be from 1 to 19")
                .hint("9 suits most lines; more makes bundles hardly smaller and cuts slower"));
        }
        if self.debounce > LONGEST_DEBOUNCE {
            return Err(
                wrong("debounce must be at most 10s").hint("250ms makes one bundle of what is done at once")
            );
        }
        Ok(PartLimits { max_bytes: self.max_bytes.as_u64(), compression_level: self.compression_level })
    }
}

fn duration<'de, D: serde::Deserializer<'de>, T: From<Duration>>(source: D) -> Result<T, D::Error> {
    let text = String::deserialize(source)?;
    humantime::parse_duration(&text).map(T::from).map_err(serde::de::Error::custom)
}

fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if let Some(path) = env::var_os("SALESYNC_CONFIG") {
        return Ok(path.into());
    }
    let usual = ["salesync.toml", "/etc/salesync/salesync.toml"].map(PathBuf::from);
    usual.into_iter().find(|path| path.exists()).ok_or_else(|| {
        Failure::new(
            Kind::Configuration,
            "looking for the configuration",
            "there is no salesync.toml here and none in /etc/salesync",
        )
        .hint("write one (README, \"Configuration\"), or name it with --config or SALESYNC_CONFIG")
    })
}

/// Where the error is and what it is; never the line itself, which may hold a password.
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let message = match error.message() {
        message if message.contains("://") => "a URL stands where none belongs, they go into `url`",
        message => message.trim_end(),
    };
    format!("line {}: {message}", before.matches('\n').count() + 1)
}

fn in_file(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Configuration, format!("reading the configuration {}", path.display()), why)
}
