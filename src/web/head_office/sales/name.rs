//! Regions and products as they stand in a field of the filter, and how one is written there that means exactly this name.
//!
//! What is written is a name, or how names begin: `Te*`. A name of which that would be misunderstood - it ends in `*`, is empty,
//! has blanks at its ends - stands in quotes: `"Te*"`. `(none)` are the sales that have none.

use crate::head_office::sales::NameFilter;
use crate::web::field::given;

/// No name is looked for that is longer, in bytes.
pub(super) const LONGEST: usize = 1000;
/// The sales without a name.
pub(super) const MISSING: &str = "(none)";

/// What a field means, if it says something.
pub(super) fn name_filter(text: &str) -> Result<Option<NameFilter>, &'static str> {
    let Some(text) = given(text) else { return Ok(None) };
    if text.len() > LONGEST + 2 {
        return Err("it is longer than any name that is looked for");
    }
    Ok(Some(if text == MISSING {
        NameFilter::Missing
    } else if let Some(name) = quoted(text) {
        NameFilter::Exactly(name.to_owned())
    } else if let Some(start) = text.strip_suffix('*') {
        NameFilter::BeginsWith(start.to_owned())
    } else {
        NameFilter::Exactly(text.to_owned())
    }))
}

/// What is between the quotes.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// What to write for exactly this name; none if it is too long to be asked for.
pub(super) fn as_written(name: Option<&str>) -> Option<String> {
    let Some(name) = name else { return Some(MISSING.to_owned()) };
    // A field holds one line, and an address no character that is none.
    if name.len() > LONGEST || name.contains(['\r', '\n', '\u{fffd}']) {
        return None;
    }
    let is_plain = name_filter(name) == Ok(Some(NameFilter::Exactly(name.to_owned())));
    Some(if is_plain { name.to_owned() } else { format!("\"{name}\"") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_what_is_written_for_it() {
        for name in [
            "Tea",
            "Te*",
            "*",
            "",
            " ",
            " Tea ",
            "\"Tea\"",
            "\"",
            "\"\"",
            "\"Te",
            "(none)",
            "Caf\u{e9} \u{2003}",
        ] {
            let written = as_written(Some(name)).unwrap();
            assert_eq!(name_filter(&written), Ok(Some(NameFilter::Exactly(name.to_owned()))), "{name:?}");
        }
        assert_eq!(as_written(Some("Tea")).unwrap(), "Tea");
        let missing = as_written(None).unwrap();
        assert_eq!(name_filter(&missing), Ok(Some(NameFilter::Missing)));
        assert_eq!(name_filter("Te*"), Ok(Some(NameFilter::BeginsWith("Te".to_owned()))));
        assert_eq!(name_filter("  "), Ok(None));
    }

    #[test]
    fn a_name_that_is_too_long_has_no_address_and_none_is_looked_for() {
        let (longest, longer) = ("x".repeat(LONGEST), "x".repeat(LONGEST + 3));
        assert_eq!(name_filter(&longest), Ok(Some(NameFilter::Exactly(longest.clone()))));
        assert!(name_filter(&longer).is_err() && as_written(Some(&longer)).is_none());
        // It is as long as it may be, and in quotes.
        let blanks = " ".repeat(LONGEST);
        let written = as_written(Some(&blanks)).unwrap();
        assert_eq!(name_filter(&written), Ok(Some(NameFilter::Exactly(blanks))));
        assert_eq!(as_written(Some("two\nlines")), None);
    }
}
