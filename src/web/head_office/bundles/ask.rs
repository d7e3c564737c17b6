//! What is looked for in the ledger, and which bundle an address means.

use serde::Deserialize;
use uuid::Uuid;

use crate::domain::{Epoch, Failure, Kind, NodeName, Sequence};
use crate::head_office::history::{ArrivalFilter, ArrivalTurn, ArrivedAs};
use crate::web::bundle::place;
use crate::web::field::{day, given};
use crate::web::trouble::Trouble;

/// The query as it came.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::head_office) struct BundlesQuery {
    pub(super) branch: String,
    pub(super) outcome: String,
    /// `7` or `7-12`.
    pub(super) sequence: String,
    /// The beginning of a bundle's id.
    pub(super) id: String,
    /// The beginning of its manifest's hash.
    pub(super) hash: String,
    pub(super) from: String,
    pub(super) to: String,
    before: String,
    after: String,
}

impl BundlesQuery {
    pub(super) fn filter(&self) -> Result<ArrivalFilter, Failure> {
        let branch = given(&self.branch).map(str::parse::<NodeName>).transpose();
        let outcome = given(&self.outcome).map(|word| {
            let found = ArrivedAs::ALL.into_iter().find(|outcome| outcome.as_str() == word);
            found.ok_or_else(|| wrong("outcome", "it is `applied`, `held`, `rejected` or `duplicate`"))
        });
        let (first, last) = match given(&self.sequence) {
            None => (None, None),
            Some(text) => {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                (Some(sequence(first)?), Some(sequence(last)?))
            }
        };
        let day = |field, text| day(text).map_err(|why| wrong(field, why));
        let filter = ArrivalFilter {
            branch: branch.map_err(|failure| failure.as_kind(Kind::Usage))?,
            outcome: outcome.transpose()?,
            first,
            last,
            ids: given(&self.id).map(ids).transpose()?,
            manifest: given(&self.hash).map(|text| hexadecimal("hash", text, 64)).transpose()?,
            from: day("from", &self.from)?,
            to: day("to", &self.to)?,
        };
        if filter.from.zip(filter.to).is_some_and(|(from, to)| from > to) {
            return Err(wrong("from", "it comes after the last day"));
        }
        Ok(filter)
    }

    pub(super) fn turn(&self) -> Result<ArrivalTurn, Failure> {
        let number =
            |field, text: &str| text.parse().map_err(|_| wrong(field, "it is no place in the ledger"));
        match (given(&self.before), given(&self.after)) {
            (Some(before), _) => Ok(ArrivalTurn::Before(number("before", before)?)),
            (None, Some(after)) => Ok(ArrivalTurn::After(number("after", after)?)),
            (None, None) => Ok(ArrivalTurn::Newest),
        }
    }

    /// The address of another page of the same.
    pub(super) fn address(&self, field: &str, value: i64) -> String {
        let value = value.to_string();
        let Self { branch, outcome, sequence, id, hash, from, to, .. } = self;
        let kept = [
            ("branch", branch),
            ("outcome", outcome),
            ("sequence", sequence),
            ("id", id),
            ("hash", hash),
            ("from", from),
            ("to", to),
            (field, &value),
        ];
        let kept: Vec<_> = kept.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        format!("/bundles?{}", serde_urlencoded::to_string(&kept).unwrap_or_default())
    }
}

/// Which bundle `/bundles/{branch}/{epoch}/{sequence}` means. What can mean none is not there.
pub(super) fn whose(
    (branch, epoch, sequence): &(String, String, String),
) -> Result<(NodeName, Epoch, Sequence), Trouble> {
    let (epoch, sequence) = place(epoch, sequence)?;
    Ok((branch.parse().map_err(|_| Trouble::NotFound)?, epoch, sequence))
}

fn sequence(text: &str) -> Result<i64, Failure> {
    let number = text.trim().parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| wrong("sequence", "write it as 7, or as 7-12"))
}

/// The lowest and the highest id that begin so.
fn ids(text: &str) -> Result<(Uuid, Uuid), Failure> {
    let digits = hexadecimal("id", &text.replace('-', ""), 32)?;
    let filled = |with: char| {
        let text: String = digits.chars().chain(std::iter::repeat(with)).take(32).collect();
        Uuid::parse_str(&text).map_err(|_| wrong("id", "it is no beginning of a bundle's id"))
    };
    Ok((filled('0')?, filled('f')?))
}

fn hexadecimal(field: &str, text: &str, longest: usize) -> Result<String, Failure> {
    if text.len() <= longest && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(wrong(field, "it is made of the digits 0 to 9 and a to f"))
}

fn wrong(field: &str, why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("reading the field `{field}`"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_is_taken_for_an_answerable_question() {
        for query in [
            "branch=_rejected",
            "outcome=lost",
            "sequence=-1",
            "sequence=a",
            "sequence=1-2-3",
            "sequence=99999999999999999999",
            "id=xyz",
            "id=0123456789012345678901234567890123",
            "hash=%25",
            "from=2026-02-30",
            "from=2026-02-02&to=2026-02-01",
        ] {
            let query: BundlesQuery = serde_urlencoded::from_str(query).unwrap();
            assert_eq!(query.filter().unwrap_err().kind(), Kind::Usage, "{query:?}");
        }
        let query: BundlesQuery = serde_urlencoded::from_str("before=x").unwrap();
        assert!(query.turn().is_err());
    }

    #[test]
    fn an_address_that_means_no_bundle_is_not_there() {
        let epoch = "0190a000-0000-7000-8000-000000000000";
        for (branch, epoch, sequence) in [
            ("..", epoch, "1"),
            ("east", "..", "1"),
            ("east", epoch, "0"),
            ("east", epoch, "-1"),
            ("east", epoch, "18446744073709551615"),
            ("east", epoch, "1.bundle"),
        ] {
            let address = [branch, epoch, sequence].map(str::to_owned);
            assert!(whose(&address.into()).is_err(), "{branch} {epoch} {sequence}");
        }
    }
}
