//! Whether the page works, for whoever watches over it. It tells nothing else, and everybody may ask.

use std::time::Duration;

use axum::extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::server::State;
use crate::database::is_alive;

/// A database that answers later is taken for one that does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// `GET /healthz`
pub(super) async fn health(extract::State(state): extract::State<State>) -> Response {
    let asked = timeout(PATIENCE, state.databases.read(is_alive)).await;
    let (status, text) = match asked {
        Ok(Ok(())) => (StatusCode::OK, "{\"status\":\"ok\",\"database\":true}\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "{\"status\":\"unavailable\",\"database\":false}\n"),
    };
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}
