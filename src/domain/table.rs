//! Tables and columns as the manifest names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Failure, Kind, legible, quote_identifier};

/// A table with its schema. Both names stand as PostgreSQL stores them, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableName {
    /// The schema, `public`.
    pub schema: String,
    /// The table itself, `sales`.
    pub table: String,
}

impl TableName {
    /// The qualified, quoted name for SQL.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.table))
    }
}

/// `public.sales`, with quotes only where SQL would need them. Control characters are escaped: a name
/// from a bundle must not speak to the terminal.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", shown(&self.schema), shown(&self.table))
    }
}

fn shown(name: &str) -> String {
    if is_plain(name) {
        return name.to_owned();
    }
    quote_identifier(&legible(name))
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Reads `sales`, `public.sales` or `"My Schema"."Sales"` by SQL's own rules: what is not quoted is
/// folded to lower case, and a table without a schema is in `public`.
impl FromStr for TableName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::new(Kind::Configuration, format!("reading the table name {text:?}"), why)
                .hint("write it as public.sales, or quoted as \"My Schema\".\"Sales\"")
        };
        let (first, rest) = take_identifier(text).ok_or_else(|| wrong("it is not an SQL name"))?;
        let (schema, table) = match rest.strip_prefix('.') {
            None if rest.is_empty() => ("public".to_owned(), first),
            None => return Err(wrong("it is not an SQL name")),
            Some(rest) => match take_identifier(rest) {
                Some((table, "")) => (first, table),
                _ => return Err(wrong("it is not an SQL name")),
            },
        };
        if !is_storable(&schema) || !is_storable(&table) {
            return Err(wrong("a name has 1 to 63 bytes and no NUL"));
        }
        Ok(Self { schema, table })
    }
}

/// True for what PostgreSQL can store as a name: 1 to 63 bytes, no NUL.
pub(super) fn is_storable(name: &str) -> bool {
    (1..=63).contains(&name.len()) && !name.contains('\0')
}

/// One identifier from the front of `text`, and what follows it.
fn take_identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(['.', '"', ' ', ',', ';', '(', ')', '\'']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_lowercase(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(after) = rest.strip_prefix('"') else {
            return Some((name, rest));
        };
        name.push('"');
        rest = after;
    }
}

/// A column as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, as PostgreSQL stores it.
    pub name: String,
    /// The built-in PostgreSQL type that holds its text form, with modifiers: `numeric(12,2)`. A
    /// type of the branch's own (an enum, a domain, an extension's) travels as the built-in one
    /// beneath it, or as `text`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its place in the primary key, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u16>,
}

/// The columns of the key, in the key's order.
pub fn key_columns(columns: &[Column]) -> Vec<&Column> {
    let mut key: Vec<&Column> = columns.iter().filter(|column| column.key.is_some()).collect();
    key.sort_by_key(|column| column.key);
    key
}

/// True if sums of this type are exact, so that control totals carry them.
pub fn is_summed(type_name: &str) -> bool {
    let base = type_name.split('(').next().unwrap_or_default();
    !type_name.ends_with("[]") && matches!(base, "smallint" | "integer" | "bigint" | "numeric")
}

/// True if keys of this type are compared as text in the "C" collation.
///
/// The order of text depends on a database's collation, and branch and head office may have
/// different ones; without this a key range would mean one set of rows here and another there.
pub fn orders_as_text(type_name: &str) -> bool {
    let element = type_name.strip_suffix("[]").unwrap_or(type_name);
    let base = element.split('(').next().unwrap_or_default();
    matches!(base, "text" | "character" | "bpchar" | "character varying" | "name")
}

/// True for the text of a built-in type, as `format_type` writes it, and nothing that could be more
/// than a type when it stands in a statement.
///
/// Head office puts this text into its own DDL, so words are not enough: `integer default f()` is
/// made of harmless letters too. It is one word or one of the known phrases, with at most one pair
/// of parentheses, and in these nothing but numbers.
pub(super) fn is_type_text(text: &str) -> bool {
    let element = text.strip_suffix("[]").unwrap_or(text);
    let Some((before, modified)) = element.split_once('(') else {
        return is_type_name(element);
    };
    let Some((modifiers, after)) = modified.split_once(')') else {
        return false;
    };
    is_type_name(&format!("{before}{after}")) && modifiers.split(',').all(is_modifier)
}

fn is_type_name(name: &str) -> bool {
    const QUOTED: [&str; 2] = ["\"char\"", "\"bit\""];
    const PHRASES: [&str; 7] = [
        "double precision",
        "character varying",
        "bit varying",
        "time with time zone",
        "time without time zone",
        "timestamp with time zone",
        "timestamp without time zone",
    ];
    let is_interval = || {
        name.strip_prefix("interval ")
            .is_some_and(|fields| fields.split(" to ").all(|field| INTERVAL_FIELDS.contains(&field)))
    };
    is_plain(name) && name.len() <= 63 || QUOTED.contains(&name) || PHRASES.contains(&name) || is_interval()
}

const INTERVAL_FIELDS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];

fn is_modifier(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String) {
        let name: TableName = text.parse().unwrap();
        (name.schema, name.table)
    }

    #[test]
    fn table_names_are_read_as_sql_reads_them() {
        assert_eq!(parsed("sales"), ("public".into(), "sales".into()));
        assert_eq!(parsed("Shop.Sales"), ("shop".into(), "sales".into()));
        assert_eq!(parsed(r#""My Shop"."Sa""les.""#), ("My Shop".into(), "Sa\"les.".into()));
        for bad in ["", ".", "a.", "a.b.c", "\"", "\"a", "a b", "a;b", "\"\"", &"x".repeat(64)] {
            assert!(bad.parse::<TableName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_shown_table_name_reads_back_as_itself() {
        for name in ["public.sales", r#""Mixed".x"#, r#"public."a""b""#] {
            assert_eq!(name.parse::<TableName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_table_name_does_not_speak_to_the_terminal() {
        let name = TableName { schema: "public".to_owned(), table: "a\u{1b}[2J\n".to_owned() };
        assert_eq!(name.to_string(), "public.\"a\\u{1b}[2J\\n\"");
    }

    #[test]
    fn type_texts_cannot_carry_sql() {
        let good = [
            "bigint",
            "numeric(12,2)",
            "numeric(3,-2)[]",
            "timestamp(3) with time zone",
            "timestamp without time zone",
            "\"char\"",
            "bit varying(5)[]",
            "double precision",
            "interval day to second(3)",
            "interval(3)",
            "int4range",
        ];
        for good in good {
            assert!(is_type_text(good), "{good} was refused");
        }
        let bad = [
            "",
            "text; drop table x",
            "text'",
            "public.mood",
            "text -- ",
            "\"x\"",
            "Text",
            "[]",
            "()",
            "text()",
            "numeric(12,2",
            "numeric(12)(2)",
            "numeric(f())",
            "text default current_user",
            "integer default lo_create(0)",
            "integer primary key",
            "integer check(false)",
            "interval day to select",
            "text[][]",
        ];
        for bad in bad {
            assert!(!is_type_text(bad), "{bad} was accepted");
        }
    }
}
