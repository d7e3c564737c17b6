//! Head office's answer to a bundle.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::day::is_clock_time;
use super::{BundleId, DayTotals, Digest, Epoch, Manifest, MemberKind, NodeName, Sequence, Totals, legible};

/// The format this program writes, and the only one it reads.
pub const RECEIPT_FORMAT: &str = "salesync-receipt/1";

/// A clock that is wrong by no more than this, in milliseconds, does not have to be told.
pub const TOLERABLE_SKEW_MS: i64 = 60_000;

/// Head office's answer to a bundle. It is written in the transaction that decided it, and may reach
/// the branch late, twice, or after a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`RECEIPT_FORMAT`].
    pub format: String,
    /// The branch it is for.
    pub branch: NodeName,
    /// The bundle's epoch.
    pub epoch: Epoch,
    /// The bundle's number.
    pub sequence: Sequence,
    /// The bundle's identity.
    pub bundle_id: BundleId,
    /// SHA-256 of the manifest, as head office received it.
    pub manifest_sha256: Digest,
    /// What became of it.
    pub outcome: ReceiptOutcome,
    /// Why it was held or rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was done to head office's tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableEffect>,
    /// Head office's clock when the bundle came.
    pub received_at: DateTime<Utc>,
    /// Head office's clock when it decided.
    pub decided_at: DateTime<Utc>,
    /// Head office's clock when the bundle came, minus the branch's clock when it was sealed, in
    /// milliseconds: how much the former is ahead, and the time on the way. If it is negative, the
    /// branch's clock is ahead by at least as much.
    pub clock_skew_ms: i64,
}

/// What became of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceiptOutcome {
    /// It is in head office's tables.
    Applied,
    /// It waits for an earlier one, or for a person.
    Held,
    /// It will not be applied as it is.
    Rejected,
}

impl ReceiptOutcome {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Held => "held",
            Self::Rejected => "rejected",
        }
    }
}

/// What was done to one table of head office.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableEffect {
    /// The table.
    pub table: String,
    /// Rows added.
    pub inserted: u64,
    /// Rows overwritten.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Rows that were not as the branch took them to be: an insert that found a row, an update or a
    /// tombstone that found none. They were put right.
    pub divergences: u64,
    /// The control totals as head office computed them while it took the rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberTotals>,
    /// The business days of the bundle as they are in head office's own table, and so at the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<DayTotals>,
}

impl TableEffect {
    /// The same without totals and days.
    #[must_use]
    pub fn counts(&self) -> Self {
        let Self { inserted, updated, deleted, divergences, .. } = *self;
        Self { table: self.table.clone(), inserted, updated, deleted, divergences, ..Self::default() }
    }
}

/// The control totals of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberTotals {
    /// What its rows are.
    pub kind: MemberKind,
    /// How many.
    pub rows: u64,
    /// Their sums, by column.
    pub totals: Totals,
}

impl Receipt {
    /// The answer to the bundle with this manifest that came at `received_at`, decided now.
    pub fn new(
        manifest: &Manifest,
        manifest_sha256: Digest,
        received_at: DateTime<Utc>,
        outcome: ReceiptOutcome,
    ) -> Self {
        Self {
            format: RECEIPT_FORMAT.to_owned(),
            branch: manifest.branch.clone(),
            epoch: manifest.epoch,
            sequence: manifest.sequence,
            bundle_id: manifest.bundle_id,
            manifest_sha256,
            outcome,
            reason: None,
            tables: Vec::new(),
            received_at,
            decided_at: Utc::now(),
            clock_skew_ms: (received_at - manifest.created_at).num_milliseconds(),
        }
    }

    /// The same answer with its reason.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    /// The same answer with what was done.
    #[must_use]
    pub fn with_effects(mut self, tables: Vec<TableEffect>) -> Self {
        self.tables = tables;
        self
    }

    /// Reads a receipt; its reason is made [legible].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut receipt: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if receipt.format != RECEIPT_FORMAT {
            return Err(format!("its format is {:?}, this program reads {RECEIPT_FORMAT}", receipt.format));
        }
        if receipt.reason.as_ref().is_some_and(|reason| reason.contains('\0')) {
            return Err("its reason is no text that a database can keep".to_owned());
        }
        if ![receipt.received_at, receipt.decided_at].into_iter().all(is_clock_time) {
            return Err("its times are none that a clock shows".to_owned());
        }
        receipt.reason = receipt.reason.as_deref().map(legible);
        Ok(receipt)
    }
}
