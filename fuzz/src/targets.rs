//! One function per target: it reads whatever it is given, and panics if what was accepted is not what it says.

use std::io::{BufReader, Cursor, Read, Write};

use chrono::Datelike as _;
use rust_decimal::Decimal;
use salesync::branch::import::{ImportOptions, Problem, Sale, SaleReader, SaleRules};
use salesync::broker::BrokerAddress;
use salesync::bundle::{Bundle, Defect, PourError, ReadError, RowReader, fields_of_row, key_of_row};
use salesync::cli::check_configuration;
use salesync::database::DatabaseUrl;
use salesync::domain::{Column, Failure, Kind, Manifest, Receipt, Request, legible};
use serde_json::{Value, json};

use super::csv_text;
use super::file::{Part, digest, put_together, take_apart};
use super::mutation::{columns_of, packed, unpacked};
use super::rules;

/// A bundle that opens is the one file of its content, and keeps every rule; rows that are poured are what the frame
/// holds, and add up to what the manifest says.
pub fn bundle(data: &[u8]) {
    let mut bundle = match Bundle::open(Cursor::new(data)) {
        Ok(bundle) => bundle,
        Err(ReadError::Defect(_) | ReadError::Locked(_)) => return,
        Err(ReadError::Io(error)) => panic!("taken for a failing disk: {error}"),
    };
    let parts = take_apart(data);
    assert!(put_together(&parts) == data, "another file with the same content was accepted");
    let (manifest_part, rest) = parts.split_first().expect("an accepted bundle has a manifest");
    assert_eq!(manifest_part.0, "manifest.json");
    let manifest = rules::read(&manifest_part.1).unwrap_or_else(|rule| panic!("accepted against: {rule}"));
    assert_eq!(bundle.manifest().to_bytes().as_ref(), Ok(&manifest_part.1));
    let (signature, members) = match rest.split_first() {
        Some((first, members)) if first.0 == "manifest.sig" => (Some(first.1.clone()), members),
        _ => (None, rest),
    };
    assert_eq!(bundle.signature().map(|signature| signature.to_bytes().to_vec()), signature);
    let tables = manifest["tables"].as_array().expect("checked by the rules");
    let named: usize = tables.iter().filter_map(|table| Some(table["members"].as_array()?.len())).sum();
    assert_eq!(named, members.len(), "members that the manifest does not name, or the other way round");
    let mut contents = members.iter();
    for (change, table) in bundle.manifest().tables.clone().iter().zip(tables) {
        for (member, value) in change.members.iter().zip(table["members"].as_array().into_iter().flatten()) {
            let content = contents.next().expect("counted above");
            check_member(content, value);
            let mut rows = Rows::default();
            match bundle.pour(change, member, &mut rows) {
                Ok(_) => check_rows(&rows, &content.1, table, value),
                Err(PourError::Defect(_)) => {}
                Err(error) => panic!("taken for a failing disk: {error}"),
            }
            assert!(rows.count <= member.raw_bytes, "more was poured than is declared");
        }
    }
}

fn check_member((name, content): &Part, value: &Value) {
    assert_eq!(value["name"], **name, "members in the order of the manifest");
    assert_eq!(value["bytes"], content.len(), "{name}");
    assert_eq!(value["sha256"], digest(content), "{name}");
}

/// What is poured: the beginning of it, and how much it was.
#[derive(Default)]
struct Rows {
    kept: Vec<u8>,
    count: u64,
}

/// More is not looked at.
const KEPT: usize = 1 << 20;

impl Write for Rows {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = KEPT.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        self.count += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn check_rows(rows: &Rows, frame: &[u8], table: &Value, member: &Value) {
    assert_eq!(
        zstd::zstd_safe::find_frame_compressed_size(frame),
        Ok(frame.len()),
        "one frame and nothing else"
    );
    assert!(window_of(frame) <= 8 << 20, "a window over 8 MiB was accepted");
    let columns = columns_of(&table["columns"], member["kind"] == "tombstones");
    let header = header_line(&columns);
    assert_eq!(member["raw_bytes"], header.len() as u64 + rows.count);
    let Some(raw) = unpacked(frame).filter(|_| rows.count < KEPT as u64) else { return };
    assert!(raw == [&header[..], &rows.kept].concat(), "other rows were poured than are in the frame");
    let totals = csv_text::totals(&rows.kept, &columns).expect("what was poured is no rows of its columns");
    assert_eq!((&member["rows"], &member["totals"]), (&json!(totals.0), &totals.1));
}

/// The window that the head of a frame asks for; for one in a single segment its size tells.
fn window_of(frame: &[u8]) -> u64 {
    let (descriptor, window) = (frame[4], u64::from(frame[5]));
    if descriptor & 0x20 == 0 { (8 + (window & 7)) << (7 + (window >> 3)) } else { 0 }
}

fn header_line(columns: &[(String, String)]) -> Vec<u8> {
    let quoted = |name: &str| {
        if name.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.to_owned()
        }
    };
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    (names.join(",") + "\n").into_bytes()
}

/// What is read as a manifest keeps every rule, and what keeps every rule is read as a manifest.
pub fn manifest(data: &[u8]) {
    match (Manifest::from_bytes(data), rules::read(data)) {
        (Ok(manifest), Ok(_)) => {
            assert_eq!(manifest.to_bytes().as_deref(), Ok(data), "it does not read back");
            for table in &manifest.tables {
                let shown = table.name.to_string();
                assert_eq!(legible(&shown), shown, "its name speaks to the terminal");
            }
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(rule)) => panic!("accepted against: {rule}"),
        (Err(error), Ok(_)) => panic!("refused without a rule: {error}"),
    }
}

/// Rows are whole, the same in whatever pieces they come, nothing of them is lost, and their fields are those that
/// PostgreSQL reads. The first byte says how large the pieces are.
pub fn rows(data: &[u8]) {
    let Some((capacity, stream)) = data.split_first() else { return };
    let whole = split(stream);
    let pieces = split(BufReader::with_capacity(1 + usize::from(*capacity), stream));
    assert_eq!(whole, pieces, "the pieces matter");
    let (rows, is_whole) = whole;
    let read = rows.concat();
    assert!(stream.starts_with(&read) && (is_whole == (read.len() == stream.len())), "something was lost");
    for row in &rows {
        let is_quote = |byte: &&u8| **byte == b'"';
        assert!(row.ends_with(b"\n") && row.iter().filter(is_quote).count() % 2 == 0, "no whole row");
        let Some(expected) = csv_text::rows(row) else { continue };
        let [expected] = &expected[..] else { panic!("{} rows were taken for one", expected.len()) };
        let texts = |field: &csv_text::Field| {
            (!field.is_null()).then(|| String::from_utf8_lossy(&field.text).into_owned())
        };
        let expected: Vec<Option<String>> = expected.iter().map(texts).collect();
        let fields = fields_of_row(row);
        assert_eq!(fields, expected);
        assert_eq!(fields_of_row(&csv_text::row(&fields)), fields, "what is written reads back");
        let last = u16::try_from(fields.len()).unwrap_or(u16::MAX);
        let column = |key| Column { name: String::new(), type_name: "text".to_owned(), key: Some(key) };
        let columns: Vec<Column> = (1..=last).rev().map(column).collect();
        let backwards = fields.iter().take(last.into()).rev();
        let key: Vec<String> = backwards.map(|field| field.clone().unwrap_or_default()).collect();
        assert_eq!(key_of_row(row, &columns), key);
    }
}

/// The rows of a stream, and whether it ended with one.
fn split(stream: impl std::io::BufRead) -> (Vec<Vec<u8>>, bool) {
    let (mut reader, mut rows) = (RowReader::new(stream), Vec::new());
    loop {
        match reader.next_row() {
            Ok(Some(row)) => rows.push(row.to_vec()),
            Ok(None) => return (rows, true),
            Err(_) => return (rows, false),
        }
    }
}

/// Tables of which rows are tried: names and types of their columns; the first is the key.
const TABLES: [&[(&str, &str)]; 4] = [
    &[("id", "bigint"), ("amt", "numeric(14,2)"), ("note", "text")],
    &[("note", "text")],
    &[("n", "numeric")],
    &[("id", "integer"), ("days", "integer[]"), ("x", "smallint"), ("y", "numeric")],
];

/// A bundle with these rows, whose manifest is right, is accepted just if they are rows of its columns. The first byte
/// says of which table.
pub fn dialect(data: &[u8]) {
    let Some((table, rows)) = data.split_first().filter(|(_, rows)| !rows.is_empty()) else { return };
    let columns = TABLES[usize::from(*table) % TABLES.len()];
    let columns: Vec<(String, String)> =
        columns.iter().map(|(name, type_name)| ((*name).to_owned(), (*type_name).to_owned())).collect();
    let totals = csv_text::totals(rows, &columns);
    let nothing = columns.iter().filter(|column| csv_text::is_summed(&column.1));
    let nothing = nothing.map(|column| (column.0.clone(), json!({"sum": "0", "values": 0}))).collect();
    let is_good = totals.is_some();
    let (count, totals) = totals.unwrap_or((1, nothing));
    let file = with_rows(&columns, rows, count, &totals);
    let mut bundle = Bundle::open(Cursor::new(file)).expect("only the rows may be wrong");
    let change = bundle.manifest().tables[0].clone();
    match bundle.pour(&change, &change.members[0], &mut Rows::default()) {
        Ok(found) if is_good => assert_eq!(json!(found), totals),
        Ok(_) => panic!("rows were accepted that are none"),
        Err(PourError::Defect(Defect::RowMalformed(..))) if !is_good => {}
        Err(error) => panic!("rows {} are refused: {error}", if is_good { "that are right" } else { "" }),
    }
}

fn with_rows(columns: &[(String, String)], rows: &[u8], count: u64, totals: &Value) -> Vec<u8> {
    let raw = [&header_line(columns), rows].concat();
    let frame = packed(&raw);
    let column = |(place, (name, type_name)): (usize, &(String, String))| match place {
        0 => json!({"name": name, "type": type_name, "key": 1}),
        _ => json!({"name": name, "type": type_name}),
    };
    let columns: Vec<Value> = columns.iter().enumerate().map(column).collect();
    let mut manifest: Value = serde_json::from_str(HEAD).expect("it is written below");
    manifest["tables"] = json!([{
        "name": {"schema": "public", "table": "t"}, "mode": "changes", "columns": columns,
        "members": [{
            "name": "0/inserts.csv.zst", "kind": "inserts", "rows": count, "bytes": frame.len(), "raw_bytes": raw.len(),
            "sha256": digest(&frame), "totals": totals,
        }],
    }]);
    let manifest = ("manifest.json".to_owned(), rules::sealed(&manifest));
    put_together(&[manifest, ("0/inserts.csv.zst".to_owned(), frame)])
}

/// A manifest without tables.
const HEAD: &str = r#"{
    "format": "salesync-bundle/1", "bundle_id": "018df000-0000-7000-8000-000000000001", "branch": "east",
    "epoch": "018df000-0000-7000-8000-000000000000", "sequence": 1, "previous": null,
    "cut": {"watermark": "742:745:742,743", "taken_at": "2024-03-01T17:29:59.750Z", "part": 1, "last": true},
    "created_at": "2024-03-01T17:30:00.123456Z", "tool": "salesync 0.1.0"
}"#;

/// The password in the seeds' URLs.
const SECRET: &str = "hunter2";

/// A configuration is read, or refused in one line that has no password in it.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let is_hidden = only_in_urls(text);
    let check = |failure: &Failure| {
        assert_eq!(failure.kind(), Kind::Configuration);
        let said = format!("{failure} {}", failure.advice().unwrap_or_default());
        assert!(!is_hidden || !said.contains(SECRET), "it tells the password: {said}");
    };
    if let Err(failure) = check_configuration(text) {
        check(&failure);
    }
    for url in text.split('"').filter(|piece| piece.contains("://")) {
        let _ = url.parse::<DatabaseUrl>().map_err(|failure| check(&failure));
        match BrokerAddress::parse(url) {
            Ok(address) => {
                let shown = address.to_string();
                assert!(BrokerAddress::parse(&shown).is_ok(), "what is shown is no address: {shown}");
            }
            Err(failure) => check(&failure),
        }
    }
}

/// Whether the password stands nowhere but in a quoted URL.
fn only_in_urls(text: &str) -> bool {
    let is_password =
        |(before, _): (&str, &str)| before.contains([':', '@', '?']) && !before.contains(SECRET);
    let is_url = |piece: &str| {
        let (scheme, rest) = piece.split_once("://").unwrap_or_default();
        !scheme.contains(SECRET) && rest.split_once(SECRET).is_some_and(is_password)
    };
    let is_in_quotes =
        |(place, piece): (usize, &str)| place % 2 == 1 && is_url(piece) && !piece.contains('\n');
    text.split('"').enumerate().filter(|(_, piece)| piece.contains(SECRET)).all(is_in_quotes)
}

/// A receipt or request that is accepted says the same when it is written and read again, and its words are legible.
pub fn answers(data: &[u8]) {
    if let Ok(receipt) = Receipt::from_bytes(data) {
        let again = serde_json::to_vec(&receipt).expect("it was read");
        assert_eq!(Receipt::from_bytes(&again).as_ref(), Ok(&receipt));
        assert_eq!(receipt.reason.as_deref().map(legible), receipt.reason);
        assert!(
            [receipt.received_at, receipt.decided_at].iter().all(|time| (1..=9999).contains(&time.year()))
        );
    }
    if let Ok(request) = Request::from_bytes(data) {
        let again = serde_json::to_vec(&request).expect("it was read");
        assert_eq!(Request::from_bytes(&again).as_ref(), Ok(&request));
        assert_eq!(legible(&request.reason), request.reason);
        assert!((1..=9999).contains(&request.requested_at.year()));
        assert!(request.wanted.bundles().is_none_or(|(_, first, last)| first <= last));
    }
}

/// Gives one byte at a time.
struct Dripping<'d>(&'d [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(1);
        self.0.read(&mut buffer[..count])
    }
}

type Lines = Vec<Result<Sale, Vec<Problem>>>;

/// Sales that are accepted are right to the cent, the same in whatever pieces the file comes, and read back from what is
/// written of them. The first byte says how dates are written.
pub fn import(data: &[u8]) {
    let Some((form, file)) = data.split_first() else { return };
    let date_format = (form % 2 == 1).then(|| "%d.%m.%Y".to_owned());
    let options = ImportOptions { date_format, tax_rate: Decimal::new(7, 2) };
    let rules = SaleRules::new(&options).expect("these are usable");
    let read = |source: &mut dyn Read| -> Result<Lines, Failure> {
        SaleReader::new(source, rules.clone())?.collect()
    };
    let lines = read(&mut &*file);
    assert_eq!(lines, read(&mut Dripping(file)), "the pieces matter");
    let Ok(lines) = lines else { return };
    let count = 1 + file.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    let mut before = 1;
    for problem in lines.iter().filter_map(|line| line.as_ref().err()).flatten() {
        assert!((before..=count).contains(&problem.line), "line {} of {count}", problem.line);
        before = problem.line;
        let shown = problem.to_string();
        assert_eq!(legible(&shown), shown, "it speaks to the terminal");
    }
    let sales: Vec<&Sale> = lines.iter().filter_map(|line| line.as_ref().ok()).collect();
    for sale in &sales {
        check_sale(sale);
    }
    assert_eq!(reread(&sales), sales.into_iter().cloned().map(Ok).collect::<Lines>());
}

fn cents(amount: Decimal) -> i128 {
    assert_eq!(amount.scale(), 2, "{amount}");
    amount.mantissa()
}

fn check_sale(sale: &Sale) {
    let [cost, amt, tax, total] = [sale.cost, sale.amt, sale.tax, sale.total].map(cents);
    assert_eq!(amt, i128::from(sale.qty) * cost);
    assert_eq!(total, amt + tax);
    assert!((100 * tax - 7 * amt).abs() <= 50, "7 % of {amt} is not {tax}");
    assert!(
        [amt, tax, total].iter().all(|cents| cents.abs() < 100_000_000_000_000)
            && cost.abs() < 1_000_000_000_000
    );
    assert!((1000..=9999).contains(&sale.date.year()));
    assert!([&sale.region, &sale.product].iter().all(|text| !text.is_empty() && !text.contains('\0')));
}

/// The sales as the program writes them for COPY, and as it reads them from there.
fn reread(sales: &[&Sale]) -> Lines {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = ["Date", "Region", "Product", "Qty", "Cost", "Amt", "Tax", "Total"];
    writer.write_record(head).expect("memory takes everything");
    for Sale { date, region, product, qty, cost, amt, tax, total } in sales {
        let [date, qty] = [date.format("%Y-%m-%d").to_string(), qty.to_string()];
        let [cost, amt, tax, total] = [cost, amt, tax, total].map(Decimal::to_string);
        let fields = [&date, region, product, &qty, &cost, &amt, &tax, &total];
        writer.write_record(fields).expect("memory takes everything");
    }
    let text = writer.into_inner().expect("memory takes everything");
    let rules = SaleRules::new(&ImportOptions { date_format: None, tax_rate: Decimal::new(7, 2) });
    let reader = SaleReader::new(&text[..], rules.expect("these are usable")).expect("the header is right");
    reader.collect::<Result<Lines, Failure>>().expect("memory can be read")
}
