//! Values and their rules. Nothing here reads or writes anything.

mod count;
mod day;
mod encryption;
mod failure;
mod finding;
mod hex;
mod identity;
mod key_ring;
mod legible;
mod manifest;
mod manifest_check;
mod name;
mod probe;
mod receipt;
mod request;
mod signature;
mod span;
mod sql;
mod stage;
mod sum;
mod table;
mod totals;
mod window;

pub use count::Count;
pub use day::is_day;
pub use encryption::{Identities, Identity, Locked, NotAnAgeKey, Recipient};
pub use failure::{Failure, Kind};
pub use finding::{Check, Examination, Finding, Grade};
pub use identity::{BundleId, Digest, Epoch, Sequence};
pub use key_ring::{Distrust, KeyRing, TrustedKey};
pub use legible::{legible, legible_lines};
pub use manifest::{
    BUNDLE_FORMAT, Confirmation, Cut, KeyRange, MANIFEST_LIMIT, MOST_CONFIRMATIONS, Manifest, ManifestError,
    Member, MemberKind, Mode, TableChange,
};
pub use name::NodeName;
pub use probe::{ANSWER_FORMAT, KeyStanding, PROBE_FORMAT, Probe, ProbeAnswer};
pub use receipt::{MemberTotals, RECEIPT_FORMAT, Receipt, ReceiptOutcome, TOLERABLE_SKEW_MS, TableEffect};
pub use request::{REQUEST_FORMAT, Request, Wanted};
pub use signature::{KeyId, NotAKey, PublicKey, Signable, Signature, SigningKey};
pub use span::span_in_words;
pub use sql::{quote_identifier, quote_literal};
pub use stage::{Extent, Onlooker, Stage};
pub use sum::{ExactSum, NotANumber};
pub use table::{Column, TableName, is_summed, key_columns, orders_as_text};
pub use totals::{ColumnTotal, DAY_TOTALS_LIMIT, DayTotal, DayTotals, MOST_DAYS, Totals};
pub use window::{Pace, Window};
