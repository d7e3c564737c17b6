//! The branch's sales: looked through, filtered, a page at a time.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::proof::Proof;
use crate::branch::import::Field;
use crate::branch::{Place, SalesFilter, SavedSale, Whereabouts, list_sales, whereabouts};
use crate::domain::{Failure, Kind};
use crate::web::field::{day, given};
use crate::web::form::Asked;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::grouped;

/// So many sales are on a page.
const ROWS: usize = 50;

/// What is asked for, as it was written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    from: String,
    to: String,
    region: String,
    product: String,
    id: String,
    after: String,
}

/// What is wrong with a field of the filter, by its name.
type Errors = BTreeMap<&'static str, String>;

#[derive(Template)]
#[template(path = "branch/sales.html")]
struct Sales {
    frame: Frame,
    query: Query,
    errors: Errors,
    is_filtered: bool,
    rows: Vec<Line>,
    /// What comes after these.
    next: Option<String>,
    /// Whether the rows know how far they are.
    knows_whereabouts: bool,
    /// Why there is no table to show.
    trouble: Option<Failure>,
    proof: Proof,
}

/// A field of the filter.
struct Input<'a> {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: &'a str,
    error: Option<&'a str>,
}

impl Sales {
    fn error(&self, field: &str) -> Option<&str> {
        self.errors.get(field).map(String::as_str)
    }

    fn inputs(&self) -> [Input<'_>; 5] {
        let Query { from, to, region, product, id, .. } = &self.query;
        let inputs = [
            ("from", "From", "date", from),
            ("to", "To", "date", to),
            ("region", "Region", "text", region),
            ("product", "Product has", "text", product),
            ("id", "Number", "text", id),
        ];
        inputs.map(|(name, label, kind, value)| Input { name, label, kind, value, error: self.error(name) })
    }
}

/// A row of the table.
pub(super) struct Line {
    pub(super) sale: SavedSale,
    whereabouts: Option<Whereabouts>,
}

impl Line {
    fn get(&self, field: Field) -> &str {
        self.sale.get(field)
    }

    /// The numbers of the sale.
    fn numbers(&self) -> [(Field, String); 5] {
        let fields = [Field::Qty, Field::Cost, Field::Amt, Field::Tax, Field::Total];
        fields.map(|field| (field, grouped(self.sale.get(field))))
    }

    /// Where one of them stands on a phone: a class.
    fn place(field: Field) -> &'static str {
        match field {
            Field::Total => " end",
            // It is the total less the tax.
            Field::Amt => " not-on-phone",
            _ => "",
        }
    }

    /// Style and word.
    fn state(&self) -> (&'static str, &'static str) {
        match self.whereabouts {
            None => ("", ""),
            Some(Whereabouts::Proven) => ("ok", "at head office"),
            Some(Whereabouts::OnItsWay) => ("waiting", "on its way"),
            Some(Whereabouts::Here) => ("idle", "only here"),
        }
    }
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(query): Asked<Query>,
) -> Result<Response, Trouble> {
    let frame = Frame::new(&state, viewer, "Sales", "/");
    let is_filtered = Query { after: String::new(), ..query.clone() }.is_any();
    let proof = Proof::of(&state).await?;
    let mut page = Sales {
        frame,
        is_filtered,
        errors: Errors::new(),
        rows: Vec::new(),
        next: None,
        knows_whereabouts: false,
        trouble: None,
        proof,
        query,
    };
    match page.query.read() {
        Err(errors) => page.errors = errors,
        Ok((filter, after)) => match find(&state, filter, after).await {
            Ok(rows) => page.fill(rows),
            // The branch may sell from other tables.
            Err(failure) if failure.kind() == Kind::Configuration => page.trouble = Some(failure),
            Err(failure) => return Err(failure.into()),
        },
    }
    let mut answer = render(&page)?;
    if !page.errors.is_empty() {
        *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(answer)
}

async fn find(state: &State, filter: SalesFilter, after: Option<Place>) -> Result<Vec<Line>, Failure> {
    // One more than are shown tells whether there are more.
    let count = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let found = state.databases.read(move |client| {
        let sales = list_sales(client, &filter, after.as_ref(), count)?;
        let ids: Vec<i64> = sales.iter().map(|sale| sale.id).collect();
        let far = whereabouts(client, &ids)?;
        let line = |sale: SavedSale| Line {
            whereabouts: far.as_ref().and_then(|far| far.get(&sale.id).copied()),
            sale,
        };
        Ok(sales.into_iter().map(line).collect())
    });
    found.await
}

impl Sales {
    fn fill(&mut self, mut rows: Vec<Line>) {
        let has_more = rows.len() > ROWS;
        rows.truncate(ROWS);
        let last = rows.last().filter(|_| has_more).map(|line| line.sale.place().to_string());
        self.next = last.and_then(|after| {
            let query = serde_urlencoded::to_string(Query { after, ..self.query.clone() });
            query.ok().map(|query| format!("/?{query}"))
        });
        self.knows_whereabouts = rows.iter().any(|line| line.whereabouts.is_some());
        self.rows = rows;
    }
}

impl Query {
    fn is_any(&self) -> bool {
        [&self.from, &self.to, &self.region, &self.product, &self.id, &self.after]
            .iter()
            .any(|text| !text.trim().is_empty())
    }

    fn read(&self) -> Result<(SalesFilter, Option<Place>), Errors> {
        let mut errors = Errors::new();
        let mut wrong = |field, why: &str| drop(errors.insert(field, why.to_owned()));
        let from = day(&self.from).unwrap_or_else(|why| {
            wrong("from", why);
            None
        });
        let to = day(&self.to).unwrap_or_else(|why| {
            wrong("to", why);
            None
        });
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            wrong("to", "is before the first day");
        }
        let id = given(&self.id).map(str::parse).transpose().unwrap_or_else(|_| {
            wrong("id", "not a number");
            None
        });
        let after = given(&self.after).map(str::parse).transpose().unwrap_or_else(|()| {
            wrong("after", "this is no place in the list; begin again with the newest sales");
            None
        });
        let text = |text: &str| given(text).map(str::to_owned);
        let filter = SalesFilter { from, to, region: text(&self.region), product: text(&self.product), id };
        if errors.is_empty() { Ok((filter, after)) } else { Err(errors) }
    }
}
