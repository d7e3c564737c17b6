//! Changes that get past the checksums: something is changed somewhere inside, and what stands around it is made to fit.

use serde_json::{Value, json};

use super::csv_text;
use super::file::{Part, digest, put_together, take_apart};
use super::rules::{canonical, sealed};

/// How a piece of bytes is changed that has no inner order.
pub type ChangeBytes<'a> = &'a mut dyn FnMut(&mut Vec<u8>);

/// No member is unpacked to more than this, in bytes.
const UNPACKED: usize = 1 << 20;
/// Numbers at which something ends.
const NUMBERS: [u64; 12] = [
    0,
    1,
    2,
    1600,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    1 << 53,
    i64::MAX.unsigned_abs(),
    1 << 63,
    u64::MAX,
    u64::MAX / 2 - 5000,
];
/// Texts that mean something somewhere.
const TEXTS: [&str; 24] = [
    "",
    "..",
    "../../etc/passwd",
    "a\0b",
    "sales",
    "s\u{430}les",
    "salesync",
    "branch",
    "NaN",
    "-0",
    "007",
    "1e9",
    "0.10",
    "99999999999999999999999999999999999999.9",
    "range",
    "changes",
    "inserts",
    "tombstones",
    "0/inserts.csv.zst",
    "bigint",
    "numeric(5,-2)[]",
    "infinity",
    "2024-02-29",
    "-2024-02-29T00:00:00Z",
];

/// A source of chance that gives the same for the same seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap_or_default() % end
    }

    /// One of these.
    pub fn choice<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Another bundle: this one with a change in its manifest, its rows, its frames, its order, or anywhere.
pub fn bundle(file: &[u8], seed: u64, change: ChangeBytes<'_>) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut parts = take_apart(file);
    if parts.is_empty() || dice.below(12) == 0 {
        let mut file = file.to_vec();
        change(&mut file);
        return file;
    }
    match dice.below(10) {
        0..4 => parts[0].1 = manifest(&parts[0].1, dice.roll(), change),
        4..7 => change_rows(&mut parts, &mut dice, change),
        7 => {
            let place = dice.below(parts.len());
            change(&mut parts[place].1);
        }
        8 => change_order(&mut parts, &mut dice),
        _ => sign(&mut parts, &mut dice),
    }
    if dice.below(8) > 0 {
        let has_right_totals = dice.below(3) > 0;
        own_up(&mut parts, has_right_totals);
    }
    put_together(&parts)
}

/// Another manifest, sealed as it should be.
pub fn manifest(bytes: &[u8], seed: u64, change: ChangeBytes<'_>) -> Vec<u8> {
    seal(answers(bytes, seed, change))
}

/// Another JSON text.
pub fn answers(bytes: &[u8], seed: u64, change: ChangeBytes<'_>) -> Vec<u8> {
    let mut dice = Dice(seed);
    let read = serde_json::from_slice::<Value>(bytes);
    let Some(mut value) = read.ok().filter(|_| dice.below(4) > 0) else {
        let mut bytes = bytes.to_vec();
        change(&mut bytes);
        return bytes;
    };
    for _ in 0..=dice.below(3) {
        change_value(&mut value, &mut dice, change);
    }
    let mut text = canonical(&value);
    if dice.below(16) == 0 {
        double_a_field(&mut text, &mut dice);
    }
    text
}

/// Gives the text a seal that fits, if it is an object.
fn seal(text: Vec<u8>) -> Vec<u8> {
    let value = serde_json::from_slice::<Value>(&text);
    value.ok().filter(Value::is_object).map_or(text, |value| sealed(&value))
}

/// Every place in a value.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| places(item, &format!("{here}/{at}"), found));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, item)| {
            places(item, &format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        _ => {}
    }
}

fn change_value(value: &mut Value, dice: &mut Dice, change: ChangeBytes<'_>) {
    let mut found = Vec::new();
    places(value, "", &mut found);
    let [from, to] = [0; 2].map(|_| dice.choice(&found).as_str());
    let another = value.pointer(from).cloned().unwrap_or_default();
    let Some(here) = value.pointer_mut(to) else { return };
    match (here, dice.below(4)) {
        (here, 0) => *here = another,
        (Value::Array(items), _) if !items.is_empty() => {
            let (one, other) = (dice.below(items.len()), dice.below(items.len()));
            match dice.below(4) {
                0 => drop(items.remove(one)),
                1 => items.insert(other, items[one].clone()),
                2 => items.swap(one, other),
                _ => items.push(another),
            }
        }
        (Value::Object(fields), _) if !fields.is_empty() => {
            let name = fields.keys().nth(dice.below(fields.len())).cloned().unwrap_or_default();
            match dice.below(3) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert((*dice.choice(&TEXTS)).to_owned(), another)),
                _ => drop(fields.insert(name, another)),
            }
        }
        (Value::Number(number), kind) => {
            let old = number.as_u64().unwrap_or_default();
            let new = [old.wrapping_add(1), old.wrapping_sub(1), *dice.choice(&NUMBERS)];
            *number = new[kind - 1].into();
        }
        (Value::String(text), 1) => (*dice.choice(&TEXTS)).clone_into(text),
        (Value::String(text), _) => {
            let mut bytes = text.clone().into_bytes();
            change(&mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        (here, kind) => *here = [json!(null), json!(true), json!(false)][kind - 1].clone(),
    }
}

/// `{"a":1` becomes `{"a":1,"a":1`: the same field twice.
fn double_a_field(text: &mut Vec<u8>, dice: &mut Dice) {
    let begins: Vec<usize> = (1..text.len()).filter(|at| text[at - 1] == b'{' && text[*at] == b'"').collect();
    if begins.is_empty() {
        return;
    }
    let begin = *dice.choice(&begins);
    let Some(length) = text[begin..].iter().position(|byte| *byte == b',' || *byte == b'}') else { return };
    let mut field = text[begin..begin + length].to_vec();
    field.push(b',');
    text.splice(begin..begin, field);
}

fn change_rows(parts: &mut [Part], dice: &mut Dice, change: ChangeBytes<'_>) {
    let place = dice.below(parts.len());
    let Some(mut rows) = unpacked(&parts[place].1) else {
        return change(&mut parts[place].1);
    };
    if dice.below(3) == 0 {
        let lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
        let (one, other) = (dice.below(lines.len().max(1)), dice.below(lines.len().max(1)));
        let picked = lines.get(one).copied().unwrap_or_default();
        rows = [&lines[..other.min(lines.len())].concat(), picked, &lines[other.min(lines.len())..].concat()]
            .concat();
    } else {
        change(&mut rows);
    }
    parts[place].1 = packed(&rows);
}

/// The content of a member that is a frame of bearable size.
pub fn unpacked(frame: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(frame, UNPACKED).ok()
}

/// The same as one frame.
pub fn packed(rows: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(rows, 1).unwrap_or_default()
}

fn change_order(parts: &mut Vec<Part>, dice: &mut Dice) {
    let (one, other) = (dice.below(parts.len()), dice.below(parts.len()));
    match dice.below(4) {
        0 => drop(parts.remove(one)),
        1 => parts.insert(other, parts[one].clone()),
        2 => parts.swap(one, other),
        _ => (*dice.choice(&TEXTS)).clone_into(&mut parts[one].0),
    }
}

fn sign(parts: &mut Vec<Part>, dice: &mut Dice) {
    let size = *dice.choice(&[72, 72, 72, 0, 64, 71, 73]);
    let bytes = (0..size).map(|_| dice.roll().to_le_bytes()[0]).collect();
    parts.insert(dice.below(parts.len()) + 1, ("manifest.sig".to_owned(), bytes));
}

/// The manifest says of every member what is so: size and digest, and, if the totals are to be right, its rows.
fn own_up(parts: &mut [Part], has_right_totals: bool) {
    let Some((first, members)) = parts.split_first_mut() else { return };
    let Ok(mut manifest) = serde_json::from_slice::<Value>(&first.1) else { return };
    for table in manifest.get_mut("tables").and_then(Value::as_array_mut).into_iter().flatten() {
        let columns = table["columns"].clone();
        for member in table.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some((_, content)) = members.iter().find(|(name, _)| member["name"] == **name) else {
                continue;
            };
            let Value::Object(fields) = member else { continue };
            fields.insert("bytes".to_owned(), content.len().into());
            fields.insert("sha256".to_owned(), digest(content).into());
            let rows = unpacked(content).filter(|_| has_right_totals);
            let rows =
                rows.as_deref().and_then(|rows| Some((rows, rows.iter().position(|byte| *byte == b'\n')?)));
            if let Some((rows, head)) = rows {
                fields.insert("raw_bytes".to_owned(), rows.len().into());
                let columns =
                    columns_of(&columns, fields.get("kind").is_some_and(|kind| kind == "tombstones"));
                if let Some((count, totals)) = csv_text::totals(&rows[head + 1..], &columns) {
                    fields.insert("rows".to_owned(), count.into());
                    fields.insert("totals".to_owned(), totals);
                }
            }
        }
    }
    first.1 = seal(canonical(&manifest));
}

/// Names and types of a member's columns.
pub fn columns_of(columns: &Value, only_key: bool) -> Vec<(String, String)> {
    let mut columns: Vec<&Value> = columns.as_array().into_iter().flatten().collect();
    if only_key {
        columns.retain(|column| column["key"].is_u64());
        columns.sort_by_key(|column| column["key"].as_u64());
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    columns.into_iter().map(|column| (word(&column["name"]), word(&column["type"]))).collect()
}

/// Changes bytes at random; for where no fuzzer does it.
pub fn bytes(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let (at, length) = (dice.below(bytes.len() + 1), dice.below(24));
    let end = (at + length).min(bytes.len());
    match dice.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => bytes[at] = dice.roll().to_le_bytes()[0],
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at..end].to_vec();
            let to = dice.below(bytes.len() + 1);
            drop(bytes.splice(to..to, piece));
        }
        5 => drop(bytes.splice(at..at, dice.choice(&TEXTS).bytes())),
        _ => {
            let sign = *dice.choice(b"\",\n\r\\.-0[]{}=#:/@ ");
            bytes.insert(at, sign);
        }
    }
}
