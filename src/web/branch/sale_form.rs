//! The form of a sale: what was typed, what is wrong with it, what it comes to.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::site;
use crate::branch::SavedSale;
use crate::branch::import::{Field, FieldProblem, Sale, SaleRules, SaleText};
use crate::domain::Failure;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

/// A sale as it was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    date: String,
    region: String,
    product: String,
    qty: String,
    cost: String,
    /// These three only where a script has computed them.
    amt: String,
    tax: String,
    total: String,
    /// The form's own number, of a new sale.
    pub(super) form: String,
    /// The version that was seen, of one that is corrected.
    pub(super) version: String,
}

impl Typed {
    /// A new one of this day and region.
    pub(super) fn of_day(date: String, region: String) -> Self {
        Self { date, region, ..Self::default() }
    }

    pub(super) fn get(&self, field: Field) -> &str {
        match field {
            Field::Date => &self.date,
            Field::Region => &self.region,
            Field::Product => &self.product,
            Field::Qty => &self.qty,
            Field::Cost => &self.cost,
            Field::Amt => &self.amt,
            Field::Tax => &self.tax,
            Field::Total => &self.total,
        }
    }

    pub(super) fn check(&self, rules: &SaleRules) -> Result<Sale, Vec<FieldProblem>> {
        let mut text = SaleText::default();
        Field::ALL.into_iter().for_each(|field| text.set(field, self.get(field)));
        rules.check(&text)
    }

    /// What it comes to by what was typed in the fields before, as far as that can be said.
    fn amounts(&self, rules: &SaleRules) -> Option<Sale> {
        let mut text = SaleText::default();
        let needed = [(Field::Date, "2000-01-01"), (Field::Region, "-"), (Field::Product, "-")];
        needed.into_iter().for_each(|(field, value)| text.set(field, value));
        [Field::Qty, Field::Cost].into_iter().for_each(|field| text.set(field, self.get(field)));
        rules.check(&text).ok()
    }
}

impl From<&SavedSale> for Typed {
    fn from(sale: &SavedSale) -> Self {
        let get = |field| sale.get(field).to_owned();
        Self {
            date: get(Field::Date),
            region: get(Field::Region),
            product: get(Field::Product),
            qty: get(Field::Qty),
            cost: get(Field::Cost),
            version: sale.version.clone(),
            ..Self::default()
        }
    }
}

/// What the form has to say besides its fields.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// What is wrong with fields.
    pub(super) problems: Vec<FieldProblem>,
    /// Why the database did not take it.
    pub(super) failure: Option<Failure>,
    /// What else there is to know before it is sent again.
    pub(super) warning: Option<String>,
    /// The sale as it stands now, where it was changed meanwhile.
    pub(super) now: Option<SavedSale>,
}

#[derive(Template)]
#[template(path = "branch/sale_form.html")]
struct SaleForm {
    frame: Frame,
    /// The sale that is corrected; none where it is a new one.
    id: Option<i64>,
    typed: Typed,
    amounts: Option<Sale>,
    tax_rate: String,
    errors: BTreeMap<&'static str, String>,
    remarks: Remarks,
}

/// A field that is typed in.
struct Input {
    field: Field,
    kind: &'static str,
    hint: &'static str,
}

const INPUTS: [Input; 5] = [
    Input { field: Field::Date, kind: "date", hint: "the business day" },
    Input { field: Field::Region, kind: "text", hint: "" },
    Input { field: Field::Product, kind: "text", hint: "" },
    Input { field: Field::Qty, kind: "text", hint: "how many; returned ones with a minus" },
    Input { field: Field::Cost, kind: "text", hint: "the price of one" },
];

const COMPUTED: [Field; 3] = [Field::Amt, Field::Tax, Field::Total];

impl Input {
    fn name(&self) -> String {
        self.field.name().to_lowercase()
    }

    fn is_number(&self) -> bool {
        matches!(self.field, Field::Qty | Field::Cost)
    }
}

impl SaleForm {
    fn inputs() -> &'static [Input] {
        &INPUTS
    }

    fn computed() -> &'static [Field] {
        &COMPUTED
    }

    fn error(&self, field: Field) -> Option<&String> {
        self.errors.get(field.name())
    }

    /// The field that is typed in first: one that is wrong, else the first.
    fn is_first(&self, field: Field) -> bool {
        let first = INPUTS.iter().map(|input| input.field).find(|field| self.error(*field).is_some());
        first.unwrap_or(Field::Date) == field
    }

    fn amount(&self, field: Field) -> String {
        let amounts = self.amounts.as_ref();
        amounts.map_or_else(String::new, |sale| match field {
            Field::Amt => sale.amt.to_string(),
            Field::Tax => sale.tax.to_string(),
            _ => sale.total.to_string(),
        })
    }
}

/// The form of a new sale, or of the one with this number.
pub(super) fn show(
    state: &State,
    viewer: Viewer,
    id: Option<i64>,
    typed: Typed,
    remarks: Remarks,
) -> Result<Response, Trouble> {
    let rules = &site(state)?.rules;
    let status = match (&remarks.failure, remarks.problems.is_empty(), &remarks.now, &remarks.warning) {
        (Some(failure), ..) => Trouble::from(failure.clone()).status(),
        (None, false, ..) => StatusCode::UNPROCESSABLE_ENTITY,
        (None, true, None, None) => StatusCode::OK,
        _ => StatusCode::CONFLICT,
    };
    let errors = remarks.problems.iter().map(|problem| (problem.field.name(), problem.reason.clone()));
    let form = SaleForm {
        frame: Frame::new(state, viewer, if id.is_some() { "Correct a sale" } else { "New sale" }, "/"),
        id,
        amounts: typed.amounts(rules),
        tax_rate: rules.tax_rate().to_string(),
        errors: errors.collect(),
        typed,
        remarks,
    };
    let mut answer = render(&form)?;
    *answer.status_mut() = status;
    Ok(answer)
}
