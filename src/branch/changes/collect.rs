//! The keys of a table that have not only been inserted: collected, looked up, and counted.

use postgres::GenericClient;

use super::{MANY_ROWS, Others, TableCut};
use crate::database::{database_failure, gather_statistics};
use crate::domain::{Failure, MemberKind, Mode};

/// Keys are grouped by sorting in this transaction: they are wanted in order, and a hash table of many would not fit
/// into memory.
pub(in crate::branch) fn group_by_sorting(client: &mut impl GenericClient) -> Result<(), Failure> {
    let set = client.batch_execute("SET LOCAL enable_hashagg = off");
    set.map_err(|error| database_failure("choosing how to group keys", &error))
}

impl TableCut {
    /// True if new rows can travel, and the others are to be collected meanwhile: they have to be looked up one by one.
    pub(in crate::branch) fn awaits_others(&self) -> bool {
        self.others == Others::Awaited
    }

    /// Whether there are many new rows, and those that were only inserted may travel before the others. Not if rows of the
    /// table refer to each other.
    pub(super) fn may_await_others(&self, client: &mut impl GenericClient) -> Result<bool, postgres::Error> {
        let [inserted, ..] = self.counts;
        if self.mode != Mode::Changes || inserted < MANY_ROWS {
            return Ok(false);
        }
        let sql = "SELECT NOT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = $1 AND confrelid = $1)";
        client.query_one(sql, &[&self.description.oid]).map(|row| row.get(0))
    }

    pub(super) fn is_rest(&self) -> bool {
        matches!(self.others, Others::Rest { .. })
    }

    /// What travels after the rows that were only inserted. The keys go to a temporary table of this session, whose transaction has the
    /// cut's snapshot.
    pub(in crate::branch) fn rest(&self, client: &mut impl GenericClient) -> Result<Self, Failure> {
        let mut rest = self.clone();
        let of_others = rest.collect(client)?;
        let [inserted, ..] = self.counts;
        let only_inserted = inserted - of_others;
        rest.counts[MemberKind::Inserts as usize] -= only_inserted;
        rest.others = Others::Rest { only_inserted };
        Ok(rest)
    }

    /// The rows that were only inserted have been read, so many: none may be missing.
    pub(in crate::branch) fn check_only_inserted(&self, read: u64) -> Result<(), Failure> {
        let Others::Rest { only_inserted } = self.others else { return Ok(()) };
        self.expect(only_inserted, read)
    }

    /// Collects the keys and counts what they are. Returns how many of their entries are of new rows.
    pub(super) fn collect(&mut self, client: &mut impl GenericClient) -> Result<i64, Failure> {
        let failed =
            |error| database_failure(format!("collecting the changes of {}", self.table.name), &error);
        self.collect_keys(client).map_err(failed)?;
        let Counts { kinds, impossible, born } = self.count_keys(client).map_err(failed)?;
        if impossible > 0 && self.mode == Mode::Changes {
            return Err(self.log_was_changed(impossible));
        }
        let [inserted, ..] = self.counts;
        self.counts = kinds;
        if self.mode == Mode::Changes {
            self.counts[MemberKind::Inserts as usize] += inserted - born;
        }
        self.others = Others::Collected { are_some_born: born > 0 };
        Ok(born)
    }

    /// Puts keys into the temporary table.
    fn collect_keys(&self, client: &mut impl GenericClient) -> Result<(), postgres::Error> {
        let sql = format!(
            "CREATE TEMPORARY TABLE salesync_changed_{id} ON COMMIT DROP AS
             SELECT c.*, t.tableoid IS NOT NULL AS is_there,
                    (t.tableoid IS NOT NULL)::int - c.born + c.died AS had
             FROM (SELECT {keys}, count(*) FILTER (WHERE op = 'I') AS born, count(*) FILTER (WHERE op = 'D') AS died
                   FROM ({logged}) l {which} GROUP BY {keys}) c
             LEFT JOIN ONLY {table} t ON {same_key}",
            id = self.table.id,
            keys = self.places("l").join(", "),
            logged = self.logged_keys(),
            which = if self.mode == Mode::Repair { String::new() } else { format!("WHERE {}", self.has_other_entry()) },
            table = self.table.name.sql(),
            same_key = self.same_key(),
        );
        client.batch_execute(&sql)?;
        gather_statistics(client, &self.collected())
    }

    fn count_keys(&self, client: &mut impl GenericClient) -> Result<Counts, postgres::Error> {
        let kinds = [MemberKind::Inserts, MemberKind::Updates, MemberKind::Tombstones];
        let counts = kinds.map(|kind| format!("count(*) FILTER (WHERE {})", self.condition(kind)));
        let (counts, keys) = (counts.join(", "), self.collected());
        let sql = format!(
            "SELECT {counts}, count(*) FILTER (WHERE c.had NOT IN (0, 1)), coalesce(sum(c.born), 0)::bigint
             FROM {keys} c"
        );
        let row = client.query_one(&sql, &[])?;
        Ok(Counts { kinds: [row.get(0), row.get(1), row.get(2)], impossible: row.get(3), born: row.get(4) })
    }
}

/// Of the collected keys.
struct Counts {
    /// How many of them are of each kind.
    kinds: [i64; 3],
    /// How many cannot be.
    impossible: i64,
    /// How many of their entries are of new rows. Entries of keys that were not collected are all of new rows.
    born: i64,
}
