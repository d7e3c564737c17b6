//! A failure as a page: what was being done, why it failed, what to do.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::domain::{Failure, Kind};

/// What a handler answers when it cannot answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such page, branch, bundle.
    NotFound,
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    what: String,
    hint: Option<String>,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, what, hint) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such page.".to_owned(), None),
            Self::Failed(failure) => {
                let hint = failure.advice().map(str::to_owned);
                (status(failure.kind()), failure.to_string(), hint)
            }
        };
        let page = TroublePage { what, hint };
        (status, Html(page.render().unwrap_or_else(|_| page.what.clone()))).into_response()
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Usage | Kind::Damaged => StatusCode::BAD_REQUEST,
        Kind::Permission => StatusCode::FORBIDDEN,
        Kind::NeedsPerson => StatusCode::CONFLICT,
        Kind::Unreachable | Kind::Postponed => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Failed | Kind::Configuration => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
