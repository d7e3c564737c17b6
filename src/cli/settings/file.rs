//! The configuration file as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::branches::{self, BranchSettings};
use super::keys::{HeadOfficeSection, enrolment, key_ring};
use super::serve::ServeSection;
use super::source::Source;
use super::{DatabaseSettings, MOST_WORKERS, Role, Settings};
use crate::archive::Archive;
use crate::branch::{PartLimits, SMALLEST_BUNDLE};
use crate::broker::ConnectOptions;
use crate::cli::key_file::read_identities;
use crate::cli::units::{size_in_file, time_in_file};
use crate::domain::{Failure, Identities, Kind, NodeName, Recipient, TableName};
use crate::head_office::{Policy, SchemaChanges};
use crate::tls::{Identity, TlsFiles};

/// A follower that is asked to stop notices it this late at worst.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(10);
/// 7 %.
const USUAL_TAX_RATE: Decimal = Decimal::from_parts(7, 0, 0, false, 2);
/// What no broker takes.
const LARGEST_BUNDLE: u64 = 512 << 20;

/// The file as it is written. Never printed: the URLs may have passwords.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    node: NodeName,
    role: Role,
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    local_tables: Vec<String>,
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
    #[serde(default)]
    signing: SigningSection,
    #[serde(default)]
    encryption: EncryptionSection,
    #[serde(default)]
    head_office: HeadOfficeSection,
    #[serde(default)]
    serve: ServeSection,
    #[serde(default)]
    sales: SalesSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SigningSection {
    key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptionSection {
    #[serde(default)]
    recipients: Vec<Recipient>,
    identity: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableSection {
    name: String,
    day: Option<String>,
    amount: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseSection {
    url: Option<String>,
    #[serde(default)]
    allow_plaintext: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BrokerSection {
    url: Option<String>,
    #[serde(default)]
    allow_plaintext: bool,
    ca_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
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
    #[serde(deserialize_with = "size_in_file")]
    max_bytes: ByteSize,
    compression_level: i32,
    #[serde(deserialize_with = "time_in_file")]
    debounce: Duration,
}

impl Default for BundleSection {
    fn default() -> Self {
        Self { max_bytes: ByteSize::mib(2), compression_level: 9, debounce: Duration::from_millis(250) }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplySection {
    schema_changes: Option<SchemaChangesWord>,
    max_delete_fraction: Option<f64>,
    workers: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SalesSection {
    tax_rate: Option<toml::Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SchemaChangesWord {
    Apply,
    Hold,
}

impl File {
    /// What it says, checked. Relative paths are meant from the folder `base`.
    pub(super) fn into_settings(mut self, base: &Path) -> Result<Settings, Failure> {
        let branch_folder = branches::folder(base);
        let own_files = match self.role {
            Role::HeadOffice => branches::add(&branch_folder, &mut self.branches)?,
            Role::Branch => BTreeSet::new(),
        };
        let (limits, policy) = (self.bundle.limits()?, self.apply.policy()?);
        let (workers, head_office) = (self.apply.workers()?, self.head_office);
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
        let local_tables = self.local_tables.iter().map(|name| name.parse());
        let local_tables: BTreeSet<TableName> = local_tables.collect::<Result<_, _>>()?;
        if let Some(both) = local_tables.iter().find(|name| tables.contains_key(*name)) {
            let why = format!("{both} is in local_tables, and also among the tables that travel");
            return Err(
                Failure::new(Kind::Configuration, "reading local_tables", why).hint("name it in one of them")
            );
        }
        // Absolute, because reports and the ledger name files to people who are elsewhere.
        let archive = std::path::absolute(base.join(self.archive.dir)).map_err(|error| {
            Failure::new(Kind::Configuration, "reading archive.dir", error)
                .hint("name a folder for the bundles")
        })?;
        let identity = self.encryption.identity.as_ref().map(|file| base.join(file));
        // Why there is none matters to whoever meets an encrypted bundle, and nobody else.
        let identities = identity.as_deref().map(|file| Identities::new(read_identities(file)));
        Ok(Settings {
            archive: Archive::new(archive, &self.node).read_with(identities.unwrap_or_default()),
            node: self.node,
            role: self.role,
            tables,
            local_tables,
            amounts,
            limits,
            debounce: self.bundle.debounce,
            enrolment: enrolment(&self.branches)?,
            tax_rate: self.sales.tax_rate()?,
            branches: self.branches,
            own_files,
            branch_folder,
            source: Source::default(),
            head_office: key_ring("head_office", head_office.public_key, &head_office.public_keys)?,
            signing_key: self.signing.key.map(|file| base.join(file)),
            recipients: self.encryption.recipients()?,
            identity,
            policy,
            workers,
            serve: self.serve.into_options(base)?,
            broker_options: self.broker.options(base)?,
            database: DatabaseSettings {
                url: self.database.url,
                allow_plaintext: self.database.allow_plaintext,
                folder: base.to_owned(),
            },
            broker_url: self.broker.url,
        })
    }
}

/// More would make every small bundle large.
const MOST_RECIPIENTS: usize = 50;

impl EncryptionSection {
    fn recipients(self) -> Result<Vec<Recipient>, Failure> {
        if self.recipients.len() > MOST_RECIPIENTS {
            let why = format!("there are more than {MOST_RECIPIENTS} recipients");
            return Err(Failure::new(Kind::Configuration, "reading [encryption]", why)
                .hint("head office's key is enough, and the branch's own to read its archive"));
        }
        Ok(self.recipients)
    }
}

impl BrokerSection {
    fn options(&self, base: &Path) -> Result<ConnectOptions, Failure> {
        let identity = match (self.client_certificate.clone(), self.client_key.clone()) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            _ => {
                let why = "client_certificate and client_key belong together";
                return Err(Failure::new(Kind::Configuration, "reading [broker]", why)
                    .hint("name both files, or none"));
            }
        };
        Ok(ConnectOptions {
            allow_plaintext: self.allow_plaintext,
            tls: TlsFiles { authority: self.ca_file.clone(), identity }.relative_to(base),
            ..ConnectOptions::default()
        })
    }
}

impl SalesSection {
    /// With quotes or without: the shortest decimal number that is read as this one is the one that was written.
    fn tax_rate(&self) -> Result<Decimal, Failure> {
        let Some(value) = &self.tax_rate else { return Ok(USUAL_TAX_RATE) };
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        let rate =
            Decimal::from_str_exact(&text).ok().filter(|rate| (Decimal::ZERO..=Decimal::ONE).contains(rate));
        rate.ok_or_else(|| {
            Failure::new(Kind::Configuration, "reading [sales]", "tax_rate must be a number from 0 to 1")
                .hint("a rate is a fraction: 7 % is 0.07")
        })
    }
}

impl ApplySection {
    fn workers(&self) -> Result<Option<usize>, Failure> {
        if self.workers.is_some_and(|workers| !(1..=MOST_WORKERS).contains(&workers)) {
            let why = format!("workers must be from 1 to {MOST_WORKERS}");
            return Err(Failure::new(Kind::Configuration, "reading [apply]", why)
                .hint("each has a connection to the database; more than there are cores bring nothing"));
        }
        Ok(self.workers)
    }

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
                .hint("2 MiB suits most lines; RabbitMQ 4 refuses more than 16 MiB unless told otherwise"));
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
