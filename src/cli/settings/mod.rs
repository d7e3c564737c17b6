//! The configuration file, with what the environment overrides.

mod branches;
mod file;
mod keys;
mod serve;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use postgres::Client;
use rust_decimal::Decimal;
use serde::Deserialize;

pub(super) use self::branches::BranchSettings;
use self::file::File;
pub(super) use self::source::Source;
use crate::archive::Archive;
use crate::branch::PartLimits;
use crate::broker::{Broker, BrokerAddress, ConnectOptions};
use crate::cli::key_file::read_key;
use crate::database::{self, DatabaseUrl, connect, is_prepared};
use crate::domain::{Failure, KeyRing, Kind, NodeName, Recipient, SigningKey, TableName};
use crate::head_office::monitor::Expectations;
use crate::head_office::{Enrolment, MOST_UNDER_WAY, Policy};
use crate::web::Options;

/// Everything that is configured. Never printed: the URLs may have passwords.
pub(super) struct Settings {
    pub(super) node: NodeName,
    pub(super) role: Role,
    /// Tracked tables, each with its business-day column if it has one.
    pub(super) tables: BTreeMap<TableName, Option<String>>,
    /// Tables that are meant to stay here.
    pub(super) local_tables: BTreeSet<TableName>,
    /// The column with the money of the tables that have one.
    pub(super) amounts: BTreeMap<TableName, String>,
    pub(super) archive: Archive,
    pub(super) limits: PartLimits,
    /// How long it must be quiet before a follower takes what has changed.
    pub(super) debounce: Duration,
    /// Tax as a fraction of a sale's amount.
    pub(super) tax_rate: Decimal,
    /// Head office's branches.
    pub(super) branches: BTreeMap<NodeName, BranchSettings>,
    /// Those of them that have files of their own.
    own_files: BTreeSet<NodeName>,
    /// Where these are.
    branch_folder: PathBuf,
    /// The files that all of this was read from.
    source: Source,
    /// The branches' keys, at head office.
    pub(super) enrolment: Enrolment,
    /// Head office's keys, at a branch.
    pub(super) head_office: KeyRing,
    /// The file with this node's own key.
    signing_key: Option<PathBuf>,
    /// What the branch's bundles are encrypted to; none if they are not.
    pub(super) recipients: Vec<Recipient>,
    /// The file with the private keys that encrypted bundles are read with.
    identity: Option<PathBuf>,
    /// What head office does without asking a person.
    pub(super) policy: Policy,
    /// How many bundles head office applies at the same time, if it is said.
    workers: Option<usize>,
    /// How the page is reached.
    pub(super) serve: Options,
    broker_options: ConnectOptions,
    database: DatabaseSettings,
    broker_url: Option<String>,
}

/// How the database is reached.
struct DatabaseSettings {
    url: Option<String>,
    allow_plaintext: bool,
    /// From where relative paths are meant.
    folder: PathBuf,
}

/// What this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    Branch,
    HeadOffice,
}

/// More connections would be held against somebody else.
pub(super) const MOST_WORKERS: usize = 64;
/// As many as there are cores, but no more than this where nothing is said: there is a database at work too.
const USUAL_WORKERS: usize = 4;

/// What to do where the file that was named is not there.
const NAMED: &str = "correct --config or SALESYNC_CONFIG, or put the file there";

/// What is said of a URL in the place of something else; the URL may have a password in it.
const MISPLACED_URL: &str = "a URL stands where none belongs, they go into `url`";

impl Settings {
    /// Reads the file that `--config` names, or the first there is of the usual ones.
    pub(super) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let path = find(named)?;
        let source = Source::of(&path);
        let text = fs::read_to_string(&path).map_err(|error| {
            let failure = Failure::file("reading the configuration", &path, &error);
            if failure.kind() == Kind::Permission { failure } else { in_file(&path, error).hint(NAMED) }
        })?;
        Self::read(&text, &path).map(|settings| Self { source, ..settings })
    }

    /// Reads the text of the file at `path`.
    pub(super) fn read(text: &str, path: &Path) -> Result<Self, Failure> {
        let file: File = toml::from_str(text).map_err(|error| {
            in_file(path, located(text, &error)).hint("README, \"Configuration\", has every key")
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        file.into_settings(base).map_err(|failure| {
            let why = failure.to_string();
            // It may repeat what was written, and that may be a URL with a password.
            let located = in_file(path, if has_login(&why) { MISPLACED_URL } else { &why });
            match failure.advice() {
                Some(hint) => located.hint(hint),
                None => located,
            }
        })
    }

    /// Whether the file itself has something in it that not everybody may know.
    pub(super) fn holds_secrets(&self) -> bool {
        let has_password = |url: &String| {
            let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
            place.split_once('@').is_some_and(|(login, _)| login.contains(':')) || place.contains("password=")
        };
        !self.serve.users.is_empty()
            || [&self.database.url, &self.broker_url].into_iter().flatten().any(has_password)
    }

    /// How many bundles to apply at the same time, if this is `wanted`: never more of a branch than may be under way at once.
    pub(super) fn workers(&self, wanted: Option<usize>) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get).min(USUAL_WORKERS);
        wanted.or(self.workers).unwrap_or_else(cores).min(MOST_UNDER_WAY * self.branches.len()).max(1)
    }

    /// How long each of head office's branches may be silent.
    pub(super) fn expectations(&self) -> Expectations {
        let of = |branch: &BranchSettings| branch.expect_every.filter(|_| branch.left_at.is_none());
        self.branches.iter().map(|(name, branch)| (name.clone(), of(branch))).collect()
    }

    /// The files that this was read from.
    pub(super) fn source(&self) -> Source {
        self.source.clone()
    }

    /// The configuration file.
    pub(super) fn file(&self) -> &Path {
        self.source.file()
    }

    /// Where the node's database is.
    pub(super) fn database_url(&self) -> Result<DatabaseUrl, Failure> {
        let settings = &self.database;
        let url = env::var("SALESYNC_DATABASE_URL").ok().or_else(|| settings.url.clone());
        let missing =
            || Failure::new(Kind::Configuration, "looking for the database", "no URL is configured");
        let url = url
            .ok_or_else(|| missing().hint("set SALESYNC_DATABASE_URL, or `url` in the section [database]"))?;
        let url: DatabaseUrl = url.parse()?;
        Ok(url.relative_to(&settings.folder).allowing_plaintext(settings.allow_plaintext))
    }

    /// The certificates that connections need, with whose they are.
    pub(super) fn certificates(&self) -> Vec<(&'static str, PathBuf)> {
        let of_broker = &self.broker_options.tls;
        let of_database = self.database_url().map(|url| url.tls_files().clone()).unwrap_or_default();
        let named = [
            (
                "the certificate for the broker",
                of_broker.identity.as_ref().map(|own| own.certificate.clone()),
            ),
            ("the broker's authority", of_broker.authority.clone()),
            ("the certificate for the database", of_database.identity.map(|own| own.certificate)),
            ("the database's authority", of_database.authority),
        ];
        named.into_iter().filter_map(|(what, path)| Some((what, path?))).collect()
    }

    fn broker_url(&self) -> Option<String> {
        env::var("SALESYNC_BROKER_URL").ok().or_else(|| self.broker_url.clone())
    }

    /// Whether this node has a broker at all.
    pub(super) fn has_broker(&self) -> bool {
        self.broker_url().is_some()
    }

    /// Whether this file names another broker than the other does, or another login there. A URL in the environment counts
    /// for both.
    pub(super) fn differs_in_broker(&self, other: &Self) -> bool {
        self.broker_url.as_ref().zip(other.broker_url.as_ref()).is_some_and(|(own, its)| own != its)
            || self.allows_plaintext() != other.allows_plaintext()
    }

    /// Whether this file names another database than this one.
    pub(super) fn differs_in_database(&self, url: &str) -> bool {
        self.database.url.as_ref().is_some_and(|own| own != url)
    }

    /// Whether something says which database the node has.
    pub(super) fn has_database(&self) -> bool {
        self.database_is_configured() || env::var_os("SALESYNC_DATABASE_URL").is_some()
    }

    /// Whether that is the configuration file.
    pub(super) fn database_is_configured(&self) -> bool {
        self.database.url.is_some()
    }

    /// Whether the broker may be spoken to in plain text over a network.
    pub(super) fn allows_plaintext(&self) -> bool {
        self.broker_options.allow_plaintext
    }

    /// The file with the only authority that is believed at the broker, if there is one.
    pub(super) fn broker_authority(&self) -> Option<&PathBuf> {
        self.broker_options.tls.authority.as_ref()
    }

    /// Whether this node shows a certificate to the broker.
    pub(super) fn has_broker_certificate(&self) -> bool {
        self.broker_options.tls.identity.is_some()
    }

    /// Where the node's broker is, and its login there.
    pub(super) fn broker_address(&self) -> Result<BrokerAddress, Failure> {
        let missing = || Failure::new(Kind::Configuration, "looking for the broker", "no URL is configured");
        BrokerAddress::parse(
            &self
                .broker_url()
                .ok_or_else(|| missing().hint("set SALESYNC_BROKER_URL, or `url` in the section [broker]"))?,
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

    /// Connects to the node's broker. What head office says there is signed, if it has a key.
    pub(super) fn connect_broker(&self) -> Result<Broker, Failure> {
        let key = match self.role {
            Role::HeadOffice => self.signing_key()?,
            Role::Branch => None,
        };
        Ok(self.reach_broker()?.signing_with(key))
    }

    /// The same for somebody who says nothing there.
    pub(super) fn reach_broker(&self) -> Result<Broker, Failure> {
        Broker::connect(&self.broker_address()?, &self.broker_options)
    }

    /// Where this node's key is, if one is configured.
    pub(super) fn signing_key_file(&self) -> Option<&Path> {
        self.signing_key.as_deref()
    }

    /// Where the private keys are that encrypted bundles are read with, if that is configured.
    pub(super) fn identity_file(&self) -> Option<&Path> {
        self.identity.as_deref()
    }

    /// This node's key, if it has one.
    pub(super) fn signing_key(&self) -> Result<Option<SigningKey>, Failure> {
        self.signing_key.as_deref().map(read_key).transpose()
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
        message if message.contains("://") => MISPLACED_URL.to_owned(),
        message => without_value(message.trim_end()),
    };
    format!("line {}: {message}", before.matches('\n').count() + 1)
}

/// What the parser says, without the value it objects to.
fn without_value(message: &str) -> String {
    let begins = ["unknown variant `", "invalid type: string \"", "invalid value: string \""];
    let begin = begins.iter().find(|begin| message.starts_with(**begin));
    match (begin, message.rfind(", expected ")) {
        (Some(begin), Some(end)) => begin.trim_end_matches([' ', '`', '"']).to_owned() + &message[end..],
        _ => message.to_owned(),
    }
}

/// Whether a URL stands in this sentence that says more than where something is.
fn has_login(sentence: &str) -> bool {
    let places = sentence.match_indices("://").map(|(place, mark)| &sentence[place + mark.len()..]);
    let mut urls = places.filter_map(|rest| rest.split('"').next());
    urls.any(|url| url.contains([':', '@', '?']))
}

fn in_file(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::Configuration, format!("reading the configuration {}", path.display()), why)
}
