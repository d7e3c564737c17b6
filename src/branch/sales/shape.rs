//! Whether `public.sales` is a table that can be worked with by hand.

use postgres::GenericClient;

use super::super::import::Field;
use crate::database::{TableDescription, describe};
use crate::domain::{Failure, Kind, TableName};

const DOING: &str = "opening the table of sales";

/// `public.sales`.
pub(super) fn sales_name() -> TableName {
    TableName { schema: "public".to_owned(), table: "sales".to_owned() }
}

/// Fails, saying why, where there is no `public.sales` whose rows are sales with a number.
pub fn check_sales(client: &mut impl GenericClient) -> Result<(), Failure> {
    let Some(table) = describe(client, &sales_name())? else {
        return Err(Failure::new(Kind::Configuration, DOING, "there is no table public.sales").hint(
            "`salesync init --with-sales` makes one; a branch that sells from other tables is synchronised all the same",
        ));
    };
    match mismatch(&table) {
        None => Ok(()),
        Some(why) => Err(Failure::new(Kind::Configuration, DOING, why).hint(
            "this page needs the table of `salesync init --with-sales`; other tables are synchronised all the same",
        )),
    }
}

/// What about the table is not as it has to be.
fn mismatch(table: &TableDescription) -> Option<String> {
    if table.key.iter().map(|key| key.name.as_str()).ne(["id"]) {
        return Some("the primary key of public.sales is not its column id".to_owned());
    }
    let type_of =
        |name: &str| table.columns.iter().find(|column| column.name == name).map(|found| &*found.type_name);
    let wanted = Field::ALL.map(|field| (field.name().to_lowercase(), types_of(field)));
    let id = ("id".to_owned(), &["integer", "bigint", "smallint"][..]);
    wanted.into_iter().chain([id]).find_map(|(name, types)| match type_of(&name) {
        None => Some(format!("public.sales has no column {name}")),
        Some(found)
            if types.iter().any(|wanted| found == *wanted || found.starts_with(&format!("{wanted}("))) =>
        {
            None
        }
        Some(found) => {
            Some(format!("the column {name} of public.sales is of type {found}, not {}", types[0]))
        }
    })
}

fn types_of(field: Field) -> &'static [&'static str] {
    match field {
        Field::Date => &["date"],
        Field::Region | Field::Product => &["text", "character varying", "character"],
        Field::Qty => &["integer", "bigint", "smallint", "numeric"],
        Field::Cost | Field::Amt | Field::Tax | Field::Total => &["numeric"],
    }
}
