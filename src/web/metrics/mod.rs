//! Figures for a monitoring system, in the text form of `OpenMetrics`, which Prometheus reads.
//!
//! What the database says is asked at most every few seconds, however often and by how many it is fetched.

mod branch;
mod head_office;
mod number;
mod requests;
mod sheet;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use tokio::sync::Mutex;

use self::requests::Requests;
pub(super) use self::requests::watch;
use self::sheet::Sheet;
use super::server::State;
use super::site::Role;
use super::trouble::Trouble;
use super::viewer::Viewer;
use crate::domain::{Failure, Kind};

/// What the database has said is good for so long.
const FRESH: Duration = Duration::from_secs(5);

/// What is counted here, and what the database said last.
pub(super) struct Metrics {
    requests: Requests,
    said: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self { requests: Requests::default(), said: Mutex::default() }
    }
}

/// `GET /metrics`
pub(super) async fn page(
    extract::State(state): extract::State<State>,
    _: Viewer,
) -> Result<Response, Trouble> {
    let node = node(&state).await?;
    let mut text = node.to_string();
    let mut own = Sheet::new();
    own.build(&state);
    state.metrics.requests.write(&mut own);
    encode_registry(&mut text, &own.registry()).and_then(|()| encode_eof(&mut text)).map_err(written)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

/// What the node's database says. While one asks, others wait for the same answer.
async fn node(state: &State) -> Result<Arc<str>, Failure> {
    let mut said = state.metrics.said.lock().await;
    if let Some((_, text)) = said.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
        return Ok(Arc::clone(text));
    }
    let mut sheet = Sheet::new();
    let asked = match &state.role {
        Role::HeadOffice(_) => head_office::ask(state, &mut sheet).await,
        Role::Branch(_) => branch::ask(state, &mut sheet).await,
    };
    if let Err(failure) = &asked {
        tracing::warn!("{failure}");
    }
    sheet.gauge("database_up", "Whether the node's database has answered", [([], asked.is_ok().into())]);
    let mut text = String::new();
    encode_registry(&mut text, &sheet.registry()).map_err(written)?;
    let text: Arc<str> = text.into();
    *said = Some((Instant::now(), Arc::clone(&text)));
    Ok(text)
}

fn written(error: fmt::Error) -> Failure {
    Failure::new(Kind::Failed, "writing the metrics", error)
}
