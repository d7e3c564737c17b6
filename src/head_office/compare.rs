//! Head office's tables against the branches' last word on each business day.

use chrono::{DateTime, NaiveDate, Utc};
use postgres::{Client, GenericClient, IsolationLevel, Row, Transaction};

use super::branches::branch_states;
use crate::database::{Days, database_failure, day_expression, day_totals, describe};
use crate::domain::{
    Column, DayTotal, DayTotals, Failure, Kind, NodeName, Sequence, TableName, quote_literal,
};

/// Which days to compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct DayFilter {
    /// From this one on.
    pub from: Option<NaiveDate>,
    /// Up to and with this one.
    pub to: Option<NaiveDate>,
}

/// One branch, compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The branch.
    pub branch: NodeName,
    /// False in the middle of a cut: head office has a part of it, and nothing was compared.
    pub is_at_cut: bool,
    /// The days, by table.
    pub days: Vec<ComparedDay>,
    /// Head office's rows on days, within the filter, that the branch has said nothing of.
    pub not_stated: u64,
}

/// One business day of one table.
#[derive(Debug, Clone)]
pub struct ComparedDay {
    /// The table.
    pub table: TableName,
    /// The columns that are summed.
    pub summed: Vec<String>,
    /// What the branch has said.
    pub stated: DayTotal,
    /// What head office has.
    pub found: DayTotal,
    /// The bundle that said it.
    pub sequence: Option<Sequence>,
    /// When, by the branch's clock.
    pub stated_at: DateTime<Utc>,
}

impl ComparedDay {
    /// True if nothing differs.
    pub fn is_equal(&self) -> bool {
        self.stated == self.found
    }
}

/// Compares these branches, or all if none is named, as of one moment.
pub fn compare(
    client: &mut Client,
    branches: &[NodeName],
    filter: DayFilter,
) -> Result<Vec<Comparison>, Failure> {
    let failed = |error: postgres::Error| database_failure("comparing", &error);
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.read_only(true).start().map_err(failed)?;
    let states = branch_states(&mut transaction)?;
    if let Some(unknown) = branches.iter().find(|name| states.iter().all(|state| state.name != **name)) {
        let why = format!("head office knows no branch {unknown}");
        return Err(Failure::new(Kind::Usage, "comparing", why).hint("`salesync status` lists the branches"));
    }
    let wanted = states.iter().filter(|state| branches.is_empty() || branches.contains(&state.name));
    let compared = wanted.map(|state| {
        // Before the first bundle there is nothing that could be out of step.
        let is_at_cut = state.is_at_cut || state.last_sequence.is_none();
        let mut comparison =
            Comparison { branch: state.name.clone(), is_at_cut, days: Vec::new(), not_stated: 0 };
        if is_at_cut {
            for stated in stated_tables(&mut transaction, &state.name, filter)? {
                stated.compare(&mut transaction, &mut comparison, filter)?;
            }
        }
        Ok(comparison)
    });
    compared.collect()
}

/// What a branch has said of a table, in one form: the columns of a table may change.
pub(super) struct Stated {
    pub(super) table: TableName,
    day_column: String,
    pub(super) summed: Vec<String>,
    pub(super) days: Vec<(DayTotal, Option<Sequence>, DateTime<Utc>)>,
}

const STATED: &str = "
    SELECT schema_name, table_name, day_column, summed, day::text, row_count, totals::text, sequence, stated_at
    FROM salesync.day_total
    WHERE branch = $1 AND day >= coalesce($2::date, '-infinity') AND day <= coalesce($3::date, 'infinity')
    ORDER BY schema_name, table_name, day_column, summed, day";

/// The newest day of each table that the branch has ever spoken of, whatever the day.
const SPOKEN_OF: &str = "
    SELECT DISTINCT ON (schema_name, table_name) schema_name, table_name, day_column
    FROM salesync.day_total WHERE branch = $1 ORDER BY schema_name, table_name, day DESC";

/// What the branch has said of its days, by table; a table of which it has said nothing within the filter has no days.
pub(super) fn stated_tables(
    client: &mut impl GenericClient,
    branch: &NodeName,
    filter: DayFilter,
) -> Result<Vec<Stated>, Failure> {
    let doing = "reading what the branch has said of its days";
    let failed = |error: postgres::Error| database_failure(doing, &error);
    let rows = client.query(STATED, &[&branch.as_str(), &filter.from, &filter.to]).map_err(failed)?;
    let mut tables: Vec<Stated> = Vec::new();
    for row in &rows {
        let table = TableName { schema: row.get(0), table: row.get(1) };
        let (day_column, summed): (String, Vec<String>) = (row.get(2), row.get(3));
        let known = tables.last().is_some_and(|last| {
            (&last.table, &last.day_column, &last.summed) == (&table, &day_column, &summed)
        });
        if !known {
            tables.push(Stated { table, day_column, summed, days: Vec::new() });
        }
        let day = stated_day(row).map_err(|error| Failure::new(Kind::Failed, doing, error))?;
        if let Some(last) = tables.last_mut() {
            last.days.push((day, Sequence::from_bigint(row.get(7)), row.get(8)));
        }
    }
    for row in client.query(SPOKEN_OF, &[&branch.as_str()]).map_err(failed)? {
        let table = TableName { schema: row.get(0), table: row.get(1) };
        if tables.iter().all(|known| known.table != table) {
            let (day_column, summed) = (row.get(2), Vec::new());
            tables.push(Stated { table, day_column, summed, days: Vec::new() });
        }
    }
    Ok(tables)
}

fn stated_day(row: &Row) -> Result<DayTotal, serde_json::Error> {
    let totals = serde_json::from_str(row.get(6))?;
    Ok(DayTotal { day: row.get(4), rows: row.get::<_, i64>(5).unsigned_abs(), totals })
}

impl Stated {
    fn compare(
        self,
        transaction: &mut Transaction<'_>,
        comparison: &mut Comparison,
        filter: DayFilter,
    ) -> Result<(), Failure> {
        let doing = format!("adding up the business days of {}", self.table);
        let failed = |error: postgres::Error| database_failure(doing.clone(), &error);
        let columns = self.columns(transaction)?;
        let wanted: Vec<String> = self.days.iter().map(|(day, ..)| day.day.clone()).collect();
        let (rows, condition) = (
            format!("{} t", self.table.sql()),
            format!("t.branch = {}", quote_literal(comparison.branch.as_str())),
        );
        let days = Days {
            rows: &rows,
            condition: &condition,
            columns: &columns,
            day: &self.day_column,
            wanted: &wanted,
        };
        let DayTotals { days: found, .. } = day_totals(transaction, &days).map_err(failed)?;
        let day = day_expression(&columns, &self.day_column, "t");
        let sql = format!(
            "SELECT count(*) FROM {rows} WHERE {condition} AND {day} >= coalesce($2::date, '-infinity')
               AND {day} <= coalesce($3::date, 'infinity') AND NOT EXISTS (
                 SELECT FROM salesync.day_total d WHERE d.branch = t.branch AND d.schema_name = $1
                    AND d.table_name = $4 AND d.day = {day})"
        );
        let row = transaction
            .query_one(&sql, &[&self.table.schema, &filter.from, &filter.to, &self.table.table])
            .map_err(failed)?;
        // Of a table whose columns have changed meanwhile there are several forms, and one count.
        if comparison.days.last().is_none_or(|last| last.table != self.table) {
            comparison.not_stated += row.get::<_, i64>(0).unsigned_abs();
        }
        let Self { table, summed, days, .. } = self;
        let compared = days.into_iter().zip(found).map(|((stated, sequence, stated_at), found)| {
            ComparedDay { table: table.clone(), summed: summed.clone(), stated, found, sequence, stated_at }
        });
        comparison.days.extend(compared);
        Ok(())
    }

    /// The columns that the statement is about, as head office has them now.
    fn columns(&self, transaction: &mut Transaction<'_>) -> Result<Vec<Column>, Failure> {
        let doing = format!("looking at head office's table {}", self.table);
        let lacking = |what: String| {
            Failure::new(Kind::Failed, doing.clone(), what).hint(
                "put it back, or have the branch say everything anew: `salesync bundle --since all` there",
            )
        };
        let description =
            describe(transaction, &self.table)?.ok_or_else(|| lacking("there is none".to_owned()))?;
        let names = std::iter::once(&self.day_column).chain(&self.summed);
        let column = |name: &String| {
            let found = description.columns.iter().find(|column| column.name == *name);
            let found = found.ok_or_else(|| lacking(format!("it has no column {name:?} any more")))?;
            // Here the key says only that a column is not summed, and these are.
            Ok(Column { key: None, ..found.clone() })
        };
        names.map(column).collect()
    }
}
