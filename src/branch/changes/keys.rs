//! The changed keys of a table, as pieces of SQL: `l` is an entry of the log, `c` a key, `t` its live row.
//!
//! The planner cannot know how much of a log is new, so it is told: every look at the entries is limited to
//! their number. Without that it would take a thousand for most of the log, and read all of a large table.

use super::{Others, TableCut};
use crate::database::{KeyColumn, key_order};
use crate::domain::{MemberKind, Mode, quote_identifier, quote_literal};

impl TableCut {
    /// `FROM` item with the changed keys, each once.
    pub(super) fn keys(&self) -> String {
        if self.mode == Mode::Repair { self.collected() } else { self.distinct_keys("") }
    }

    /// `FROM` item with the keys of the rows that are new, each once.
    pub(super) fn new_keys(&self) -> String {
        let is_not_new = match self.others {
            Others::None => return self.distinct_keys(""),
            Others::Collected { are_some_born: false } => return self.distinct_keys("WHERE l.op = 'I'"),
            Others::Awaited => return self.only_inserted_keys(),
            Others::Collected { .. } | Others::Rest { .. } => format!(
                "EXISTS (SELECT FROM {} c WHERE {} AND NOT ({}))",
                self.collected(),
                self.is_same_key("c", "l"),
                self.condition(MemberKind::Inserts),
            ),
        };
        self.distinct_keys(&format!("WHERE l.op = 'I' AND NOT {is_not_new}"))
    }

    /// The same without keys that have other entries. In one pass: the others need not be known for it.
    fn only_inserted_keys(&self) -> String {
        let (keys, logged) = (self.places("l").join(", "), self.logged_keys());
        format!("(SELECT {keys} FROM ({logged}) l GROUP BY {keys} HAVING bool_and(l.op = 'I'))")
    }

    /// The key of the entry `l` has not only been inserted.
    pub(super) fn has_other_entry(&self) -> String {
        let (logged, same) = (self.logged_keys(), self.is_same_key("o", "l"));
        format!("EXISTS (SELECT FROM ({logged}) o WHERE o.op <> 'I' AND {same})")
    }

    fn is_same_key(&self, one: &str, other: &str) -> String {
        let same = self.places(one).into_iter().zip(self.places(other));
        same.map(|(one, other)| format!("{one} = {other}")).collect::<Vec<_>>().join(" AND ")
    }

    /// `FROM` item with the keys of the entries `l` that meet a condition. By sorting, always.
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
