//! Compares the day totals of a bundle with head office's own table.

use postgres::Transaction;

use super::refusal::{Refusal, judged_definition};
use crate::database::{Days, day_totals};
use crate::domain::{DayTotal, DayTotals, TableChange, quote_identifier, quote_literal};

/// Head office must now have on every day of the bundle what the branch had at the cut.
pub(super) fn check_days(
    transaction: &mut Transaction<'_>,
    change: &TableChange,
    branch: &str,
) -> Result<(), Refusal> {
    let Some(declared) = &change.day_totals else {
        return Ok(());
    };
    index_days(transaction, change, declared)?;
    let days: Vec<String> = declared.days.iter().map(|day| day.day.clone()).collect();
    let found = day_totals(
        transaction,
        &Days {
            rows: &format!("{} t", change.name.sql()),
            condition: &format!("t.branch = {}", quote_literal(branch)),
            columns: &change.columns,
            day: &declared.column,
            wanted: &days,
        },
    )
    .map_err(|error| judged_definition(&format!("adding up the business days of {}", change.name), &error))?;
    match difference(declared, &found) {
        None => Ok(()),
        Some(difference) => Err(Refusal::rejected(format!("table {}, {difference}", change.name))),
    }
}

/// Rows arrive nearly in the order of their days, so a BRIN index finds a day and costs inserts next
/// to nothing.
fn index_days(
    transaction: &mut Transaction<'_>,
    change: &TableChange,
    declared: &DayTotals,
) -> Result<(), Refusal> {
    let is_date =
        |column: &crate::domain::Column| column.name == declared.column && column.type_name == "date";
    if !change.columns.iter().any(is_date) {
        return Ok(());
    }
    let judge =
        |error: postgres::Error| judged_definition(&format!("indexing the days of {}", change.name), &error);
    let sql = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                   AND a.attnum = ANY (i.indkey) WHERE i.indrelid = $1::text::regclass AND a.attname = $2)";
    let row = transaction.query_one(sql, &[&change.name.sql(), &declared.column]).map_err(judge)?;
    if row.get(0) {
        return Ok(());
    }
    let sql = format!(
        "CREATE INDEX ON {} USING brin ({}) WITH (autosummarize = on)",
        change.name.sql(),
        quote_identifier(&declared.column)
    );
    transaction.batch_execute(&sql).map_err(judge)
}

/// The first day that differs, in words with both figures.
fn difference(declared: &DayTotals, found: &DayTotals) -> Option<String> {
    for day in &declared.days {
        let ours = found.days.iter().find(|candidate| candidate.day == day.day);
        if ours != Some(day) {
            let words = |day: &DayTotal| in_words(&declared.summed, day);
            let ours = ours.map_or_else(|| "no rows".to_owned(), words);
            return Some(format!("day {}: the branch has {}, head office has {ours}", day.day, words(day)));
        }
    }
    None
}

fn in_words(summed: &[String], day: &DayTotal) -> String {
    let totals = summed.iter().zip(&day.totals);
    let sums: Vec<String> = totals.map(|(column, total)| format!("{column} {}", total.sum)).collect();
    format!("{} rows ({})", day.rows, sums.join(", "))
}
