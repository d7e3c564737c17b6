//! The rules a manifest keeps by itself, whatever its members hold.

use std::collections::BTreeSet;

use super::table::{is_storable, is_type_text};
use super::{
    Column, ExactSum, KeyRange, Manifest, ManifestError, Member, MemberKind, Mode, Sequence, TableChange,
    Totals, is_summed, key_columns,
};

impl Manifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        require(self.previous.is_none() == (self.sequence == Sequence::FIRST), || {
            "the first bundle of an epoch, and no other, has no previous one".to_owned()
        })?;
        require(self.cut.part >= 1, || "parts count from 1".to_owned())?;
        require(!self.tables.is_empty(), || "it speaks of no table".to_owned())?;
        let names: BTreeSet<_> = self.tables.iter().map(|table| &table.name).collect();
        require(names.len() == self.tables.len(), || "a table stands in it twice".to_owned())?;
        self.tables.iter().enumerate().try_for_each(|(index, table)| {
            let in_table = |why: String| ManifestError::Senseless(format!("table {}: {why}", table.name));
            check_table(index, table, self.cut.last).map_err(in_table)
        })
    }
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError::Senseless(why())) }
}

fn check_table(index: usize, table: &TableChange, last_part: bool) -> Result<(), String> {
    if !is_storable(&table.name.schema) || !is_storable(&table.name.table) {
        return Err("a name has 1 to 63 bytes and no NUL".to_owned());
    }
    check_columns(&table.columns)?;
    let key_width = key_columns(&table.columns).len();
    match (&table.range, table.mode) {
        (Some(range), Mode::Range) => check_range(range, key_width)?,
        (None, Mode::Changes | Mode::Repair) => {}
        _ => return Err("a range belongs to range mode, and to no other".to_owned()),
    }
    if !table.members.is_sorted_by(|a, b| a.kind < b.kind) {
        return Err("its members are not in order".to_owned());
    }
    table.members.iter().try_for_each(|member| check_member(index, table, member))?;
    match &table.day_totals {
        Some(_) if !last_part => Err("day totals belong to the last part of a cut".to_owned()),
        Some(totals) => check_day_totals(table, totals),
        None => Ok(()),
    }
}

fn check_columns(columns: &[Column]) -> Result<(), String> {
    let names: BTreeSet<_> = columns.iter().map(|column| column.name.as_str()).collect();
    if names.len() != columns.len() {
        return Err("a column stands in it twice".to_owned());
    }
    for Column { name, type_name, .. } in columns {
        if !is_storable(name) {
            return Err(format!("{name:?} cannot be a column's name"));
        }
        if !is_type_text(type_name) {
            return Err(format!("{type_name:?} cannot be the type of column {name:?}"));
        }
    }
    let key = key_columns(columns);
    let dense = key.iter().zip(1_u16..).all(|(column, place)| column.key == Some(place));
    if key.is_empty() || !dense {
        return Err("its key columns are not numbered from 1".to_owned());
    }
    Ok(())
}

fn check_range(range: &KeyRange, key_width: usize) -> Result<(), String> {
    let bounds = [&range.after, &range.through].into_iter().flatten();
    if bounds.into_iter().all(|bound| bound.len() == key_width && !bound.iter().any(|key| key.contains('\0')))
    {
        return Ok(());
    }
    Err("a bound of its range has not one text per key column".to_owned())
}

fn check_member(index: usize, table: &TableChange, member: &Member) -> Result<(), String> {
    let fits_mode = table.mode != Mode::Range || member.kind == MemberKind::Inserts;
    if member.name != Member::file_name(index, member.kind) || !fits_mode {
        return Err(format!("{:?} is no member of it", member.name));
    }
    if member.rows == 0 || member.bytes == 0 || member.raw_bytes < member.rows {
        return Err(format!("{} cannot have these sizes", member.name));
    }
    let columns = member.kind.columns(&table.columns);
    let summed = columns.iter().filter(|column| is_summed(&column.type_name)).map(|column| &column.name);
    if !summed.collect::<BTreeSet<_>>().into_iter().eq(member.totals.keys()) {
        return Err(format!("{} has not one control total per summed column", member.name));
    }
    check_totals(&member.totals, member.rows)
}

fn check_totals(totals: &Totals, rows: u64) -> Result<(), String> {
    for (column, total) in totals {
        let mut sum = ExactSum::default();
        let plain = sum.add(total.sum.as_bytes()).is_ok() && sum.non_finite() == 0;
        if !plain || total.non_finite > total.values || total.values > rows {
            return Err(format!("the total of column {column:?} is none"));
        }
    }
    Ok(())
}

fn check_day_totals(table: &TableChange, totals: &super::DayTotals) -> Result<(), String> {
    if !table.columns.iter().any(|column| column.name == totals.column) {
        return Err(format!("its business day {:?} is no column", totals.column));
    }
    let named =
        |name: &str| table.columns.iter().any(|column| column.name == name && is_summed(&column.type_name));
    for day in &totals.days {
        if !day.totals.keys().all(|name| named(name)) {
            return Err(format!("the totals of {:?} are of other columns", day.day));
        }
        check_totals(&day.totals, day.rows)?;
    }
    Ok(())
}
