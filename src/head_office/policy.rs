//! What head office does without asking a person.

/// How head office takes what branches send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// What becomes of tables and columns that are new.
    pub schema_changes: SchemaChanges,
    /// The largest part of a branch's rows of a table that a cut may delete by itself, from 0 to 1.
    pub max_delete_fraction: f64,
}

/// So many rows may go in one cut, whatever part of the table they are.
pub(super) const HARMLESS: u64 = 1000;

impl Policy {
    /// Whether a cut that deletes so many of a branch's rows waits for a person.
    #[expect(clippy::cast_precision_loss, reason = "a fraction of rows is no exact thing")]
    pub fn holds_deletion(self, deleted: u64, of: u64) -> bool {
        deleted >= HARMLESS && deleted as f64 > of as f64 * self.max_delete_fraction
    }
}

/// What becomes of tables and columns that are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaChanges {
    /// Head office makes them.
    Apply,
    /// The bundle waits until a person has made or approved them.
    Hold,
}

impl Default for Policy {
    fn default() -> Self {
        Self { schema_changes: SchemaChanges::Apply, max_delete_fraction: 0.2 }
    }
}
