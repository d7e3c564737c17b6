//! One sale at a time: added, corrected, voided.

use postgres::Client;
use postgres::types::ToSql;
use uuid::Uuid;

use super::shape::check_sales;
use crate::branch::import::Sale;
use crate::database::database_failure;
use crate::domain::{Failure, Kind};

/// What became of a sale that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in the table, under this number.
    Saved(i64),
    /// The same form was sent before, and then it was saved under this number.
    SavedBefore(i64),
}

/// What became of a sale that was to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is changed.
    Done,
    /// Somebody else has changed it since, and nothing was done.
    ChangedMeanwhile,
    /// There is none any more.
    Gone,
}

/// Adds a sale. The `form` it was written in is spent by that: sent once more it adds nothing, however and whenever
/// that happens.
pub fn add_sale(client: &mut Client, form: Uuid, sale: &Sale) -> Result<Added, Failure> {
    const DOING: &str = "saving the sale";
    let failed = |error: postgres::Error| refused(DOING, &error);
    check_sales(client)?;
    let mut transaction = client.transaction().map_err(failed)?;
    // One that is being spent by another session is waited for.
    let spend = "INSERT INTO salesync.spent_form (form_id) VALUES ($1) ON CONFLICT DO NOTHING";
    if transaction.execute(spend, &[&form]).map_err(failed)? == 0 {
        let sql = "SELECT sale_id FROM salesync.spent_form WHERE form_id = $1";
        return Ok(Added::SavedBefore(transaction.query_one(sql, &[&form]).map_err(failed)?.get(0)));
    }
    let values = texts(sale);
    let sql = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
               VALUES ($1::text::date, $2::text, $3::text, $4::text::numeric, $5::text::numeric, $6::text::numeric,
                       $7::text::numeric, $8::text::numeric)
               RETURNING id::bigint";
    let row = transaction.query_opt(sql, &parameters(&values)).map_err(failed)?;
    let id: i64 = row.ok_or_else(|| dropped(DOING))?.get(0);
    let sql = "UPDATE salesync.spent_form SET sale_id = $2 WHERE form_id = $1";
    transaction.execute(sql, &[&form, &id]).map_err(failed)?;
    // Nobody sends a form again after so long.
    let sql = "DELETE FROM salesync.spent_form WHERE spent_at < clock_timestamp() - interval '7 days'";
    transaction.execute(sql, &[]).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(Added::Saved(id))
}

/// Gives the sale these values, if it is still the one that was seen.
pub fn correct_sale(client: &mut Client, id: i64, version: &str, sale: &Sale) -> Result<Changed, Failure> {
    check_sales(client)?;
    let values = texts(sale);
    let sql = "UPDATE public.sales
               SET date = $1::text::date, region = $2::text, product = $3::text, qty = $4::text::numeric,
                   cost = $5::text::numeric, amt = $6::text::numeric, tax = $7::text::numeric,
                   total = $8::text::numeric
               WHERE id = $9::bigint AND xmin::text = $10";
    let mut parameters = parameters(&values);
    parameters.extend([&id as &(dyn ToSql + Sync), &version]);
    change(client, "correcting the sale", id, version, sql, &parameters)
}

/// Removes the sale, if it is still the one that was seen.
pub fn void_sale(client: &mut Client, id: i64, version: &str) -> Result<Changed, Failure> {
    check_sales(client)?;
    let sql = "DELETE FROM public.sales WHERE id = $1::bigint AND xmin::text = $2";
    change(client, "voiding the sale", id, version, sql, &[&id, &version])
}

fn change(
    client: &mut Client,
    doing: &str,
    id: i64,
    version: &str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Changed, Failure> {
    let failed = |error: postgres::Error| refused(doing, &error);
    if client.execute(sql, parameters).map_err(failed)? == 1 {
        return Ok(Changed::Done);
    }
    let sql = "SELECT xmin::text = $2 FROM public.sales WHERE id = $1::bigint";
    match client.query_opt(sql, &[&id, &version]).map_err(failed)?.map(|row| row.get(0)) {
        None => Ok(Changed::Gone),
        Some(false) => Ok(Changed::ChangedMeanwhile),
        Some(true) => Err(dropped(doing)),
    }
}

/// The values as SQL reads them, in the order of the fields.
fn texts(sale: &Sale) -> [String; 8] {
    let Sale { date, region, product, qty, cost, amt, tax, total } = sale;
    let money = [cost, amt, tax, total].map(ToString::to_string);
    let [cost, amt, tax, total] = money;
    [date.to_string(), region.clone(), product.clone(), qty.to_string(), cost, amt, tax, total]
}

fn parameters(values: &[String; 8]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

/// What the database says of a change that it does not take.
pub(super) fn refused(doing: &str, error: &postgres::Error) -> Failure {
    let failure = database_failure(doing, error);
    match failure.advice() {
        None => failure.hint("nothing was changed; mend what the database names, and try again"),
        Some(_) => failure,
    }
}

fn dropped(doing: &str) -> Failure {
    Failure::new(Kind::Failed, doing, "the table did not take it")
        .hint("nothing was changed; a trigger on public.sales, or a policy of it, drops changes")
}
