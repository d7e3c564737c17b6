//! Small bundles, written by the real [`Draft`].

use crate::bundle::{Bundle, Draft, PourError};
use crate::domain::{
    BUNDLE_FORMAT, BundleId, Column, Cut, DayTotals, Digest, Epoch, KeyRange, Manifest, MemberKind, Mode,
    Sequence, SigningKey, TableChange,
};
use std::io::Cursor;
use uuid::Uuid;

/// A table and its rows, each member's as one text of COPY CSV.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) mode: Mode,
    pub(super) columns: Vec<Column>,
    pub(super) range: Option<KeyRange>,
    pub(super) rows: Vec<(MemberKind, Vec<u8>)>,
    pub(super) day_totals: Option<DayTotals>,
}

impl Table {
    /// A table in changes mode without rows.
    pub(super) fn new(name: &'static str, columns: Vec<Column>) -> Self {
        Self { name, mode: Mode::Changes, columns, range: None, rows: Vec::new(), day_totals: None }
    }

    pub(super) fn with(mut self, kind: MemberKind, rows: impl Into<Vec<u8>>) -> Self {
        self.rows.push((kind, rows.into()));
        self
    }
}

pub(super) fn column(name: &str, type_name: &str, key: Option<u16>) -> Column {
    Column { name: name.to_owned(), type_name: type_name.to_owned(), key }
}

/// The manifest of the first bundle of an epoch, without tables.
pub(super) fn head() -> Manifest {
    Manifest {
        format: BUNDLE_FORMAT.to_owned(),
        bundle_id: BundleId(Uuid::from_u128(0x018d_f000_0000_7000_8000_0000_0000_0001)),
        branch: "east".parse().unwrap(),
        epoch: Epoch(Uuid::from_u128(0x018d_f000_0000_7000_8000_0000_0000_0000)),
        sequence: Sequence::FIRST,
        previous: None,
        cut: Cut {
            watermark: "742:745:742,743".to_owned(),
            taken_at: "2024-03-01T17:29:59.5Z".parse().unwrap(),
            part: 1,
            last: true,
        },
        created_at: "2024-03-01T17:30:00.123456Z".parse().unwrap(),
        confirmations: Vec::new(),
        tool: "salesync 0.1.0".to_owned(),
        tables: Vec::new(),
    }
}

/// Writes a bundle with this head and these tables, and returns its manifest, which is sealed, too.
pub(super) fn write(head: Manifest, tables: &[Table]) -> (Manifest, Digest, Vec<u8>) {
    write_with(&mut Draft::new(&std::env::temp_dir(), 9).unwrap(), None, head, tables)
}

/// The same, signed.
pub(super) fn write_signed(
    key: &SigningKey,
    head: Manifest,
    tables: &[Table],
) -> (Manifest, Digest, Vec<u8>) {
    write_with(&mut Draft::new(&std::env::temp_dir(), 9).unwrap(), Some(key), head, tables)
}

/// The same with this draft.
pub(super) fn write_with(
    draft: &mut Draft,
    key: Option<&SigningKey>,
    head: Manifest,
    tables: &[Table],
) -> (Manifest, Digest, Vec<u8>) {
    for (index, table) in tables.iter().enumerate() {
        for (kind, rows) in &table.rows {
            draft.begin(index, *kind, &kind.columns(&table.columns)).unwrap();
            draft.write_row(rows).unwrap();
        }
    }
    draft.end().unwrap();
    let change = |(index, table): (usize, &Table)| TableChange {
        name: table.name.parse().unwrap(),
        mode: table.mode,
        columns: table.columns.clone(),
        range: table.range.clone(),
        members: draft.members_of(index, index),
        day_totals: table.day_totals.clone(),
    };
    let tables = tables.iter().enumerate().map(change).collect();
    let manifest = Manifest { tables, ..head };
    let mut file = Vec::new();
    let digest = draft.assemble(&manifest, key, &mut file).unwrap();
    (manifest, digest, file)
}

/// One table, `public.t` with columns `id bigint` and `amt numeric(14,2)`, and a member of each kind.
pub(super) fn small_table() -> Table {
    Table::new("public.t", vec![column("id", "bigint", Some(1)), column("amt", "numeric(14,2)", None)])
        .with(MemberKind::Inserts, "1,0.10\n2,\n")
        .with(MemberKind::Updates, "3,-2.50\n")
        .with(MemberKind::Tombstones, "4\n5\n6\n")
}

/// A bundle with [`small_table`].
pub(super) fn small_bundle() -> Vec<u8> {
    write(head(), &[small_table()]).2
}

/// Opens a bundle and pours all of it: the rows of each member, by its name.
pub(super) fn pour_all(file: &[u8]) -> Result<Vec<(String, Vec<u8>)>, PourError> {
    let mut bundle = Bundle::open(Cursor::new(file))?;
    let mut poured = Vec::new();
    for table in bundle.manifest().tables.clone() {
        for member in &table.members {
            let mut rows = Vec::new();
            bundle.pour(&table, member, &mut rows)?;
            poured.push((member.name.clone(), rows));
        }
    }
    Ok(poured)
}

/// The key whose 32 secret bytes are all 1, as OpenSSL writes it.
pub(super) fn known_key() -> SigningKey {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n\
               -----END PRIVATE KEY-----\n";
    SigningKey::from_pem(pem).unwrap()
}
