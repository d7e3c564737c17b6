//! A failure as a page: what was being done, why it failed, what to do.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::domain::{Failure, Kind};

/// What a handler answers when it cannot answer. The frame around it comes from [`house`](super::house).
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// There is no such page, branch, bundle.
    NotFound,
    /// It failed.
    Failed(Failure),
    /// HTTP has a word for it.
    Status(StatusCode),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut answer = self.status().into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

impl Trouble {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Failed(failure) => status(failure.kind()),
            Self::Status(status) => *status,
        }
    }

    /// What the page says: a heading, a sentence, what to do.
    pub(super) fn words(&self) -> (&'static str, String, Option<String>) {
        let status = match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Failed(failure) => {
                return ("This did not work", failure.to_string(), failure.advice().map(str::to_owned));
            }
            Self::Status(status) => *status,
        };
        let (heading, sentence) = sentence(status);
        (heading, sentence.to_owned(), None)
    }
}

fn sentence(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => ("There is no such page", "Nothing is at this address, or not any more."),
        StatusCode::METHOD_NOT_ALLOWED => ("This is not done here", "The page does not take this method."),
        StatusCode::PAYLOAD_TOO_LARGE => ("This is too much", "The form is larger than the page takes."),
        StatusCode::URI_TOO_LONG => ("This is too long", "The address is longer than the page takes."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("This is no form", "The page takes forms as browsers send them.")
        }
        StatusCode::REQUEST_TIMEOUT => ("This took too long", "The request did not come to its end in time."),
        status if status.is_server_error() => ("This did not work", "The page cannot answer just now."),
        _ => ("This cannot be read", "The request is not one that the page understands."),
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
