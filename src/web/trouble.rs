//! A failure as a page: what was being done, why it failed, what to do.

use std::time::Duration;

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
    /// Nobody knows who asks.
    LoggedOut,
    /// It has failed too often: wait so long.
    TooOften(Duration),
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
            Self::LoggedOut => StatusCode::UNAUTHORIZED,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// What the page says: a heading, a sentence, what to do.
    pub(super) fn words(&self) -> (&'static str, String, Option<String>) {
        match self {
            Self::Failed(failure) => {
                ("This did not work", failure.to_string(), failure.advice().map(str::to_owned))
            }
            Self::TooOften(wait) => {
                let what = "The name or the password was wrong too often.".to_owned();
                let hint = format!("Try again in {} s, and check both before.", wait.as_secs() + 1);
                ("Please wait", what, Some(hint))
            }
            Self::NotFound | Self::Status(_) | Self::LoggedOut => {
                let (heading, sentence) = sentence(self.status());
                (heading, sentence.to_owned(), None)
            }
        }
    }
}

fn sentence(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::UNAUTHORIZED => ("Please log in", "You are not logged in, or were away for long."),
        StatusCode::NOT_FOUND => ("There is no such page", "Nothing is at this address, or not any more."),
        StatusCode::METHOD_NOT_ALLOWED => ("This is not done here", "The page does not take this method."),
        StatusCode::PAYLOAD_TOO_LARGE => ("This is too much", "The form is larger than the page takes."),
        StatusCode::URI_TOO_LONG => ("This is too long", "The address is longer than the page takes."),
        StatusCode::TOO_MANY_REQUESTS => {
            ("Please wait", "Too many requests come from this address. Try again in a moment.")
        }
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
