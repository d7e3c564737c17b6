//! Every rule of bundles/README.md about `manifest.json`, from its tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};
use serde_json::{Map, Value};

use super::csv_text::{decimal_places, is_summed};
use super::file::digest;

/// What has a rule against it, told by its first words.
type Broken = Result<(), String>;

fn rule(holds: bool, words: &str) -> Broken {
    if holds { Ok(()) } else { Err(words.to_owned()) }
}

/// The manifest in these bytes; the rule it breaks if it is none.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    rule(bytes.len() <= 4 << 20, "at most 4 MiB")?;
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    rule(canonical(&value) == bytes, "one value has one text")?;
    manifest(&value)?;
    rule(sealed(&value) == bytes, "the seal is that of the rest")?;
    Ok(value)
}

/// The text of a manifest with the seal that fits it.
pub fn sealed(manifest: &Value) -> Vec<u8> {
    let mut fields = manifest.as_object().cloned().unwrap_or_default();
    fields.remove("self_sha256");
    let seal = digest(&canonical(&fields.clone().into()));
    fields.insert("self_sha256".to_owned(), seal.into());
    canonical(&fields.into())
}

/// The one text of a value.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut text = String::new();
    write(value, &mut text);
    text.into_bytes()
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let sorted: BTreeSet<&String> = fields.keys().collect();
            text.push('{');
            for (place, name) in sorted.into_iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                write_text(name, text);
                text.push(':');
                write(&fields[name], text);
            }
            text.push('}');
        }
        Value::String(content) => write_text(content, text),
        other => text.push_str(&other.to_string()),
    }
}

fn write_text(content: &str, text: &mut String) {
    text.push('"');
    for c in content.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

/// An object with these fields and no others; those with `?` may be absent.
fn object<'v>(value: &'v Value, names: &str) -> Result<&'v Map<String, Value>, String> {
    let fields = value.as_object().ok_or("an object")?;
    let known: BTreeSet<&str> = names.split(' ').map(|name| name.trim_end_matches('?')).collect();
    rule(fields.keys().all(|name| known.contains(name.as_str())), "no field that is not listed")?;
    let needed = names.split(' ').filter(|name| !name.ends_with('?'));
    rule(needed.into_iter().all(|name| fields.contains_key(name)), "every field that is not optional")?;
    Ok(fields)
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "a text".to_owned())
}

fn array(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "an array".to_owned())
}

fn integer(value: &Value, least: u64, most: u64) -> Result<u64, String> {
    let number = value.as_u64().ok_or("an integer")?;
    rule((least..=most).contains(&number), "an integer within its bounds")?;
    Ok(number)
}

const BIGINT: u64 = i64::MAX.unsigned_abs();

fn manifest(value: &Value) -> Broken {
    let names = "format bundle_id branch epoch sequence previous cut created_at confirmations? tool tables \
                 self_sha256";
    let fields = object(value, names)?;
    rule(fields["format"] == "salesync-bundle/1", "the format")?;
    uuid(&fields["bundle_id"])?;
    uuid(&fields["epoch"])?;
    let branch = text(&fields["branch"])?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins_well = branch.starts_with(|c: char| c.is_ascii_lowercase());
    rule(begins_well && branch.len() <= 63 && branch.bytes().all(is_plain), "a branch's name")?;
    let sequence = integer(&fields["sequence"], 1, BIGINT)?;
    match &fields["previous"] {
        Value::Null => rule(sequence == 1, "only the first has no previous one")?,
        digest => {
            rule(sequence > 1, "the first has no previous one")?;
            is_digest(digest)?;
        }
    }
    let taken_at = cut(&fields["cut"], sequence)?;
    rule(taken_at <= time(&fields["created_at"])?, "no seal before the cut")?;
    fields.get("confirmations").map_or(Ok(()), |told| confirmations(told, sequence))?;
    let tool = text(&fields["tool"])?;
    rule(tool.len() <= 100 && tool.bytes().all(|b| (b' '..=b'~').contains(&b)), "a tool's name")?;
    let tables = array(&fields["tables"])?;
    rule(!tables.is_empty(), "at least one table")?;
    let names: BTreeSet<Vec<u8>> = tables.iter().map(|table| canonical(&table["name"])).collect();
    rule(names.len() == tables.len(), "no table twice")?;
    tables.iter().enumerate().try_for_each(|(place, value)| table(place, value))?;
    for size in ["rows", "bytes", "raw_bytes"] {
        let members = tables.iter().filter_map(|table| table["members"].as_array()).flatten();
        let sum: u128 = members.filter_map(|member| member[size].as_u64()).map(u128::from).sum();
        rule(sum <= BIGINT.into(), "sums below 2^63")?;
    }
    Ok(())
}

fn uuid(value: &Value) -> Broken {
    let text = text(value)?.as_bytes();
    let fits = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => *byte == b'7',
        19 => b"89ab".contains(byte),
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
    };
    rule(text.len() == 36 && text.iter().enumerate().all(fits), "a UUIDv7 in lower case")
}

fn is_digest(value: &Value) -> Broken {
    let text = text(value)?;
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    rule(text.len() == 64 && text.bytes().all(is_digit), "a digest")
}

/// RFC 3339 in UTC, with as few decimal places as are exact.
fn time(value: &Value) -> Result<DateTime<FixedOffset>, String> {
    let text = text(value)?;
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00";
    rule(bytes.len() > shape.len() && bytes.is_ascii(), "a time")?;
    let fits = |(byte, like): (&u8, &u8)| if *like == b'0' { byte.is_ascii_digit() } else { byte == like };
    rule(bytes.iter().zip(shape).all(fits), "a time with a year of four digits")?;
    let moment = DateTime::parse_from_rfc3339(text).map_err(|error| error.to_string())?;
    rule(&text[..4] != "0000", "a year from 1 on")?;
    let fraction = text[shape.len()..].strip_suffix('Z').ok_or("a time in UTC")?;
    let places = fraction.strip_prefix('.').unwrap_or(fraction);
    let is_short = fraction.is_empty() || places.len() == 3 && places != "000";
    let is_long = matches!(places.len(), 6 | 9) && !places.ends_with("000");
    rule(is_short || fraction.len() == places.len() + 1 && is_long, "0, 3, 6 or 9 decimal places")?;
    Ok(moment)
}

/// When it was taken.
fn cut(value: &Value, sequence: u64) -> Result<DateTime<FixedOffset>, String> {
    let fields = object(value, "watermark taken_at part last")?;
    let watermark = text(&fields["watermark"])?;
    let is_snapshot = |b: u8| b.is_ascii_digit() || b == b':' || b == b',';
    rule(!watermark.is_empty() && watermark.bytes().all(is_snapshot), "a watermark")?;
    let part = integer(&fields["part"], 1, i32::MAX.unsigned_abs().into())?;
    rule(part <= sequence, "no part with a number above the sequence")?;
    rule(fields["last"].is_boolean(), "true or false")?;
    time(&fields["taken_at"])
}

fn confirmations(value: &Value, sequence: u64) -> Broken {
    let told = array(value)?;
    rule((1..=64).contains(&told.len()), "1 to 64 confirmations")?;
    let mut before = 0;
    for value in told {
        let fields = object(value, "sequence published_at confirmed_at")?;
        let number = integer(&fields["sequence"], before + 1, sequence - 1)?;
        rule(
            time(&fields["published_at"])? <= time(&fields["confirmed_at"])?,
            "no confirmation before it was sent",
        )?;
        before = number;
    }
    Ok(())
}

fn name(value: &Value) -> Broken {
    let name = text(value)?;
    rule((1..=63).contains(&name.len()) && !name.contains('\0'), "a name of 1 to 63 bytes without NUL")
}

/// What is known of a column: name, type, place in the key.
type Column<'v> = (&'v str, &'v str, Option<u64>);

fn table(place: usize, value: &Value) -> Broken {
    let fields = object(value, "name mode columns range? members day_totals?")?;
    let names = object(&fields["name"], "schema table")?;
    names.values().try_for_each(name)?;
    let mode = text(&fields["mode"])?;
    rule(["changes", "repair", "range"].contains(&mode), "a mode")?;
    let columns = columns(&fields["columns"])?;
    let key: Vec<&Column> = columns.iter().filter(|column| column.2.is_some()).collect();
    rule(fields.contains_key("range") == (mode == "range"), "a range in range mode and in no other")?;
    if let Some(range) = fields.get("range") {
        for bound in object(range, "after through")?.values().filter(|bound| !bound.is_null()) {
            let texts = array(bound)?;
            rule(texts.len() == key.len(), "a bound with one text per key column")?;
            let has_nul = |text: &Value| text.as_str().is_none_or(|text| text.contains('\0'));
            rule(!texts.iter().any(has_nul), "texts without NUL")?;
        }
    }
    let mut before = 0;
    for value in array(&fields["members"])? {
        before = member(place, mode, &columns, value, before)?;
    }
    fields.get("day_totals").map_or(Ok(()), |totals| day_totals(&columns, totals))
}

fn columns(value: &Value) -> Result<Vec<Column<'_>>, String> {
    let mut columns = Vec::new();
    for value in array(value)? {
        let fields = object(value, "name type key?")?;
        name(&fields["name"])?;
        let key = fields.get("key").map(|key| integer(key, 1, 1600)).transpose()?;
        columns.push((text(&fields["name"])?, text(&fields["type"])?, key));
    }
    rule((1..=1600).contains(&columns.len()), "1 to 1600 columns")?;
    let names: BTreeSet<&str> = columns.iter().map(|column| column.0).collect();
    rule(names.len() == columns.len(), "no column twice")?;
    columns.iter().try_for_each(|column| rule(is_type(column.1), "a type"))?;
    let key: BTreeSet<u64> = columns.iter().filter_map(|column| column.2).collect();
    let count = columns.iter().filter(|column| column.2.is_some()).count();
    let is_dense = key.len() == count && key.last().is_some_and(|last| *last == count as u64);
    rule(is_dense, "key columns numbered without gaps")?;
    Ok(columns)
}

fn is_type(text: &str) -> bool {
    let element = text.strip_suffix("[]").unwrap_or(text);
    let mut words = element.to_owned();
    if let (Some(from), Some(to)) = (element.find('('), element.find(')')) {
        if to < from {
            return false;
        }
        let is_number = |number: &str| {
            let digits = number.trim_start_matches('-');
            (1..=9).contains(&digits.len())
                && number.len() <= digits.len() + 1
                && digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !element[from + 1..to].split(',').all(is_number) {
            return false;
        }
        words.replace_range(from..=to, "");
    }
    let phrases = "double precision|character varying|bit varying|time with time zone|time without time zone|\
                   timestamp with time zone|timestamp without time zone|\"char\"|\"bit\"";
    let is_word = || {
        words.len() <= 63
            && words.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && words.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let is_interval = || {
        let known = ["year", "month", "day", "hour", "minute", "second"];
        let fields = words.strip_prefix("interval ");
        fields.is_some_and(|fields| fields.split(" to ").all(|field| known.contains(&field)))
    };
    phrases.split('|').any(|phrase| phrase == words) || is_word() || is_interval()
}

const KINDS: [&str; 3] = ["inserts", "updates", "tombstones"];

/// The place of its kind, from 1; it must be after that of the one before.
fn member(
    place: usize,
    mode: &str,
    columns: &[Column],
    value: &Value,
    before: usize,
) -> Result<usize, String> {
    let fields = object(value, "name kind rows bytes raw_bytes sha256 totals")?;
    let kind = text(&fields["kind"])?;
    let order = 1 + KINDS.iter().position(|known| *known == kind).ok_or("a kind")?;
    rule(order > before, "members in order, one of each kind")?;
    rule(mode != "range" || kind == "inserts", "inserts only in a range")?;
    rule(fields["name"] == format!("{place}/{kind}.csv.zst"), "a member's name")?;
    let rows = integer(&fields["rows"], 1, BIGINT)?;
    integer(&fields["bytes"], 1, BIGINT)?;
    integer(&fields["raw_bytes"], rows, BIGINT)?;
    is_digest(&fields["sha256"])?;
    let has_total = |column: &&Column| is_summed(column.1) && (kind != "tombstones" || column.2.is_some());
    let summed: BTreeSet<&str> = columns.iter().filter(has_total).map(|column| column.0).collect();
    let totals = fields["totals"].as_object().ok_or("an object")?;
    rule(totals.keys().map(String::as_str).collect::<BTreeSet<_>>() == summed, "a total per summed column")?;
    totals.values().try_for_each(|value| total(value, rows))?;
    Ok(order)
}

fn total(value: &Value, rows: u64) -> Broken {
    let fields = object(value, "sum values non_finite?")?;
    let sum = text(&fields["sum"])?;
    let digits = sum.strip_prefix('-').unwrap_or(sum);
    let is_short = !digits.starts_with('0') || digits == "0" || digits.starts_with("0.");
    let is_nothing = digits.bytes().all(|b| b == b'0' || b == b'.');
    let is_plain = decimal_places(sum).is_some() && is_short && !(is_nothing && sum.starts_with('-'));
    rule(is_plain, "a sum as PostgreSQL prints it")?;
    let values = integer(&fields["values"], 0, rows)?;
    fields.get("non_finite").map_or(Ok(()), |count| integer(count, 1, values).map(drop))
}

fn day_totals(columns: &[Column], value: &Value) -> Broken {
    let fields = object(value, "column summed days")?;
    let column = text(&fields["column"])?;
    rule(columns.iter().any(|known| known.0 == column), "a business day that is a column")?;
    let summed = columns.iter().filter(|column| is_summed(column.1) && column.2.is_none());
    let summed: Vec<Value> = summed.map(|column| column.0.into()).collect();
    rule(array(&fields["summed"])? == &summed, "the summed columns outside the key")?;
    let mut before = None;
    for value in array(&fields["days"])? {
        let [day, rows, totals] = &array(value)?[..] else { return Err("day, rows, totals".to_owned()) };
        let day = text(day)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b' ';
        rule((1..=13).contains(&day.len()) && day.bytes().all(allowed), "a day")?;
        let rows = integer(rows, 0, BIGINT)?;
        rule(array(totals)?.len() == summed.len(), "one total per summed column")?;
        array(totals)?.iter().try_for_each(|value| day_total(value, rows))?;
        let order = day_order(day);
        rule(before.is_none_or(|before| before < order), "days in ascending order, none twice")?;
        before = Some(order);
    }
    Ok(())
}

/// Only the sum, if every row has a finite value; otherwise like a control total.
fn day_total(value: &Value, rows: u64) -> Broken {
    if value.is_string() {
        return total(&serde_json::json!({"sum": value, "values": rows}), rows);
    }
    total(value, rows)?;
    rule(value["values"] != rows || value.get("non_finite").is_some(), "the short form where it says all")
}

/// Where a day stands among others: those before Christ come first, the later year of them first of all.
fn day_order(day: &str) -> (i64, String) {
    match day {
        "-infinity" => return (i64::MIN, String::new()),
        "infinity" => return (i64::MAX, String::new()),
        _ => {}
    }
    let (date, is_before_christ) = day.strip_suffix(" BC").map_or((day, false), |date| (date, true));
    let (year, rest) = date.split_once('-').unwrap_or((date, ""));
    let year: i64 = year.parse().unwrap_or(0);
    (if is_before_christ { -year } else { year }, rest.to_owned())
}
