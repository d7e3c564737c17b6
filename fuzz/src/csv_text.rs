//! COPY's CSV, read character by character as PostgreSQL's documentation has it, and added up as bundles/README.md says.

use bigdecimal::BigDecimal;
use serde_json::{Map, Value, json};

/// A field: nothing, or a text, and whether there were quotes in it.
pub struct Field {
    /// Its text.
    pub text: Vec<u8>,
    /// Whether a part of it was quoted.
    pub is_quoted: bool,
}

impl Field {
    /// NULL is nothing without quotes.
    pub fn is_null(&self) -> bool {
        self.text.is_empty() && !self.is_quoted
    }
}

/// The rows of this text; none if it is not rows from beginning to end.
pub fn rows(text: &[u8]) -> Option<Vec<Vec<Field>>> {
    let new = || Field { text: Vec::new(), is_quoted: false };
    let (mut rows, mut row, mut field, mut is_open) = (Vec::new(), Vec::new(), new(), false);
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, is_open) {
            (b'"', true) if bytes.peek() == Some(&b'"') => {
                bytes.next();
                field.text.push(b'"');
            }
            (b'"', _) => (field.is_quoted, is_open) = (true, !is_open),
            (b',', false) => row.push(std::mem::replace(&mut field, new())),
            (b'\n', false) => {
                row.push(std::mem::replace(&mut field, new()));
                rows.push(std::mem::take(&mut row));
            }
            (b'\r', false) => return None,
            _ => field.text.push(byte),
        }
    }
    let is_whole = !is_open && row.is_empty() && field.is_null();
    is_whole.then_some(rows)
}

/// A row of these fields, as PostgreSQL writes it.
pub fn row(fields: &[Option<String>]) -> Vec<u8> {
    let written = |field: &Option<String>| match field {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || text == "\\." => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.clone(),
    };
    let mut line = fields.iter().map(written).collect::<Vec<_>>().join(",").into_bytes();
    line.push(b'\n');
    line
}

/// Number of rows and control totals of these rows; none if they are not what a member with these columns may hold.
pub fn totals(text: &[u8], columns: &[(String, String)]) -> Option<(u64, Value)> {
    let rows = rows(text)?;
    let ends_the_data = |row: &[Field]| matches!(row, [only] if only.text == b"\\." && !only.is_quoted);
    if rows.iter().any(|row| row.len() != columns.len() || ends_the_data(row)) {
        return None;
    }
    let mut totals = Map::new();
    for (place, (name, type_name)) in columns.iter().enumerate() {
        if is_summed(type_name) {
            totals.insert(name.clone(), total(rows.iter().map(|row| &row[place]))?);
        }
    }
    Some((rows.len() as u64, totals.into()))
}

/// Columns of these types have control totals.
pub fn is_summed(type_name: &str) -> bool {
    ["smallint", "integer", "bigint", "numeric"].contains(&type_name)
        || type_name.starts_with("numeric(") && !type_name.ends_with("[]")
}

fn total<'f>(fields: impl Iterator<Item = &'f Field>) -> Option<Value> {
    let (mut sum, mut places, mut values, mut non_finite) = (BigDecimal::from(0), 0, 0_u64, 0_u64);
    for field in fields.filter(|field| !field.is_null()) {
        let text = std::str::from_utf8(&field.text).ok().filter(|_| !field.is_quoted)?;
        values += 1;
        if ["NaN", "Infinity", "-Infinity"].contains(&text) {
            non_finite += 1;
            continue;
        }
        places = places.max(decimal_places(text)?);
        sum += text.parse::<BigDecimal>().ok()?;
    }
    let mut total = json!({"sum": sum.with_scale(places).to_plain_string(), "values": values});
    if non_finite > 0 {
        total["non_finite"] = non_finite.into();
    }
    Some(total)
}

/// The decimal places of a number: digits, `-` in front if it is negative, a point only if digits follow.
pub fn decimal_places(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, places) =
        digits.split_once('.').map_or((digits, None), |(whole, places)| (whole, Some(places)));
    let are_digits = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = are_digits(whole) && places.is_none_or(are_digits) && text.len() <= 150_000;
    is_number.then(|| places.map_or(0, |places| i64::try_from(places.len()).unwrap_or(i64::MAX)))
}
