//! What of a tracked table goes into a cut, as SQL.
//!
//! Per key, *existed at the last cut = exists now - inserts logged + deletes logged*, in whatever
//! order they were logged. So the log's counts and one look at the live table say whether a row is
//! new to head office, known to it, or gone, and what was born and died in between drops out.

use postgres::{GenericClient, Transaction};

use super::tracking::TrackedTable;
use crate::database::{Days, KeyColumn, TableDescription, database_failure, day_expression, day_totals};
use crate::domain::{
    Column, DayTotals, Failure, Kind, MOST_DAYS, MemberKind, Mode, quote_identifier, quote_literal,
};

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
    /// How many rows there are of each kind; in range mode nobody has counted.
    counts: [i64; 3],
}

impl TableCut {
    /// The whole table, in range mode.
    pub(super) fn whole(table: TrackedTable, description: TableDescription) -> Self {
        Self { table, description, mode: Mode::Range, since: None, counts: [0; 3] }
    }

    /// The keys logged since the snapshot `since`. They go to a temporary table of this transaction.
    pub(super) fn since(
        transaction: &mut Transaction<'_>,
        table: TrackedTable,
        description: TableDescription,
        mode: Mode,
        since: &str,
    ) -> Result<Self, Failure> {
        let doing = format!("collecting the changes of {}", table.name);
        let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
        let mut cut = Self { table, description, mode, since: Some(since.to_owned()), counts: [0; 3] };
        transaction.batch_execute(&cut.collect_keys(since)).map_err(failed)?;
        let conditions = [MemberKind::Inserts, MemberKind::Updates, MemberKind::Tombstones]
            .map(|kind| cut.condition(kind));
        let counts = conditions.map(|condition| format!("count(*) FILTER (WHERE {condition})")).join(", ");
        let sql =
            format!("SELECT {counts}, count(*) FILTER (WHERE c.had NOT IN (0, 1)) FROM {} c", cut.keys());
        let row = transaction.query_one(&sql, &[]).map_err(failed)?;
        cut.counts = [row.get(0), row.get(1), row.get(2)];
        let impossible: i64 = row.get(3);
        if impossible > 0 && mode == Mode::Changes {
            let why = format!(
                "{impossible} keys were logged in a way that cannot be: the log of {} has been changed",
                cut.table.name
            );
            return Err(Failure::new(Kind::Failed, "reading the change log", why)
                .hint("run `salesync bundle --since all`: head office is then made equal to this database"));
        }
        if cut.has_unlogged_values(transaction).map_err(failed)? {
            return Ok(Self::whole(cut.table, cut.description));
        }
        Ok(cut)
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
        match (self.mode, kind) {
            (Mode::Range, MemberKind::Inserts) => {
                let order: Vec<String> = self.description.key.iter().map(|key| key.order_of("t")).collect();
                Some(format!("SELECT {all} FROM ONLY {name} t ORDER BY {}", order.join(", ")))
            }
            (Mode::Range, _) => None,
            _ if self.counts[kind as usize] == 0 => None,
            (_, MemberKind::Tombstones) => {
                let keys = self.places("c").join(", ");
                Some(format!(
                    "SELECT {keys} FROM {} c WHERE {} ORDER BY {keys}",
                    self.keys(),
                    self.condition(kind)
                ))
            }
            _ => Some(format!(
                "SELECT {all} FROM {} c JOIN ONLY {name} t ON {} WHERE {} ORDER BY {}",
                self.keys(),
                self.same_key(),
                self.condition(kind),
                self.places("c").join(", "),
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
            Some(since) => format!("SELECT day FROM {}", log_since(self.table.id, since)),
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

    /// The temporary table with the changed keys.
    fn keys(&self) -> String {
        format!("pg_temp.salesync_changed_{}", self.table.id)
    }

    /// `c.k1`, `c.k2` …
    fn places(&self, row: &str) -> Vec<String> {
        (1..=self.description.key.len()).map(|place| format!("{row}.k{place}")).collect()
    }

    fn collect_keys(&self, since: &str) -> String {
        let ordered = |(place, key): (usize, &KeyColumn)| {
            let place = format!("k{}", place + 1);
            format!("{} AS {place}", crate::database::key_order(&place, &key.type_name))
        };
        let keys: Vec<String> = self.description.key.iter().enumerate().map(ordered).collect();
        let numbers: Vec<String> = (1..=keys.len()).map(|place| place.to_string()).collect();
        format!(
            "CREATE TEMPORARY TABLE salesync_changed_{id} ON COMMIT DROP AS
             SELECT c.*, t.tableoid IS NOT NULL AS is_there,
                    (t.tableoid IS NOT NULL)::int - c.born + c.died AS had
             FROM (SELECT {keys}, count(*) FILTER (WHERE op = 'I') AS born, count(*) FILTER (WHERE op = 'D') AS died
                   FROM {log} GROUP BY {numbers}) c
             LEFT JOIN ONLY {table} t ON {same_key};
             ANALYZE salesync_changed_{id}",
            id = self.table.id,
            keys = keys.join(", "),
            numbers = numbers.join(", "),
            log = log_since(self.table.id, since),
            table = self.table.name.sql(),
            same_key = self.same_key(),
        )
    }

    /// True where the live row `t` has the changed key `c`. The first comparison is the table's own, so
    /// that its index serves; the second tells keys apart that only the table's own holds equal.
    fn same_key(&self) -> String {
        let same = |(place, key): (usize, &KeyColumn)| {
            let (live, changed) = (format!("t.{}", quote_identifier(&key.name)), format!("c.k{}", place + 1));
            let ordered = key.order_of("t");
            if ordered == live {
                return format!("{live} = {changed}");
            }
            format!("{live} = ({changed}::{}{}) AND {ordered} = {changed}", key.own_type, key.collate)
        };
        self.description.key.iter().enumerate().map(same).collect::<Vec<_>>().join(" AND ")
    }

    /// `c` is a changed key. Its names are qualified: the live table may have columns of the same.
    fn condition(&self, kind: MemberKind) -> &'static str {
        match (self.mode, kind) {
            (Mode::Changes, MemberKind::Inserts) => "c.is_there AND c.had = 0",
            (Mode::Changes, MemberKind::Updates) => "c.is_there AND c.had = 1",
            (Mode::Changes, MemberKind::Tombstones) => "NOT c.is_there AND c.had = 1",
            (_, MemberKind::Inserts) => "false",
            (_, MemberKind::Updates) => "c.is_there",
            (_, MemberKind::Tombstones) => "NOT c.is_there",
        }
    }
}

/// `FROM` and `WHERE` of what a log says since a snapshot.
fn log_since(table: i32, since: &str) -> String {
    let since = quote_literal(since);
    format!("salesync.log_{table} WHERE NOT pg_visible_in_snapshot(xid, {since}::pg_snapshot)")
}
