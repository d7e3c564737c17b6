//! What of a tracked table goes into a cut, as SQL.
//!
//! Per key, *existed at the last cut = exists now - inserts logged + deletes logged*, in whatever
//! order they were logged. So the log's counts and one look at the live table say whether a row is
//! new to head office, known to it, or gone, and what was born and died in between drops out.
//!
//! Most of what is logged are inserts and nothing else. Of those the log itself is the list of keys, each of them
//! new; only keys with another entry are collected first. That every new one is there, and once, is seen when they
//! have been read.

mod collect;
mod keys;
mod statistics;

pub(super) use self::collect::group_by_sorting;
use postgres::{GenericClient, Transaction};

use super::tracking::TrackedTable;
use crate::database::{Days, TableDescription, database_failure, day_expression, day_totals};
use crate::domain::{Column, DayTotals, Failure, Kind, MOST_DAYS, MemberKind, Mode, quote_identifier};

/// Less are read and added up while a connection is made.
const MANY_ROWS: i64 = 50_000;

/// A tracked table in a cut.
#[derive(Debug, Clone)]
pub(super) struct TableCut {
    pub(super) table: TrackedTable,
    pub(super) description: TableDescription,
    pub(super) mode: Mode,
    /// The snapshot after which its changes are collected; none in range mode.
    since: Option<String>,
    /// Entries of the log since then.
    logged: i64,
    /// How many rows there are of each kind; in range mode nobody has counted.
    counts: [i64; 3],
    others: Others,
}

/// The keys that have not only been inserted; in repair mode all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// There are none.
    None,
    /// They are to be [collected](TableCut::rest) while new rows travel.
    Awaited,
    /// They are in a temporary table; whether any of them was inserted, too.
    Collected { are_some_born: bool },
    /// They are in a temporary table, and new rows have travelled by now, so many.
    Rest { only_inserted: i64 },
}

impl TableCut {
    /// The whole table, in range mode.
    pub(super) fn whole(table: TrackedTable, description: TableDescription) -> Self {
        Self::uncollected(table, description, Mode::Range, None)
    }

    /// The keys logged since the snapshot `since`. If they go to a temporary table, it is one of this
    /// transaction. Where many rows are new, those with other entries are only [awaited](Self::awaits_others).
    pub(super) fn since(
        transaction: &mut Transaction<'_>,
        table: TrackedTable,
        description: TableDescription,
        mode: Mode,
        since: &str,
    ) -> Result<Self, Failure> {
        let doing = format!("collecting the changes of {}", table.name);
        let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
        let mut cut = Self::uncollected(table, description, mode, Some(since));
        let others = cut.count_entries(transaction).map_err(failed)?;
        if cut.logged >= MANY_ROWS {
            cut.gather_statistics(transaction).map_err(failed)?;
        }
        if mode == Mode::Repair || others > 0 {
            if cut.may_await_others(transaction).map_err(failed)? {
                cut.others = Others::Awaited;
            } else {
                cut.collect(transaction)?;
            }
        }
        if cut.has_unlogged_values(transaction).map_err(failed)? {
            return Ok(Self::whole(cut.table, cut.description));
        }
        Ok(cut)
    }

    /// The same for somebody who only counts: nothing is collected, so nothing is written.
    pub(super) fn glance(
        transaction: &mut Transaction<'_>,
        table: TrackedTable,
        description: TableDescription,
        since: &str,
    ) -> Result<Self, Failure> {
        let doing = format!("counting the changes of {}", table.name);
        let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
        let mut cut = Self::uncollected(table, description, Mode::Changes, Some(since));
        cut.count_entries(transaction).map_err(failed)?;
        if cut.has_unlogged_values(transaction).map_err(failed)? {
            return Ok(Self::whole(cut.table, cut.description));
        }
        Ok(cut)
    }

    fn uncollected(
        table: TrackedTable,
        description: TableDescription,
        mode: Mode,
        since: Option<&str>,
    ) -> Self {
        let since = since.map(str::to_owned);
        Self { table, description, mode, since, logged: 0, counts: [0; 3], others: Others::None }
    }

    /// Counts the entries of the log; returns how many are not of new rows.
    fn count_entries(&mut self, transaction: &mut Transaction<'_>) -> Result<i64, postgres::Error> {
        let sql = format!("SELECT count(*), count(*) FILTER (WHERE op <> 'I') FROM {}", self.entries());
        let row = transaction.query_one(&sql, &[])?;
        let others: i64 = row.get(1);
        self.logged = row.get(0);
        self.counts[MemberKind::Inserts as usize] = self.logged - others;
        Ok(others)
    }

    /// The rows of one kind have been read, so many: none may be missing. Of new ones that is known when the others are collected.
    pub(super) fn check_rows(&self, kind: MemberKind, read: u64) -> Result<(), Failure> {
        if self.mode == Mode::Range || self.awaits_others() {
            return Ok(());
        }
        self.expect(self.counts[kind as usize], read)
    }

    fn expect(&self, rows: i64, read: u64) -> Result<(), Failure> {
        let missing = rows - read.cast_signed();
        if missing == 0 { Ok(()) } else { Err(self.log_was_changed(missing)) }
    }

    fn log_was_changed(&self, keys: i64) -> Failure {
        let why = format!(
            "{keys} keys were logged in a way that cannot be: the log of {} has been changed",
            self.table.name
        );
        Failure::new(Kind::Failed, "reading the change log", why)
            .hint("run `salesync bundle --since all`: head office is then made equal to this database")
    }

    /// True if the table's definition has changed so that rows have other values than head office knows
    /// though nobody wrote them. A column that is new and empty needs nothing.
    fn has_unlogged_values(&self, transaction: &mut Transaction<'_>) -> Result<bool, postgres::Error> {
        let Some(known) = &self.table.shape else { return Ok(false) };
        let columns = self.description.columns.iter().zip(&self.description.shape);
        let new: Vec<(&Column, &String)> = columns.filter(|(_, shape)| !known.contains(shape)).collect();
        let name_of = |shape: &str| shape.rsplitn(3, '/').last().map(str::to_owned);
        if new.iter().any(|(_, shape)| known.iter().any(|old| name_of(old) == name_of(shape))) {
            return Ok(true);
        }
        if new.is_empty() {
            return Ok(false);
        }
        let names: Vec<String> =
            new.iter().map(|(column, _)| format!("t.{}", quote_identifier(&column.name))).collect();
        let sql = format!(
            "SELECT EXISTS (SELECT FROM ONLY {} t WHERE num_nonnulls({}) > 0
                            AND NOT EXISTS (SELECT FROM {} c WHERE {}))",
            self.table.name.sql(),
            names.join(", "),
            self.keys(),
            self.same_key(),
        );
        Ok(transaction.query_one(&sql, &[])?.get(0))
    }

    /// True if nothing of it travels.
    pub(super) fn is_empty(&self) -> bool {
        self.mode != Mode::Range && self.counts == [0; 3]
    }

    /// True if it takes a while to read, for all that is known.
    pub(super) fn is_large(&self) -> bool {
        self.mode == Mode::Range || self.counts.iter().sum::<i64>() >= MANY_ROWS
    }

    /// About how many rows it has; none if nobody has counted.
    pub(super) fn rows_counted(&self) -> Option<u64> {
        let rows = if self.awaits_others() { self.logged } else { self.counts.iter().sum() };
        (self.mode != Mode::Range).then_some(rows.max(0).cast_unsigned())
    }

    /// The query for the rows of one kind, in key order; none if there are none.
    pub(super) fn rows(&self, kind: MemberKind) -> Option<String> {
        let name = self.table.name.sql();
        let columns = |row: &str, names: Vec<&str>| {
            names
                .iter()
                .map(|name| format!("{row}.{}", quote_identifier(name)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let all = columns("t", self.description.columns.iter().map(|column| column.name.as_str()).collect());
        let order = self.places("c").join(", ");
        match (self.mode, kind) {
            (Mode::Range, MemberKind::Inserts) => {
                let order: Vec<String> = self.description.key.iter().map(|key| key.order_of("t")).collect();
                Some(format!("SELECT {all} FROM ONLY {name} t ORDER BY {}", order.join(", ")))
            }
            (Mode::Range, _) => None,
            _ if self.counts[kind as usize] == 0 => None,
            (Mode::Changes, MemberKind::Inserts) if !self.is_rest() => Some(format!(
                "SELECT {all} FROM {} c JOIN ONLY {name} t ON {} ORDER BY {order}",
                self.new_keys(),
                self.same_key(),
            )),
            (_, MemberKind::Tombstones) => Some(format!(
                "SELECT {order} FROM {} c WHERE {} ORDER BY {order}",
                self.collected(),
                self.condition(kind)
            )),
            _ => Some(format!(
                "SELECT {all} FROM {} c JOIN ONLY {name} t ON {} WHERE {} ORDER BY {order}",
                self.collected(),
                self.same_key(),
                self.condition(kind),
            )),
        }
    }

    /// Live totals of the business days that the rows of this cut are on or have left; none if the table
    /// has no business day. Needs nothing of the transaction that made the cut but its snapshot.
    pub(super) fn day_totals(&self, client: &mut impl GenericClient) -> Result<Option<DayTotals>, Failure> {
        let Some(day) = &self.table.day else { return Ok(None) };
        let failed = |error: postgres::Error| {
            database_failure(format!("adding up the business days of {}", self.table.name), &error)
        };
        let wanted = self.touched_days(client, day).map_err(failed)?;
        let rows = format!("ONLY {} t", self.table.name.sql());
        let columns = &self.description.columns;
        let days = Days { rows: &rows, condition: "true", columns, day, wanted: &wanted };
        Ok(Some(day_totals(client, &days).map_err(failed)?.within_limits()))
    }

    /// The latest of the days that this cut changes, in ascending order. The log says all of them.
    fn touched_days(
        &self,
        client: &mut impl GenericClient,
        day: &str,
    ) -> Result<Vec<String>, postgres::Error> {
        let touched = match &self.since {
            None => {
                let day = day_expression(&self.description.columns, day, "t");
                format!("SELECT {day} AS day FROM ONLY {} t", self.table.name.sql())
            }
            Some(_) => format!("SELECT day FROM {}", self.entries()),
        };
        let sql = format!(
            "SELECT d.day::text FROM (SELECT DISTINCT day FROM ({touched}) d WHERE day IS NOT NULL \
             ORDER BY day DESC LIMIT {MOST_DAYS}) d ORDER BY d.day"
        );
        Ok(client.query(&sql, &[])?.iter().map(|row| row.get(0)).collect())
    }

    /// `FROM` item with one row per key, and the live row `t` if it is there.
    pub(super) fn all_rows(&self) -> String {
        let live = format!("ONLY {} t", self.table.name.sql());
        match self.mode {
            Mode::Range => live,
            _ => format!("{} c LEFT JOIN {live} ON {}", self.keys(), self.same_key()),
        }
    }
}
