//! What head office does without asking a person.

/// How head office takes what branches send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// What becomes of tables and columns that are new.
    pub schema_changes: SchemaChanges,
    /// The largest part of a branch's rows of a table that a cut may delete by itself, from 0 to 1.
    pub max_delete_fraction: f64,
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
