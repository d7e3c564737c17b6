//! How far each sale of a page is on its way to head office.

use std::collections::BTreeMap;

use postgres::GenericClient;

use super::shape::sales_name;
use crate::branch::tracking::{TrackedTable, tracked_tables};
use crate::database::database_failure;
use crate::domain::Failure;

/// How far a sale is, as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// Head office has confirmed it.
    Proven,
    /// It is in a bundle that head office has not confirmed.
    OnItsWay,
    /// It is in no bundle yet.
    Here,
}

/// A longer log has no index either, and is not read for every page.
const LONGEST_LOG_BYTES: i64 = 32 << 20;

/// How far each of these sales is; none if `public.sales` is not synchronised, or the log is too long to be looked
/// through for a page. The log is pruned by head office's answers, so what is not in it is proven.
pub fn whereabouts(
    client: &mut impl GenericClient,
    ids: &[i64],
) -> Result<Option<BTreeMap<i64, Whereabouts>>, Failure> {
    let failed = |error: postgres::Error| database_failure("looking how far the sales are", &error);
    let Some(table) = tracked_tables(client)?.into_iter().find(|table| table.name == sales_name()) else {
        return Ok(None);
    };
    let log = format!("salesync.log_{}", table.id);
    let row = client.query_one("SELECT pg_relation_size($1::text::regclass)", &[&log]).map_err(failed)?;
    if row.get::<_, i64>(0) > LONGEST_LOG_BYTES {
        return Ok(None);
    }
    let cuts = Cuts::of(client, &table).map_err(failed)?;
    let sql = format!(
        "SELECT k1::bigint, bool_or(NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)),
                bool_or(NOT pg_visible_in_snapshot(xid, $3::text::pg_snapshot))
         FROM {log} WHERE k1 = ANY ($1::bigint[]) GROUP BY k1"
    );
    let rows = client.query(&sql, &[&ids, &cuts.last, &cuts.proven]).map_err(failed)?;
    let logged: BTreeMap<i64, (Option<bool>, Option<bool>)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    let far = |id: &i64| (*id, cuts.judge(logged.get(id).copied()));
    Ok(Some(ids.iter().map(far).collect()))
}

/// The snapshots of the last cut with the table and of the last that head office has applied.
struct Cuts {
    last: Option<String>,
    proven: Option<String>,
}

impl Cuts {
    fn of(client: &mut impl GenericClient, table: &TrackedTable) -> Result<Self, postgres::Error> {
        let sql = "SELECT watermark::text FROM salesync.node";
        let last = client.query_one(sql, &[])?.get::<_, Option<String>>(0).filter(|_| table.is_complete);
        let sql = "SELECT sequence, b.watermark::text FROM salesync.bundle b JOIN salesync.node USING (epoch)
                   WHERE state = 'applied' AND is_last_part ORDER BY sequence DESC LIMIT 1";
        let proven = client.query_opt(sql, &[])?.filter(|cut| table.has_travelled_by(cut.get(0)));
        Ok(Self { last, proven: proven.map(|cut| cut.get(1)) })
    }

    /// From whether an entry of the log is younger than the last cut, and than the proven one.
    fn judge(&self, logged: Option<(Option<bool>, Option<bool>)>) -> Whereabouts {
        let (after_last, after_proven) = logged.unwrap_or((Some(false), Some(false)));
        if self.last.is_none() || after_last == Some(true) {
            Whereabouts::Here
        } else if self.proven.is_none() || after_proven == Some(true) {
            Whereabouts::OnItsWay
        } else {
            Whereabouts::Proven
        }
    }
}
