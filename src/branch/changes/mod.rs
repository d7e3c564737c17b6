//! What of a tracked table goes into a cut, as SQL.
//!
//! Per key, *existed at the last cut = exists now - inserts logged + deletes logged*, in whatever
//! order they were logged. So the log's counts and one look at the live table say whether a row is
//! new to head office, known to it, or gone, and what was born and died in between drops out.
//!
//! Most of what is logged are inserts and nothing else. Of those the log itself is the list of keys, each of them
//! new; only keys with another entry are collected first. That every new one is there, and once, is seen when they
//! have been read.

mod keys;
mod statistics;

use postgres::{GenericClient, Transaction};

use super::tracking::TrackedTable;
use crate::database::{Days, TableDescription, database_failure, day_expression, day_totals};
use crate::domain::{Column, DayTotals, Failure, Kind, MOST_DAYS, MemberKind, Mode, quote_identifier};

/// Less are read and added up while a connection is made.
const MANY_ROWS: i64 = 50_000;

/// A tracked table in a cut.
#[derive(Debug)]
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
    /// Whether keys are in a temporary table: all in repair mode; else those that have not only been inserted.
    is_collected: bool,
    /// Whether any of these keys was inserted, too.
    are_some_born: bool,
}

impl TableCut {
    /// The whole table, in range mode.
    pub(super) fn whole(table: TrackedTable, description: TableDescription) -> Self {
        let (mode, since) = (Mode::Range, None);
        Self {
            table,
            description,
            mode,
            since,
            logged: 0,
            counts: [0; 3],
            is_collected: false,
            are_some_born: false,
        }
    }

    /// The keys logged since the snapshot `since`. If they go to a temporary table, it is one of this
    /// transaction.
    pub(super) fn since(
        transaction: &mut Transaction<'_>,
        table: TrackedTable,
        description: TableDescription,
        mode: Mode,
        since: &str,
    ) -> Result<Self, Failure> {
        let doing = format!("collecting the changes of {}", table.name);
        let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
        let mut cut = Self::uncollected(table, description, mode, since);
        let others = cut.count_entries(transaction).map_err(failed)?;
        if cut.logged >= MANY_ROWS {
            cut.gather_statistics(transaction).map_err(failed)?;
        }
        if mode == Mode::Repair || others > 0 {
            cut.collect_keys(transaction).map_err(failed)?;
            let impossible = cut.count_keys(transaction).map_err(failed)?;
            if impossible > 0 && mode == Mode::Changes {
                return Err(cut.log_was_changed(impossible));
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
        let mut cut = Self::uncollected(table, description, Mode::Changes, since);
        cut.count_entries(transaction).map_err(failed)?;
        if cut.has_unlogged_values(transaction).map_err(failed)? {
            return Ok(Self::whole(cut.table, cut.description));
        }
        Ok(cut)
    }

    fn uncollected(table: TrackedTable, description: TableDescription, mode: Mode, since: &str) -> Self {
        let since = Some(since.to_owned());
        Self {
            table,
            description,
            mode,
            since,
            logged: 0,
            counts: [0; 3],
            is_collected: false,
            are_some_born: false,
        }
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

    /// The rows of one kind have been read, so many: none may be missing.
    pub(super) fn check_rows(&self, kind: MemberKind, read: u64) -> Result<(), Failure> {
        let missing = self.counts[kind as usize] - read.cast_signed();
        if self.mode == Mode::Range || missing == 0 {
            return Ok(());
        }
        Err(self.log_was_changed(missing))
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

    /// How many rows it has; none if nobody has counted.
    pub(super) fn rows_counted(&self) -> Option<u64> {
        (self.mode != Mode::Range).then(|| self.counts.iter().sum::<i64>().max(0).cast_unsigned())
    }

    /// The kinds of live rows in the order in which they travel. An update frees values of unique columns that a new row may have, and keeps head
    /// office busy for longer; only where rows refer to rows of the same table, those that are new come first.
    pub(super) fn kinds(&self, client: &mut impl GenericClient) -> Result<[MemberKind; 2], postgres::Error> {
        let sql = "SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = $1 AND confrelid = $1)";
        let has_both =
            [MemberKind::Inserts, MemberKind::Updates].iter().all(|kind| self.counts[*kind as usize] > 0);
        if !has_both || client.query_one(sql, &[&self.description.oid])?.get(0) {
            return Ok([MemberKind::Inserts, MemberKind::Updates]);
        }
        Ok([MemberKind::Updates, MemberKind::Inserts])
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
            (Mode::Changes, MemberKind::Inserts) => Some(format!(
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

    /// Puts keys into the temporary table. Grouped by sorting: see [`TableCut::distinct_keys`].
    fn collect_keys(&mut self, transaction: &mut Transaction<'_>) -> Result<(), postgres::Error> {
        let same = self.places("l").into_iter().zip(self.places("o"));
        let same: Vec<String> = same.map(|(one, other)| format!("{one} = {other}")).collect();
        let not_only_inserted = format!(
            "WHERE EXISTS (SELECT FROM ({}) o WHERE o.op <> 'I' AND {})",
            self.logged_keys(),
            same.join(" AND ")
        );
        let sql = format!(
            "SET LOCAL enable_hashagg = off;
             CREATE TEMPORARY TABLE salesync_changed_{id} ON COMMIT DROP AS
             SELECT c.*, t.tableoid IS NOT NULL AS is_there,
                    (t.tableoid IS NOT NULL)::int - c.born + c.died AS had
             FROM (SELECT {keys}, count(*) FILTER (WHERE op = 'I') AS born, count(*) FILTER (WHERE op = 'D') AS died
                   FROM ({logged}) l {which} GROUP BY {keys}) c
             LEFT JOIN ONLY {table} t ON {same_key};
             SET LOCAL enable_hashagg TO DEFAULT;
             ANALYZE salesync_changed_{id}",
            id = self.table.id,
            keys = self.places("l").join(", "),
            logged = self.logged_keys(),
            which = if self.mode == Mode::Repair { "" } else { &not_only_inserted },
            table = self.table.name.sql(),
            same_key = self.same_key(),
        );
        transaction.batch_execute(&sql)?;
        self.is_collected = true;
        Ok(())
    }

    /// Counts the keys of each kind, and those that cannot be. Entries of keys that were not collected are all of
    /// new rows.
    fn count_keys(&mut self, transaction: &mut Transaction<'_>) -> Result<i64, postgres::Error> {
        let kinds = [MemberKind::Inserts, MemberKind::Updates, MemberKind::Tombstones];
        let counts = kinds.map(|kind| format!("count(*) FILTER (WHERE {})", self.condition(kind)));
        let (counts, keys) = (counts.join(", "), self.collected());
        let sql = format!(
            "SELECT {counts}, count(*) FILTER (WHERE c.had NOT IN (0, 1)), coalesce(sum(c.born), 0)::bigint
             FROM {keys} c"
        );
        let row = transaction.query_one(&sql, &[])?;
        let [inserts, _, _] = self.counts;
        let of_others: i64 = row.get(4);
        self.are_some_born = of_others > 0;
        let only_inserted = if self.mode == Mode::Repair { 0 } else { inserts - of_others };
        self.counts = [row.get::<_, i64>(0) + only_inserted, row.get(1), row.get(2)];
        Ok(row.get(3))
    }
}
