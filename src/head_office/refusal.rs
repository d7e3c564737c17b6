//! Whose fault it is: the bundle's, which is then rejected or held, or the world's, which passes.

use postgres::Error;
use postgres::error::SqlState;

use super::hold::{Hold, HoldKind};
use crate::database::{LoadError, database_failure, is_passing};
use crate::domain::{Failure, Kind};

/// Why a bundle was not applied.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The bundle cannot be applied, now or later: the reason, for the branch and the operator.
    Rejected(String),
    /// It is kept, and waits for a person.
    Held(Hold),
    /// It could not be tried properly: the message stays where it is.
    Failed(Failure),
}

impl Refusal {
    pub(super) fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }
}

impl From<Failure> for Refusal {
    /// Damage is the bundle's own, everything else is not.
    fn from(failure: Failure) -> Self {
        if failure.kind() == Kind::Damaged {
            Self::Rejected(failure.to_string())
        } else {
            Self::Failed(failure)
        }
    }
}

impl From<LoadError> for Refusal {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Database { doing, error } => judged(&doing, &error),
            LoadError::Content(why) => Self::Rejected(why),
            LoadError::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// Data, constraints, views' conditions, limits such as the width of an index entry, raised by triggers; types
/// that this server cannot read, or whose values it cannot compare.
const CONTENT: [&str; 7] = ["22", "23", "44", "54", "P0", "0A", "42883"];
/// What a statement made from a manifest's own words can be wrong in besides: features, and sense.
const DEFINITION: [&str; 4] = ["0A", "22", "42", "54"];

/// A database error while `doing` something with a bundle's content.
pub(super) fn judged(doing: &str, error: &Error) -> Refusal {
    judged_by(&CONTENT, doing, error)
}

/// A database error while `doing` something to head office's tables, or asking something of them, in the
/// manifest's own words.
pub(super) fn judged_definition(doing: &str, error: &Error) -> Refusal {
    judged_by(&DEFINITION, doing, error)
}

/// The same while making what was missing a moment ago. If it is there now, somebody was faster, and that is nothing
/// against the bundle.
pub(super) fn judged_making(doing: &str, error: &Error) -> Refusal {
    const THERE_ALREADY: [SqlState; 5] = [
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_COLUMN,
        SqlState::DUPLICATE_SCHEMA,
        SqlState::DUPLICATE_OBJECT,
        SqlState::UNIQUE_VIOLATION,
    ];
    if error.code().is_some_and(|code| THERE_ALREADY.contains(code)) {
        return Refusal::Failed(database_failure(doing, error).hint("run `salesync apply` again"));
    }
    judged_definition(doing, error)
}

fn judged_by(classes: &[&str], doing: &str, error: &Error) -> Refusal {
    let Some(db) = error.as_db_error() else {
        return Refusal::Failed(database_failure(doing, error));
    };
    // Missing rights and wrong settings are head office's own trouble, and so is whatever passes.
    let is_bundles = classes.iter().any(|class| db.code().code().starts_with(class));
    if is_passing(error) || !is_bundles || *db.code() == SqlState::INSUFFICIENT_PRIVILEGE {
        return Refusal::Failed(database_failure(doing, error));
    }
    if *db.code() == SqlState::CHECK_VIOLATION && db.table().is_some() && db.constraint().is_none() {
        // No condition that somebody has put on the rows: the table's own division has no place for them.
        let why = format!("{}; make a partition for it", database_failure(doing, error));
        return Refusal::Held(Hold::new(HoldKind::Schema, &why));
    }
    let parts = [("table", db.table()), ("column", db.column()), ("constraint", db.constraint())];
    let named: String =
        parts.iter().filter_map(|(what, name)| Some(format!(", {what} {}", (*name)?))).collect();
    Refusal::Rejected(format!("{}{named}", database_failure(doing, error)))
}
