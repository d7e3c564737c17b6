//! The changed keys of a table, as pieces of SQL: `l` is an entry of the log, `c` a key, `t` its live row.
//!
//! The planner cannot know how much of a log is new, so it is told: every look at the entries is limited to
//! their number. Without that it would take a thousand for most of the log, and read all of a large table.

use super::TableCut;
use crate::database::{KeyColumn, key_order};
use crate::domain::{MemberKind, Mode, quote_identifier, quote_literal};

impl TableCut {
    /// `FROM` item with the changed keys, each once.
    pub(super) fn keys(&self) -> String {
        if self.mode == Mode::Repair { self.collected() } else { self.distinct_keys("") }
    }

    /// `FROM` item with the keys of the rows that are new, each once.
    pub(super) fn new_keys(&self) -> String {
        if !self.is_collected {
            return self.distinct_keys("");
        }
        if !self.are_some_born {
            return self.distinct_keys("WHERE l.op = 'I'");
        }
        let same = self.places("c").into_iter().zip(self.places("l"));
        let same: Vec<String> = same.map(|(collected, logged)| format!("{collected} = {logged}")).collect();
        self.distinct_keys(&format!(
            "WHERE l.op = 'I' AND NOT EXISTS (SELECT FROM {} c WHERE {} AND NOT ({}))",
            self.collected(),
            same.join(" AND "),
            self.condition(MemberKind::Inserts),
        ))
    }

    /// `FROM` item with the keys of the entries `l` that meet a condition. By sorting: the keys are wanted in
    /// order, and a hash table of many would not fit into memory.
    pub(super) fn distinct_keys(&self, condition: &str) -> String {
        let (keys, logged) = (self.places("l").join(", "), self.logged_keys());
        format!("(SELECT DISTINCT ON ({keys}) {keys} FROM ({logged}) l {condition} ORDER BY {keys})")
    }

    /// The temporary table.
    pub(super) fn collected(&self) -> String {
        format!("pg_temp.salesync_changed_{}", self.table.id)
    }

    /// `c.k1`, `c.k2` …
    pub(super) fn places(&self, row: &str) -> Vec<String> {
        (1..=self.description.key.len()).map(|place| format!("{row}.k{place}")).collect()
    }

    /// `FROM` and `WHERE` of what the log says since the snapshot.
    pub(super) fn entries(&self) -> String {
        let since = quote_literal(self.since.as_deref().unwrap_or_default());
        format!("salesync.log_{} WHERE NOT pg_visible_in_snapshot(xid, {since}::pg_snapshot)", self.table.id)
    }

    /// The query for the keys and operations of these entries.
    pub(super) fn logged_keys(&self) -> String {
        let ordered = |(place, key): (usize, &KeyColumn)| {
            let place = format!("k{}", place + 1);
            format!("{} AS {place}", key_order(&place, &key.type_name))
        };
        let keys: Vec<String> = self.description.key.iter().enumerate().map(ordered).collect();
        format!("SELECT {}, op FROM {} LIMIT {}", keys.join(", "), self.entries(), self.logged)
    }

    /// True where the live row `t` has the changed key `c`. The first comparison is the table's own, so
    /// that its index serves; the second tells keys apart that only the table's own holds equal.
    pub(super) fn same_key(&self) -> String {
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

    /// `c` is a collected key. Its names are qualified: the live table may have columns of the same.
    pub(super) fn condition(&self, kind: MemberKind) -> &'static str {
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
