//! The manifest: a bundle's table of contents, and its identity.
//!
//! `bundles/README.md` is the authority on every field; this is that text in types.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BundleId, Column, DayTotals, Digest, Epoch, NodeName, Sequence, TableName, Totals};

/// The format this program writes, and the only one it reads.
pub const BUNDLE_FORMAT: &str = "salesync-bundle/1";
/// A manifest tells of no more earlier bundles than this when they were published.
pub const MOST_CONFIRMATIONS: usize = 64;
/// No manifest is longer than this, in bytes.
pub const MANIFEST_LIMIT: u64 = 4 << 20;
/// The field that holds the SHA-256 of the rest.
const SEAL: &str = "self_sha256";

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`BUNDLE_FORMAT`].
    pub format: String,
    /// Identity of the bundle.
    pub bundle_id: BundleId,
    /// The branch whose rows these are.
    pub branch: NodeName,
    /// The incarnation of the branch's database.
    pub epoch: Epoch,
    /// Dense number within the epoch, from 1.
    pub sequence: Sequence,
    /// SHA-256 of the previous bundle's `manifest.json`; none for the first of an epoch.
    pub previous: Option<Digest>,
    /// The cut this bundle is a part of.
    pub cut: Cut,
    /// The branch's clock when the bundle was sealed, not before the cut was taken. Nothing depends on it.
    pub created_at: DateTime<Utc>,
    /// When earlier bundles of the epoch were published, which none can say of itself; in the order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmations: Vec<Confirmation>,
    /// The program that wrote it, `salesync 0.1.0`.
    pub tool: String,
    /// What changed, parents before children. Rows are applied in this order, tombstones in reverse.
    pub tables: Vec<TableChange>,
}

/// One cut of a branch's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The snapshot, as `pg_snapshot` prints it.
    pub watermark: String,
    /// The branch's clock right before the snapshot was taken: what was committed by then is in the cut.
    pub taken_at: DateTime<Utc>,
    /// Which part of the cut this bundle is, from 1.
    pub part: u32,
    /// True for the last part: with it head office stands at the cut.
    pub last: bool,
}

/// When an earlier bundle was published, by the branch's clock. Nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Its number.
    pub sequence: Sequence,
    /// When it was begun to be sent, the last time.
    pub published_at: DateTime<Utc>,
    /// When a broker had confirmed that it has it on disk.
    pub confirmed_at: DateTime<Utc>,
}

/// What a bundle says of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableChange {
    /// The table at the branch.
    pub name: TableName,
    /// How the members are meant.
    pub mode: Mode,
    /// Its columns, in the order of the members' fields.
    pub columns: Vec<Column>,
    /// The keys this part is the complete truth for; in range mode only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<KeyRange>,
    /// The files with its rows, at most one of each kind, in the order of [`MemberKind`].
    pub members: Vec<Member>,
    /// Live totals of the business days touched; in the last part of a cut, if the table has a
    /// business-day column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_totals: Option<DayTotals>,
}

/// How the members of a table are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What changed since the last cut. Every row is new, known or gone exactly as its member says.
    Changes,
    /// Keys as they stand now, whatever head office has: upserts, and tombstones for those gone.
    Repair,
    /// The complete truth for a range of keys: head office's other rows in the range are deleted.
    Range,
}

impl Mode {
    /// The word in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Repair => "repair",
            Self::Range => "range",
        }
    }
}

/// The keys greater than `after` up to and with `through`; none means no bound. One text per key
/// column, in key order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRange {
    /// Lower bound, not part of the range.
    pub after: Option<Vec<String>>,
    /// Upper bound, part of the range.
    pub through: Option<Vec<String>>,
}

/// What the rows of a member are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// Whole rows that head office does not have.
    Inserts,
    /// Whole rows, as they are now, that head office has in an older form.
    Updates,
    /// Keys of rows that are gone.
    Tombstones,
}

impl MemberKind {
    /// The word in the member's file name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inserts => "inserts",
            Self::Updates => "updates",
            Self::Tombstones => "tombstones",
        }
    }

    /// The columns a member of this kind has, in the order of its fields.
    pub fn columns(self, of: &[Column]) -> Vec<Column> {
        match self {
            Self::Tombstones => super::key_columns(of).into_iter().cloned().collect(),
            Self::Inserts | Self::Updates => of.to_vec(),
        }
    }
}

/// One file of rows in the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name in the bundle, `0/inserts.csv.zst`.
    pub name: String,
    /// What its rows are.
    pub kind: MemberKind,
    /// Rows in it, the header line not counted. Never 0.
    pub rows: u64,
    /// Compressed size.
    pub bytes: u64,
    /// Size of the CSV, header line included.
    pub raw_bytes: u64,
    /// SHA-256 of the compressed bytes.
    pub sha256: Digest,
    /// Control totals.
    pub totals: Totals,
}

impl Member {
    /// The name a member has: the table's position in the manifest, and the kind.
    pub fn file_name(table: usize, kind: MemberKind) -> String {
        format!("{table}/{}.csv.zst", kind.as_str())
    }
}

/// Why bytes are no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not these fields.
    #[error("manifest.json cannot be read: {0}")]
    Unreadable(String),
    /// A format of another version.
    #[error("its format is {found}, this program reads {BUNDLE_FORMAT}: {older} is too old")]
    Format {
        /// The format it names.
        found: String,
        /// Which side has to be brought up to date.
        older: &'static str,
    },
    /// Not the one byte sequence that says this.
    #[error("manifest.json is not in canonical form")]
    NotCanonical,
    /// The seal does not match.
    #[error("manifest.json does not match its own checksum")]
    Checksum,
    /// Fields that contradict each other or the format.
    #[error("manifest.json makes no sense: {0}")]
    Senseless(String),
    /// More bytes than a reader takes.
    #[error("manifest.json would be {0} bytes long, over the limit of 4 MiB")]
    TooLong(u64),
}

impl Manifest {
    /// The canonical bytes of `manifest.json`: keys sorted, no white space, sealed with the SHA-256 of
    /// themselves without the seal. Their own SHA-256 identifies the whole bundle. A manifest that
    /// [`Manifest::from_bytes`] would refuse is refused here already.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let bytes = self.sealed()?;
        match bytes.len() as u64 {
            0..=MANIFEST_LIMIT => Ok(bytes),
            length => Err(ManifestError::TooLong(length)),
        }
    }

    fn sealed(&self) -> Result<Vec<u8>, ManifestError> {
        let unreadable = |error: serde_json::Error| ManifestError::Unreadable(error.to_string());
        let mut value = serde_json::to_value(self).map_err(unreadable)?;
        let seal = Digest::of(&canonical(&mut value)?);
        if let Value::Object(fields) = &mut value {
            fields.insert(SEAL.to_owned(), Value::String(seal.to_string()));
        }
        canonical(&mut value)
    }

    /// Reads and checks everything that can be checked without the members.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let unreadable = |error: serde_json::Error| ManifestError::Unreadable(error.to_string());
        let mut value: Value = serde_json::from_slice(bytes).map_err(unreadable)?;
        check_format(&value)?;
        if canonical(&mut value)? != bytes {
            return Err(ManifestError::NotCanonical);
        }
        let seal = value.as_object_mut().and_then(|fields| fields.remove(SEAL));
        if seal != Some(Value::String(Digest::of(&canonical(&mut value)?).to_string())) {
            return Err(ManifestError::Checksum);
        }
        let manifest: Self = serde_json::from_value(value).map_err(unreadable)?;
        if manifest.to_bytes()? != bytes {
            return Err(ManifestError::NotCanonical);
        }
        Ok(manifest)
    }

    /// Rows of all inserts and updates.
    pub fn rows(&self) -> u64 {
        self.count(|kind| kind != MemberKind::Tombstones)
    }

    /// Keys of all tombstones.
    pub fn tombstones(&self) -> u64 {
        self.count(|kind| kind == MemberKind::Tombstones)
    }

    fn count(&self, of: impl Fn(MemberKind) -> bool) -> u64 {
        self.members().filter(|member| of(member.kind)).map(|member| member.rows).sum()
    }

    /// Every member, in file order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.tables.iter().flat_map(|table| &table.members)
    }
}

/// Keys sorted, no white space. Whether `serde_json` sorts by itself depends on what other crates ask of it.
fn canonical(value: &mut Value) -> Result<Vec<u8>, ManifestError> {
    value.sort_all_objects();
    serde_json::to_vec(value).map_err(|error| ManifestError::Unreadable(error.to_string()))
}

/// The format comes first: a newer manifest may have fields this program cannot judge.
fn check_format(value: &Value) -> Result<(), ManifestError> {
    let found = value.get("format").and_then(Value::as_str).unwrap_or_default();
    if found == BUNDLE_FORMAT {
        return Ok(());
    }
    let version = found.strip_prefix("salesync-bundle/").and_then(|version| version.parse::<u32>().ok());
    match version {
        Some(version) if version != 1 => Err(ManifestError::Format {
            found: found.to_owned(),
            older: if version > 1 { "this program" } else { "the program that wrote the bundle" },
        }),
        _ => Err(ManifestError::Unreadable("it does not name the format salesync-bundle".to_owned())),
    }
}
