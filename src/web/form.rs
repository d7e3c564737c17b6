//! What comes in: forms and queries, checked before a handler sees them.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::random;
use super::server::State;
use super::trouble::Trouble;
use super::viewer::Viewer;
use crate::domain::{Failure, Kind};

/// The kind of form that a browser sends if it is not told otherwise, and the only one that is read.
const URLENCODED: &str = "application/x-www-form-urlencoded";
/// No form of a page is as large, in bytes.
pub(super) const LARGEST: usize = 64 << 10;
/// A form that is not there as a whole after so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// A query that is longer is nobody's who has used the page.
const LONGEST_QUERY: usize = 8000;

/// A form of somebody who may operate, sent from a page of ours.
pub(super) struct Posted<T> {
    pub(super) viewer: Viewer,
    pub(super) form: T,
}

/// The query of the URL. Unlike axum's own it holds no text that a database refuses.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<State> for Posted<T> {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &State) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, state).await?;
        if !viewer.may_operate {
            return Err(Failure::new(Kind::Permission, "doing this", "you may look, and change nothing")
                .hint("ask for the role `operate` in the configuration of this page")
                .into());
        }
        let form = own(&viewer, Request::from_parts(parts, body), state).await?;
        Ok(Self { viewer, form })
    }
}

/// The form, if it comes from a page of this viewer.
pub(super) async fn own<T: DeserializeOwned>(
    viewer: &Viewer,
    request: Request,
    state: &State,
) -> Result<T, Trouble> {
    let (form, csrf) = read(request, state).await?;
    if csrf.is_some_and(|csrf| random::is_same(&csrf, &viewer.csrf)) {
        return Ok(form);
    }
    let why = "the form does not come from this page, or is too old";
    Err(Failure::new(Kind::Permission, "doing this", why)
        .hint("go back, load the page again, and send the form from there")
        .into())
}

/// The form, and its field `csrf`.
pub(super) async fn read<T: DeserializeOwned>(
    request: Request,
    state: &State,
) -> Result<(T, Option<String>), Trouble> {
    if !is_urlencoded(request.headers()) {
        return Err(Trouble::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    // What says how large it is need not come first.
    if request.body().size_hint().lower() > LARGEST as u64 {
        return Err(Trouble::Status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let body = timeout(PATIENCE, Bytes::from_request(request, state)).await;
    let body = body.map_err(|_| Trouble::Status(StatusCode::REQUEST_TIMEOUT))?;
    let body = body.map_err(|rejection| Trouble::Status(rejection.status()))?;
    let text = std::str::from_utf8(&body).map_err(|_| not_text())?;
    let form = parse(text)?;
    let fields: Vec<(String, String)> = parse(text)?;
    let csrf = fields.into_iter().find_map(|(name, value)| (name == "csrf").then_some(value));
    Ok((form, csrf))
}

impl<T: DeserializeOwned> FromRequestParts<State> for Asked<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Trouble> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > LONGEST_QUERY {
            return Err(Trouble::Status(StatusCode::URI_TOO_LONG));
        }
        Ok(Self(parse(query)?))
    }
}

fn is_urlencoded(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(URLENCODED))
}

/// Reads the fields of a form or a query.
fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_str(text).map_err(wrong)?;
    // The first is what wrong UTF-8 has become, the second what PostgreSQL takes in no text.
    if fields.iter().any(|(name, value)| [name, value].iter().any(|text| text.contains(['\u{fffd}', '\0']))) {
        return Err(not_text());
    }
    serde_urlencoded::from_str(text).map_err(wrong)
}

fn wrong(error: serde_urlencoded::de::Error) -> Failure {
    Failure::new(Kind::Usage, "reading what was asked for", error)
}

fn not_text() -> Failure {
    Failure::new(Kind::Usage, "reading what was asked for", "it holds bytes that are no text")
}
