//! Voiding a sale: asked first, with the sale's own words.

use askama::Template;
use axum::extract;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::edit::{gone, saved, saved_in_words};
use super::{expect_operator, number};
use crate::branch::{Changed, SavedSale, void_sale};
use crate::domain::Failure;
use crate::web::form::Posted;
use crate::web::page::{Frame, go_to, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;

/// The sale as it was seen.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    version: String,
    /// Its words, for the answer when it is gone.
    words: String,
}

#[derive(Template)]
#[template(path = "branch/void.html")]
struct Void {
    frame: Frame,
    sale: SavedSale,
    words: String,
    /// It is another one than was seen.
    is_changed: bool,
    failure: Option<Failure>,
}

pub(super) async fn ask(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    viewer: Viewer,
) -> Result<Response, Trouble> {
    expect_operator(&viewer)?;
    let sale = saved(&state, number(&id)?).await?;
    show(&state, viewer, sale, false, None)
}

pub(super) async fn void(
    extract::State(state): extract::State<State>,
    extract::Path(id): extract::Path<String>,
    Posted { viewer, form }: Posted<Seen>,
) -> Result<Response, Trouble> {
    let id = number(&id)?;
    let Seen { version, words } = form;
    match state.databases.write(move |client| void_sale(client, id, &version)).await {
        Ok(Changed::Done) => Ok(go_to("/", format!("Voided: sale {id}, {words}."))),
        Ok(Changed::Gone) => Err(gone(id)),
        Ok(Changed::ChangedMeanwhile) => {
            let sale = saved(&state, id).await?;
            show(&state, viewer, sale, true, None)
        }
        Err(failure) => {
            let Ok(sale) = saved(&state, id).await else { return Err(failure.into()) };
            show(&state, viewer, sale, false, Some(failure))
        }
    }
}

fn show(
    state: &State,
    viewer: Viewer,
    sale: SavedSale,
    is_changed: bool,
    failure: Option<Failure>,
) -> Result<Response, Trouble> {
    let status = match &failure {
        Some(failure) => Trouble::from(failure.clone()).status(),
        None if is_changed => StatusCode::CONFLICT,
        None => StatusCode::OK,
    };
    let frame = Frame::new(state, viewer, "Void a sale", "/");
    let mut answer = render(&Void { frame, words: saved_in_words(&sale), sale, is_changed, failure })?;
    *answer.status_mut() = status;
    Ok(answer)
}
