//! The rules a manifest keeps by itself, whatever its members hold.
//!
//! What passes here goes into head office's SQL, its bigint columns and people's terminals, so every
//! text has a shape and every number a bound.

use std::collections::BTreeSet;

use uuid::{Uuid, Variant, Version};

use super::day::{day_order, is_clock_time};
use super::table::{is_storable, is_type_text};
use super::{
    Column, ColumnTotal, Confirmation, Cut, DayTotals, ExactSum, KeyRange, MOST_CONFIRMATIONS, Manifest,
    ManifestError, Member, MemberKind, Mode, Sequence, TableChange, Totals, is_summed, key_columns,
};

/// PostgreSQL has no wider tables.
const MOST_COLUMNS: usize = 1600;
/// Bytes of the name of the program that wrote the bundle, at most.
const LONGEST_TOOL: usize = 100;
/// No date of PostgreSQL has a longer text: `5874897-12-31`, `4713-01-01 BC`.
const LONGEST_DAY: usize = 13;

impl Manifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        require(is_version_7(self.bundle_id.0) && is_version_7(self.epoch.0), || {
            "its id or its epoch is no UUIDv7".to_owned()
        })?;
        require([self.created_at, self.cut.taken_at].into_iter().all(is_clock_time), || {
            "its time is none that a clock shows".to_owned()
        })?;
        require(self.previous.is_none() == (self.sequence == Sequence::FIRST), || {
            "the first bundle of an epoch, and no other, has no previous one".to_owned()
        })?;
        check_cut(&self.cut, self.sequence)?;
        require(self.cut.taken_at <= self.created_at, || {
            "it was sealed before its cut was taken".to_owned()
        })?;
        check_confirmations(&self.confirmations, self.sequence)?;
        let is_shown = |c: char| c.is_ascii_graphic() || c == ' ';
        require(self.tool.len() <= LONGEST_TOOL && self.tool.chars().all(is_shown), || {
            "the name of its tool is none".to_owned()
        })?;
        require(!self.tables.is_empty(), || "it speaks of no table".to_owned())?;
        let names: BTreeSet<_> = self.tables.iter().map(|table| &table.name).collect();
        require(names.len() == self.tables.len(), || "a table stands in it twice".to_owned())?;
        self.check_sizes()?;
        self.tables.iter().enumerate().try_for_each(|(index, table)| {
            let in_table = |why: String| ManifestError::Senseless(format!("table {}: {why}", table.name));
            check_table(index, table).map_err(in_table)
        })
    }

    /// Sums over all members fit a bigint, so nobody after this has to think of overflow.
    fn check_sizes(&self) -> Result<(), ManifestError> {
        let sizes: [fn(&Member) -> u64; 3] =
            [|member| member.rows, |member| member.bytes, |member| member.raw_bytes];
        let fits = |size: fn(&Member) -> u64| {
            let sum = self.members().map(size).try_fold(0_u64, u64::checked_add);
            sum.is_some_and(|sum| i64::try_from(sum).is_ok())
        };
        require(sizes.into_iter().all(fits), || "its sizes are larger than can be".to_owned())
    }
}

/// Only these sort as they were made.
fn is_version_7(id: Uuid) -> bool {
    id.get_version() == Some(Version::SortRand) && id.get_variant() == Variant::RFC4122
}

fn check_cut(cut: &Cut, sequence: Sequence) -> Result<(), ManifestError> {
    let is_part = (1..=i32::MAX.unsigned_abs()).contains(&cut.part) && u64::from(cut.part) <= sequence.get();
    require(is_part, || "parts count from 1, each with a sequence of its own".to_owned())?;
    let is_snapshot = |b: u8| b.is_ascii_digit() || b":,".contains(&b);
    require(!cut.watermark.is_empty() && cut.watermark.bytes().all(is_snapshot), || {
        "its watermark is no snapshot".to_owned()
    })
}

fn check_confirmations(confirmations: &[Confirmation], sequence: Sequence) -> Result<(), ManifestError> {
    require(confirmations.len() <= MOST_CONFIRMATIONS, || {
        format!("it tells of more than {MOST_CONFIRMATIONS} bundles when they were published")
    })?;
    let is_in_order = confirmations.is_sorted_by(|one, next| one.sequence < next.sequence);
    require(is_in_order && confirmations.last().is_none_or(|last| last.sequence < sequence), || {
        "the bundles that it tells of are not earlier ones in their order".to_owned()
    })?;
    let is_possible = |Confirmation { published_at, confirmed_at, .. }: &Confirmation| {
        is_clock_time(*published_at) && is_clock_time(*confirmed_at) && published_at <= confirmed_at
    };
    require(confirmations.iter().all(is_possible), || {
        "a bundle cannot have been published at the time that it tells".to_owned()
    })
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), ManifestError> {
    if holds { Ok(()) } else { Err(ManifestError::Senseless(why())) }
}

fn check_table(index: usize, table: &TableChange) -> Result<(), String> {
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
    table.day_totals.as_ref().map_or(Ok(()), |totals| check_day_totals(table, totals))
}

fn check_columns(columns: &[Column]) -> Result<(), String> {
    if columns.len() > MOST_COLUMNS {
        return Err(format!("it has more than {MOST_COLUMNS} columns"));
    }
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
    totals.iter().try_for_each(|(column, total)| check_total(column, total, rows))
}

fn check_total(column: &str, total: &ColumnTotal, rows: u64) -> Result<(), String> {
    let mut sum = ExactSum::default();
    let is_sum = sum.add(total.sum.as_bytes()).is_ok() && sum.non_finite() == 0;
    // One number has one text: `007` and `-0` are none that PostgreSQL prints.
    if is_sum && sum.text() == total.sum && total.non_finite <= total.values && total.values <= rows {
        return Ok(());
    }
    Err(format!("the total of column {column:?} is none"))
}

fn check_day_totals(table: &TableChange, totals: &DayTotals) -> Result<(), String> {
    if !table.columns.iter().any(|column| column.name == totals.column) {
        return Err(format!("its business day {:?} is no column", totals.column));
    }
    if !totals.days.is_sorted_by(|one, next| day_order(&one.day) < day_order(&next.day)) {
        return Err("its business days are not in ascending order, or one stands in it twice".to_owned());
    }
    let is_in_it = |column: &&Column| column.key.is_none() && is_summed(&column.type_name);
    if !table.columns.iter().filter(is_in_it).map(|column| &column.name).eq(&totals.summed) {
        return Err("its day totals are not of its summed columns".to_owned());
    }
    for day in &totals.days {
        if !is_day_text(&day.day) || i64::try_from(day.rows).is_err() {
            return Err(format!("{:?} with {} rows is no business day", day.day, day.rows));
        }
        if day.totals.len() != totals.summed.len() {
            return Err(format!("{:?} has not one total per summed column", day.day));
        }
        for (column, total) in totals.summed.iter().zip(&day.totals) {
            check_total(column, total, day.rows)?;
        }
    }
    Ok(())
}

/// True for what can be a date as PostgreSQL writes it: `2024-02-29`, `0044-03-15 BC`, `infinity`.
fn is_day_text(day: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"- ".contains(&b);
    (1..=LONGEST_DAY).contains(&day.len()) && day.bytes().all(allowed)
}
