//! The form of a sale: what was typed, what is wrong with it, what it comes to.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use uuid::Uuid;

use super::edit::saved_in_words;
use super::site;
use crate::branch::SavedSale;
use crate::branch::import::{Field, FieldProblem, Sale, SaleRules, SaleText};
use crate::domain::{Count, Failure};
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
        Self { date, region, ..Self::default() }.on_new_form()
    }

    /// The same on a form that has not been sent.
    pub(super) fn on_new_form(self) -> Self {
        Self { form: Uuid::now_v7().to_string(), ..self }
    }

    /// The same, to correct another version.
    pub(super) fn of_version(self, version: String) -> Self {
        Self { version, ..self }
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
        for field in Field::ALL {
            text.set(field, self.get(field));
        }
        rules.check(&text)
    }

    /// What it comes to by what was typed in the fields before, as far as that can be said.
    fn amounts(&self, rules: &SaleRules) -> Option<Sale> {
        let mut text = SaleText::default();
        let needed = [(Field::Date, "2000-01-01"), (Field::Region, "-"), (Field::Product, "-")];
        let given = [Field::Qty, Field::Cost].map(|field| (field, self.get(field)));
        for (field, value) in needed.into_iter().chain(given) {
            text.set(field, value);
        }
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
    inputs: Vec<Input>,
    computed: Vec<Input>,
    tax_rate: String,
    remarks: Remarks,
    /// The sale as it stands now, in words, where it was changed meanwhile.
    now: Option<String>,
}

impl SaleForm {
    /// How much is wrong.
    fn wrong(&self) -> Option<String> {
        let count = self.remarks.problems.len() as u64;
        (count > 0).then(|| Count(count, "field").to_string())
    }
}

/// A field that is typed in, or computed from the others.
struct Input {
    field: Field,
    name: String,
    value: String,
    kind: &'static str,
    hint: &'static str,
    error: Option<String>,
    /// Whether it is typed in first: it is the first that is wrong, or the first of all.
    is_first: bool,
}

const TYPED: [(Field, &str, &str); 5] = [
    (Field::Date, "date", "the business day"),
    (Field::Region, "text", ""),
    (Field::Product, "text", ""),
    (Field::Qty, "text", "how many; returned ones with a minus"),
    (Field::Cost, "text", "the price of one"),
];

const COMPUTED: [Field; 3] = [Field::Amt, Field::Tax, Field::Total];

impl Input {
    fn label(&self) -> &'static str {
        self.field.name()
    }

    fn is_number(&self) -> bool {
        matches!(self.field, Field::Qty | Field::Cost)
    }

    /// What describes it to who cannot see.
    fn description(&self) -> Option<String> {
        let kind = if self.error.is_some() { "error" } else { "hint" };
        (self.error.is_some() || !self.hint.is_empty()).then(|| format!("{}-{kind}", self.name))
    }
}

/// The fields that are typed in, and those that are computed.
fn inputs(typed: &Typed, amounts: Option<&Sale>, problems: &[FieldProblem]) -> (Vec<Input>, Vec<Input>) {
    let error =
        |field| problems.iter().find(|problem| problem.field == field).map(|found| found.reason.clone());
    let first = TYPED.iter().map(|(field, ..)| *field).find(|field| error(*field).is_some());
    let input = |field: Field, value: String, kind, hint| Input {
        name: field.name().to_lowercase(),
        value,
        kind,
        hint,
        error: error(field),
        is_first: first.unwrap_or(Field::Date) == field,
        field,
    };
    let amount = |field| {
        amounts.map_or_else(String::new, |sale| match field {
            Field::Amt => sale.amt.to_string(),
            Field::Tax => sale.tax.to_string(),
            _ => sale.total.to_string(),
        })
    };
    let filled_in =
        TYPED.iter().map(|(field, kind, hint)| input(*field, typed.get(*field).to_owned(), *kind, *hint));
    let computed = COMPUTED.iter().map(|field| input(*field, amount(*field), "text", ""));
    (filled_in.collect(), computed.collect())
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
    let (inputs, computed) = inputs(&typed, typed.amounts(rules).as_ref(), &remarks.problems);
    let form = SaleForm {
        frame: Frame::new(state, viewer, if id.is_some() { "Correct a sale" } else { "New sale" }, "/"),
        id,
        inputs,
        computed,
        tax_rate: rules.tax_rate().to_string(),
        now: remarks.now.as_ref().map(saved_in_words),
        typed,
        remarks,
    };
    let mut answer = render(&form)?;
    *answer.status_mut() = status;
    Ok(answer)
}
