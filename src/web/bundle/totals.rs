//! What a bundle's file shows: its first rows, and its control totals beside those of head office.

use std::collections::BTreeMap;

use crate::archive::{PREVIEW_ROWS, Preview};
use crate::domain::{ColumnTotal, Manifest, Receipt, is_summed};
use crate::web::words::grouped;

/// The first rows of a member.
pub(in crate::web) struct PreviewView {
    pub(in crate::web) title: String,
    /// Their names, and whether they are numbers.
    pub(in crate::web) columns: Vec<(String, bool)>,
    pub(in crate::web) rows: Vec<Vec<Option<String>>>,
    pub(in crate::web) more: Option<String>,
    pub(in crate::web) trouble: Option<String>,
}

impl PreviewView {
    /// Whether the values of this column are numbers.
    pub(in crate::web) fn is_number(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|(_, is_number)| *is_number)
    }

    pub(in crate::web) fn of(preview: Preview) -> Self {
        let Preview { table, kind, rows, columns, first, trouble } = preview;
        let left = rows.saturating_sub(first.len() as u64);
        Self {
            title: format!("{table}, {}: {}", kind.as_str(), grouped(&rows)),
            columns: columns.into_iter().map(|column| (column.name, is_summed(&column.type_name))).collect(),
            more: (left > 0 && trouble.is_none())
                .then(|| format!("{} more; a page shows {PREVIEW_ROWS} at most.", grouped(&left))),
            rows: first,
            trouble,
        }
    }
}

/// A figure of both ends.
pub(in crate::web) struct Compared {
    pub(in crate::web) table: String,
    pub(in crate::web) member: &'static str,
    pub(in crate::web) figure: String,
    pub(in crate::web) branch: Option<String>,
    pub(in crate::web) head_office: Option<String>,
}

impl Compared {
    pub(in crate::web) fn is_equal(&self) -> bool {
        self.branch == self.head_office
    }

    pub(in crate::web) fn is_known_twice(&self) -> bool {
        self.branch.is_some() && self.head_office.is_some()
    }
}

/// Table, place and word of the member, and what of it: a column, or the number of its rows.
type Key = (String, u8, &'static str, String);

/// The control totals as the branch sealed them, and as head office counted them when it took the rows.
pub(in crate::web) fn compared(manifest: Option<&Manifest>, receipt: Option<&Receipt>) -> Vec<Compared> {
    let mut figures: BTreeMap<Key, (Option<String>, Option<String>)> = BTreeMap::new();
    for table in manifest.iter().flat_map(|manifest| &manifest.tables) {
        for member in &table.members {
            for (figure, text) in texts(member.rows, &member.totals) {
                let key = (table.name.to_string(), member.kind as u8, member.kind.as_str(), figure);
                figures.entry(key).or_default().0 = Some(text);
            }
        }
    }
    for table in receipt.iter().flat_map(|receipt| &receipt.tables) {
        for member in &table.members {
            for (figure, text) in texts(member.rows, &member.totals) {
                let key = (table.table.clone(), member.kind as u8, member.kind.as_str(), figure);
                figures.entry(key).or_default().1 = Some(text);
            }
        }
    }
    let compared = figures.into_iter().map(|((table, _, member, figure), (branch, head_office))| {
        let figure = if figure.is_empty() { "rows".to_owned() } else { format!("sum of {figure}") };
        Compared { table, member, figure, branch, head_office }
    });
    compared.collect()
}

fn texts(rows: u64, totals: &BTreeMap<String, ColumnTotal>) -> Vec<(String, String)> {
    let sum = |(column, total): (&String, &ColumnTotal)| {
        let ColumnTotal { sum, values, non_finite } = total;
        let some = (*values != rows).then(|| format!(" of {} values", grouped(values)));
        let others = (*non_finite > 0).then(|| format!(", {} not finite", grouped(non_finite)));
        (column.clone(), grouped(sum) + &some.unwrap_or_default() + &others.unwrap_or_default())
    };
    std::iter::once((String::new(), grouped(&rows))).chain(totals.iter().map(sum)).collect()
}
